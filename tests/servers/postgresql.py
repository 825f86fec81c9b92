"""A real PostgreSQL server as a private process on a free loopback port, thrown away afterwards.

A `conftest.py` imports the fixture `postgresql` (one plain server per test process), or calls
`start_postgresql` for one of its own, with TLS for example. Logins need a password (SCRAM) and are
logged, so that failed ones can be counted. Where PostgreSQL is not installed its tests are skipped
by name; under `CI=true` that is a failure.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

HOST = "127.0.0.1"
#: Attempts to start: another process may take the free port first.
_STARTS = 3
#: Looks at a starting server, `_LOOK_S` seconds apart at most.
_LOOKS = 600
_LOOK_S = 0.05
_STOP_S = 10.0
_HBA = f"host all all {HOST}/32 scram-sha-256\nlocal all all scram-sha-256\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server and its superuser."""

    host: str
    port: int
    superuser: str
    password: str
    log_path: Path
    #: whether it offers TLS
    has_tls: bool

    @property
    def socket(self) -> str:
        """The path of its socket in the file system."""
        return str(self.log_path.parent / f".s.PGSQL.{self.port}")

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Opens an autocommit connection of the superuser."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.superuser,
            password=self.password,
            dbname=database,
            sslmode="disable",
            autocommit=True,
            connect_timeout=10,
        )

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs one statement as the superuser."""
        with self.connect(database) as connection:
            connection.execute(statement.encode())

    def make_database(self) -> str:
        """Returns the name of a new, empty database."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def make_schema(self) -> str:
        """Returns the name of a new, empty schema in `postgres`: cheaper than a database."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE SCHEMA {name}")
        return name

    def drop_schema(self, name: str) -> None:
        """Drops a schema and what is in it."""
        self.execute(f"DROP SCHEMA {name} CASCADE")

    def make_role(self, password: str) -> str:
        """Returns the name of a new role that may log in with `password`."""
        name = f"role_{secrets.token_hex(6)}"
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        return name

    def url(self, database: str, *, schema: str = "public", port: int | None = None) -> str:
        """Returns the state URL of a schema; `port` may be that of a proxy in front."""
        login = f"{self.superuser}:{self.password}@{self.host}:{port or self.port}"
        options = f"sslmode=disable&options=-csearch_path%3D{schema}"
        return f"postgresql://{login}/{database}?{options}"

    def failed_logins(self, role: str = "") -> int:
        """Returns how many logins with a wrong password the server has seen, of all or `role`."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        name = f'"{role}"' if role else ""
        return text.count(f"FATAL:  password authentication failed for user {name}")

    def logins(self, role: str) -> int:
        """Returns how many logins of `role` the server has accepted."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return text.count(f"connection authorized: user={role} ")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """Gives a server without TLS, started at the first test that asks for one."""
    with start_postgresql() as server:
        yield server


@contextmanager
def start_postgresql(
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    clients: Path | None = None,
    rules: str = _HBA,
) -> Iterator[PostgresServer]:
    """Runs a server for the length of the block, with TLS when given certificate and key (PEM).

    `clients` has the authority of client certificates, `rules` are those of `pg_hba.conf`.
    Skips the test (fails it under `CI=true`) where PostgreSQL is not installed.
    """
    programs = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        owner = _unprivileged_user()
        password = secrets.token_hex(8)
        _make_cluster(programs, folder, password, owner)
        (folder / "data" / "pg_hba.conf").write_text(rules, encoding="ascii")
        tls = _install_tls(folder, certificate, key, clients)
        _give(folder, owner)
        process, port = _start(programs, folder, tls, owner)
        try:
            yield PostgresServer(
                host=HOST,
                port=port,
                superuser="admin",
                password=password,
                log_path=folder / "server.log",
                has_tls=bool(tls),
            )
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path:
    """Returns the folder of `postgres` and `initdb`; skips the test where there is none."""
    on_path = shutil.which("initdb")
    newest_first = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda program: float(program.parent.parent.name),
        reverse=True,
    )
    for program in [*newest_first, *([Path(on_path)] if on_path else [])]:
        if program.with_name("postgres").exists():
            return program.parent
    if os.environ.get("CI") == "true":  # noqa: TID251  # the mark of a CI service
        pytest.fail("PostgreSQL is not installed")
    pytest.skip("PostgreSQL is not installed")


def _unprivileged_user() -> str | None:
    """Returns whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _make_cluster(programs: Path, folder: Path, password: str, owner: str | None) -> None:
    password_file = folder / "password"
    password_file.write_text(password, encoding="ascii")
    _give(folder, owner)
    made = subprocess.run(
        [
            programs / "initdb",
            *("--pgdata", folder / "data"),
            *("--username", "admin", "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
            "--no-sync",
            "--no-instructions",
        ],
        check=False,
        user=owner,
        group=_group(owner),
        extra_groups=[] if owner else None,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        pytest.fail(f"initdb failed: {made.stderr}")


def _install_tls(
    folder: Path, certificate: Path | None, key: Path | None, clients: Path | None
) -> tuple[str, ...]:
    if certificate is None or key is None:
        return ()
    for source, name in ((certificate, "server.crt"), (key, "server.key")):
        shutil.copy(source, folder / name)
        (folder / name).chmod(0o600)
    if clients is not None:
        shutil.copy(clients, folder / "clients.crt")
    return (
        *((f"ssl_ca_file={folder / 'clients.crt'}",) if clients else ()),
        "ssl=on",
        f"ssl_cert_file={folder / 'server.crt'}",
        f"ssl_key_file={folder / 'server.key'}",
    )


def _give(folder: Path, owner: str | None) -> None:
    if owner is not None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, owner, _group(owner))


def _group(owner: str | None) -> int | None:
    return pwd.getpwnam(owner).pw_gid if owner else None


def _start(
    programs: Path, folder: Path, tls: tuple[str, ...], owner: str | None
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_STARTS):
        port = _free_port()
        settings = (
            f"listen_addresses={HOST}",
            f"port={port}",
            f"unix_socket_directories={folder}",
            "password_encryption=scram-sha-256",
            "log_connections=on",
            "logging_collector=off",
            "lc_messages=C",
            "fsync=off",
            "shared_buffers=16MB",
            "max_connections=60",
            *tls,
        )
        options = [word for setting in settings for word in ("-c", setting)]
        with (folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=owner,
                group=_group(owner),
                extra_groups=[] if owner else None,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
            )
        if _is_ready(process, folder / "server.log"):
            return process, port
    log_text = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"PostgreSQL does not start: {log_text[-2000:]}")


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Waits until the server says that it takes connections, or has ended."""
    for _ in range(_LOOKS):
        if b"database system is ready to accept connections" in log.read_bytes():
            return True
        try:
            process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        return False
    _stop(process)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    # SIGINT is PostgreSQL's fast shutdown: sessions are ended, nothing is waited for.
    process.send_signal(2)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
