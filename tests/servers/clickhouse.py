"""The ClickHouse engine as a private process behind its HTTP interface, with or without TLS."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.model import Json, JsonObject
from tests.servers.certificates import Authority
from tests.servers.sql_specs import password_of

USER, PASSWORD = "report", "p@/:% '\"\\;#&=?"
_STOP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHouse:
    """A running front; the database `orders` has a table `item` with two rows."""

    port: int
    #: PEM text of the authority of its certificate, which is for localhost and 127.0.0.1
    authority: str
    clients: Authority
    log: Path

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the password, over verified TLS where there is TLS."""
        has_tls = bool(self.authority)
        return {
            "engine": "clickhouse",
            "host": "127.0.0.1",
            "port": self.port,
            "database": "orders",
            "auth": password_of(USER),
            "tls": {
                "mode": "verify-full" if has_tls else "disable",
                "ca": {"file": self.authority},
            },
            **changes,
        }

    def failed_logins(self) -> int:
        """Returns how many requests came with a wrong password."""
        return self.log.read_text().count("failed login")


@contextmanager
def start_clickhouse(*, has_tls: bool) -> Iterator[ClickHouse]:
    """Runs the engine for the length of the block."""
    servers, clients = Authority(), Authority()
    with tempfile.TemporaryDirectory(prefix="reconciler-clickhouse-") as name:
        folder = Path(name)
        own = servers.server("localhost", "127.0.0.1")
        texts = {"server.crt": own.certificate, "server.key": own.key, "clients.crt": clients.pem}
        for file, text in texts.items():
            (folder / file).write_text(text)
        material = [str(folder / file) for file in texts] if has_tls else []
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.clickhouse_front", USER, PASSWORD, *material],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.PIPE,
            )
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stderr.readline()  # its word that it listens
            yield ClickHouse(
                port=int(log.read_text().splitlines()[0]),
                authority=servers.pem if has_tls else "",
                clients=clients,
                log=log,
            )
        finally:
            process.stdin.close()
            process.stderr.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
