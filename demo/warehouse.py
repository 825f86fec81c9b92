"""The database of `manifests/warehouse.yaml`: the real ClickHouse engine in its own process.

    python -m demo.warehouse    password, certificate and key on standard input, as JSON

The engine is chdb, the HTTP interface before it that of the tests. It has a process of its own
because it adds 270 MiB to the one that loads it.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers.certificates import Authority

NAME, PORT = "warehouse.internal", 8443
USER = "reports"
#: An engine that takes longer to stop hangs.
_STOP_S = 10.0
_TABLES = (
    "CREATE DATABASE warehouse",
    "CREATE TABLE warehouse.shipments (id Int32, item String, boxes Int32) ENGINE = Memory",
    "INSERT INTO warehouse.shipments VALUES (1, 'lamp', 3), (2, 'desk', 12), (3, 'chair', 5)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """The running database."""

    #: where it really is, on loopback
    port: int
    #: the authority of its certificate, which is for `NAME`
    authority: str


@contextmanager
def serving(password: str) -> Iterator[Warehouse]:
    """Serves the database on a free port while the block runs.

    Raises:
        OSError: it does not start; what it printed says why.
    """
    authority = Authority()
    own = authority.server(NAME)
    settings = {"password": password, "certificate": own.certificate, "key": own.key}
    # A group of its own: Ctrl-C is for the show, which then closes the standard input of this.
    with subprocess.Popen(
        [sys.executable, "-m", "demo.warehouse"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        process_group=0,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            with suppress(BrokenPipeError):  # it has ended: then it tells no port
                process.stdin.write(f"{json.dumps(settings)}\n".encode())
            port = process.stdout.readline()
            if not port:
                raise OSError("the sample warehouse does not start")
            yield Warehouse(port=int(port), authority=authority.pem)
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Serves until standard input ends."""
    from tests.servers.clickhouse_front import Front

    settings = json.loads(sys.stdin.readline())
    front = Front(USER, settings["password"])
    for statement in _TABLES:
        front.engine.query(statement)
    front.socket = _context(settings).wrap_socket(front.socket, server_side=True)
    print(front.server_address[1], flush=True)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    sys.stdin.read()
    front.engine.close()
    os._exit(0)  # the engine's own end complains of parts of it that were never used


def _context(settings: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        for name in ("certificate", "key"):
            Path(folder, name).write_text(settings[name])
        context.load_cert_chain(Path(folder, "certificate"), Path(folder, "key"))
    return context


if __name__ == "__main__":
    main()
