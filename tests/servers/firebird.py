"""A real Firebird server as a private, throw-away process on a free loopback port.

The databases are made by Debian's `isql-fb`, which opens the files itself, without a server. Where
Firebird is not installed its tests are skipped by name; under `CI=true` that is a failure.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.model import Json, JsonObject
from tests.servers.sql_specs import password_of

HOST = "127.0.0.1"
USER, PASSWORD = "report", 'p@/:% "\\;#ł&=?'
#: Where packages keep the script that makes the table of users.
_SECURITY = Path("/usr/share/firebird/3.0/security.sql")
#: Attempts to start: another process may take the free port first.
_STARTS = 3
#: Looks at a starting server, `_LOOK_S` seconds apart.
_LOOKS = 600
_LOOK_S = 0.05
_STOP_S = 20.0

_TABLES = f"""
create database '{{folder}}/orders.fdb' user 'SYSDBA' default character set utf8;
create table item (id int primary key, name varchar(20) character set utf8);
create table hidden (id int);
create table note (id int, words blob sub_type text);
create role clerk;
create sequence numbers;
commit;
insert into item values (1, 'pen');
insert into item values (2, 'ink');
insert into note values (1, 'long words');
create user {USER} password '{PASSWORD}' using plugin Srp;
grant select, insert on item to {USER};
grant select on note to {USER};
grant select on hidden to role clerk;
grant clerk to {USER};
grant usage on sequence numbers to {USER};
commit;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firebird:
    """A running server; `report` may read and write the table `item` of the database `orders`.

    With the role `clerk` it may read `hidden` too.
    """

    port: int
    folder: Path

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the password."""
        return {
            "engine": "firebird",
            "host": HOST,
            "port": self.port,
            "database": "orders",
            "auth": password_of(USER),
            "tls": {"mode": "disable"},
            **changes,
        }


def require_binaries() -> tuple[str, str]:
    """Returns the paths of server and `isql-fb`; skips the test without, fails it in CI."""
    path = os.pathsep.join((os.defpath, "/usr/sbin", "/sbin"))
    server, client = (shutil.which(name, path=path) for name in ("firebird", "isql-fb"))
    if server is None or client is None:
        message = "Firebird is not installed: run tests/servers/install.sh"
        if os.environ.get("CI") == "true":  # noqa: TID251  # the mark of a CI service
            pytest.fail(message)
        pytest.skip(message)
    return server, client


@pytest.fixture(scope="session")
def firebird() -> Iterator[Firebird]:
    """Gives a server, started at the first test that asks for one."""
    with start_firebird() as server:
        yield server


@contextmanager
def start_firebird(**settings: str) -> Iterator[Firebird]:
    """Starts a server with `settings` of firebird.conf; nothing of it stays behind."""
    server, client = require_binaries()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-firebird-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        _write_files(folder)
        _make_databases(client, folder)
        process, port = _start_on_free_port(server, folder, settings)
        yield Firebird(port=port, folder=folder)
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder)


def _account() -> pwd.struct_passwd | None:
    """Returns whom the server runs as where we are root, which it need not be; else None."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as_account() -> tuple[int | None, int | None, list[int] | None]:
    account = _account()
    return (account.pw_uid, account.pw_gid, []) if account else (None, None, None)


def _environment(folder: Path) -> dict[str, str]:
    places = dict.fromkeys(("FIREBIRD", "FIREBIRD_LOCK", "FIREBIRD_TMP"), str(folder))
    return {"PATH": os.defpath, **places}


def _write_files(folder: Path) -> None:
    (folder / "databases.conf").write_text(f"orders = {folder}/orders.fdb\n")
    (folder / "plugins.conf").write_text("")
    (folder / "security.sql").write_text(
        f"create database '{folder}/security.fdb';\nin {_SECURITY};\ncommit;\n"
    )
    (folder / "tables.sql").write_text(_TABLES.format(folder=folder), encoding="utf-8")
    _configure(folder, 0, {})
    account = _account()
    if account is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)


def _configure(folder: Path, port: int, settings: dict[str, str]) -> None:
    whole = {
        "RemoteServicePort": str(port),
        "RemoteBindAddress": "localhost",
        "SecurityDatabase": f"{folder}/security.fdb",
        "DatabaseAccess": f"Restrict {folder}",
        "AuthServer": "Srp256, Srp",
        "UserManager": "Srp",
        **settings,
    }
    (folder / "firebird.conf").write_text("".join(f"{key} = {whole[key]}\n" for key in whole))


def _make_databases(client: str, folder: Path) -> None:
    user, group, groups = _as_account()
    for script in ("security.sql", "tables.sql"):
        subprocess.run(
            (client, "-q", "-b", "-ch", "utf8", "-user", "SYSDBA", "-i", folder / script),
            check=True,
            capture_output=True,
            cwd=folder,
            env=_environment(folder),
            user=user,
            group=group,
            extra_groups=groups,
        )


def _start_on_free_port(
    server: str, folder: Path, settings: dict[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    user, group, groups = _as_account()
    for _ in range(_STARTS):
        with socket.create_server((HOST, 0)) as listener:
            port: int = listener.getsockname()[1]
        _configure(folder, port, settings)
        process = subprocess.Popen(
            (server, "-p", str(port)),
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            group=group,
            extra_groups=groups,
        )
        if _is_ready(process, port):
            return process, port
        _stop(process)
    log = folder / "firebird.log"
    pytest.fail(f"Firebird does not start:\n{log.read_text() if log.exists() else ''}")


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the server accepts connections, or has ended."""
    for _ in range(_LOOKS):
        try:
            with socket.create_connection((HOST, port), timeout=_LOOK_S):
                return process.poll() is None
        except OSError:
            pass
        try:
            process.wait(_LOOK_S)  # pauses, and notices a server that gave up
        except subprocess.TimeoutExpired:
            continue
        return False
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
