"""A real MariaDB as a private, throw-away process on a free loopback port, with TLS.

Accounts are made by the server's own start-up file. The general log holds one `Connect` line for
each login, good or bad, written before the client gets its answer: that is what tests count.
Where MariaDB is not installed its tests are skipped by name; under `CI=true` that is a failure.
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
import trustme

from tests.servers.certificates import Authority

HOST = "127.0.0.1"
DATABASE = "orders"
USER = "report"
#: Every character that some layer quotes, and one outside Latin-1.
PASSWORD = "p@/:% '\"\\;#ł&=?"
#: Attempts to start: another process may take the free port first.
_STARTS = 3
#: Looks at a starting server, `_LOOK_S` seconds apart.
_LOOKS = 600
_LOOK_S = 0.05

_FAST = (
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--performance-schema=off",
)
_SETTINGS = (
    f"--bind-address={HOST}",
    "--skip-name-resolve",
    "--general-log=1",
    "--innodb-fast-shutdown=2",
    "--skip-log-bin",
)
#: Where packages keep the scripts that make the system tables, in the order they are run.
_SCRIPTS = (Path("/usr/share/mysql"), Path("/usr/share/mariadb"))
_SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbServer:
    """A running server with the database `orders` and users whose password is `PASSWORD`.

    `report` may read and write the table `item`, `secure` may read all tables over TLS only,
    `certified` too, with a certificate of `clients` and no password, `pair` with certificate and
    password, and `admin` may read everything.
    """

    host: str
    port: int
    #: PEM text of the authority of the server's certificate, which is for localhost and 127.0.0.1
    authority: str
    #: the authority of client certificates
    clients: Authority
    general_log: Path

    @property
    def socket(self) -> str:
        """The path of its socket in the file system."""
        return str(self.general_log.parent / "s")

    def logins(self, user: str) -> int:
        """Returns how many logins were tried as `user` since the server started."""
        return sum(
            "Connect" in line and (f"\t{user}@" in line)
            for line in self.general_log.read_text(errors="replace").splitlines()
        )

    def failed_logins(self, user: str) -> int:
        """Returns how many logins as `user` were refused since the server started."""
        return sum(
            f"Access denied for user '{user}'" in line
            for line in self.general_log.read_text(errors="replace").splitlines()
        )


def require_binary() -> str:
    """Returns the path of the server; skips the test where there is none, fails it in CI."""
    found = shutil.which("mariadbd", path=os.pathsep.join((os.defpath, "/usr/sbin", "/sbin")))
    if found is None:
        message = "MariaDB is not installed: run tests/servers/install.sh"
        if os.environ.get("CI") == "true":  # noqa: TID251  # the mark of a CI service
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """Gives a server with TLS, started at the first test that asks for one."""
    with start_mariadb() as server:
        yield server


@contextmanager
def start_mariadb() -> Iterator[MariadbServer]:
    """Starts a server and stops it; nothing of it stays behind."""
    server = require_binary()
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-mariadb-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        clients = Authority()
        authority = _write_files(folder, clients)
        _give(folder, account)
        _bootstrap(server, folder, account)
        process, port = _start_on_free_port(server, folder, account)
        yield MariadbServer(
            host=HOST,
            port=port,
            authority=authority,
            clients=clients,
            general_log=folder / "general.log",
        )
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder)


def _account() -> str | None:
    """Returns whom the server runs as where we are root, which it refuses to be; else None."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "mysql" if "mysql" in names else "nobody"


def _group(account: str | None) -> int | None:
    return pwd.getpwnam(account).pw_gid if account else None


def _write_files(folder: Path, clients: Authority) -> str:
    (folder / "clients.crt").write_text(clients.pem)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", HOST)
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server.crt"))
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    (folder / "server.key").chmod(0o600)
    (folder / "data").mkdir(mode=0o700)
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    (folder / "start.sql").write_text(
        "\n".join(
            (
                "SET NAMES utf8mb4;",
                f"CREATE DATABASE {DATABASE};",
                f"CREATE TABLE {DATABASE}.item (id INT PRIMARY KEY, name TEXT);",
                f"INSERT INTO {DATABASE}.item VALUES (1, 'pen'), (2, 'ink');",
                f"CREATE TABLE {DATABASE}.hidden (id INT);",
                f"CREATE USER {USER}@'%' IDENTIFIED BY '{quoted}';",
                f"GRANT SELECT, INSERT ON {DATABASE}.item TO {USER}@'%';",
                f"CREATE USER secure@'%' IDENTIFIED BY '{quoted}' REQUIRE SSL;",
                f"GRANT SELECT ON {DATABASE}.* TO secure@'%';",
                "CREATE USER certified@'%' REQUIRE X509;",
                f"GRANT SELECT ON {DATABASE}.* TO certified@'%';",
                f"CREATE USER pair@'%' IDENTIFIED BY '{quoted}' REQUIRE X509;",
                f"GRANT SELECT ON {DATABASE}.* TO pair@'%';",
                f"CREATE USER admin@'%' IDENTIFIED BY '{quoted}';",
                "GRANT SELECT ON *.* TO admin@'%';",
                "",
            )
        ),
        encoding="utf-8",
    )
    return authority.cert_pem.bytes().decode()


def _give(folder: Path, account: str | None) -> None:
    if account is not None:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, account, _group(account))


def _bootstrap(server: str, folder: Path, account: str | None) -> None:
    """Makes the system tables, as `mariadb-install-db` would, which needs the client's package."""
    scripts = next(path for path in _SCRIPTS if path.is_dir())
    statements = ["CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"]
    statements += [(scripts / name).read_text(encoding="utf-8") for name in _SYSTEM_TABLES]
    subprocess.run(
        (server, "--no-defaults", "--bootstrap", f"--datadir={folder / 'data'}", *_FAST),
        input="".join(statements).encode(),
        check=True,
        capture_output=True,
        cwd=folder,
        env={"PATH": os.defpath},
        user=account,
        group=_group(account),
        extra_groups=[] if account else None,
    )


def _start_on_free_port(
    server: str, folder: Path, account: str | None
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_STARTS):
        port = _free_port()
        process = _start(server, folder, port, account)
        if _is_ready(process, port):
            return process, port
        _stop(process)
    log = folder / "error.log"
    pytest.fail(f"MariaDB does not start:\n{log.read_text() if log.exists() else ''}")


def _start(server: str, folder: Path, port: int, account: str | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (
            server,
            "--no-defaults",
            *_FAST,
            *_SETTINGS,
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder}",
            f"--port={port}",
            f"--socket={folder / 's'}",
            f"--pid-file={folder / 'pid'}",
            f"--log-error={folder / 'error.log'}",
            f"--general-log-file={folder / 'general.log'}",
            f"--ssl-cert={folder / 'server.crt'}",
            f"--ssl-key={folder / 'server.key'}",
            f"--ssl-ca={folder / 'clients.crt'}",
            f"--init-file={folder / 'start.sql'}",
        ),
        cwd=folder,
        env={"PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account,
        group=_group(account),
        extra_groups=[] if account else None,
    )


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the server greets, which it does when its start-up file is done, or has ended."""
    for _ in range(_LOOKS):
        try:
            with socket.create_connection((HOST, port), timeout=_LOOK_S) as connection:
                if connection.recv(1):
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
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
