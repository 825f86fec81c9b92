"""The real ClickHouse engine (chdb) behind ClickHouse's HTTP interface, as a process of its own.

    python -m tests.servers.clickhouse_front USER PASSWORD [CERTIFICATE KEY CLIENT_AUTHORITY]

Prints its port and serves until its standard input ends. What is this file's: logins, the few
headers and parameters of the interface that the driver uses (ClickHouse manual, "HTTP Interface"),
and TLS. What is the engine's: parsing, settings, read-only, databases, results and error numbers.
"""

from __future__ import annotations

import base64
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb.session

#: Parameters of the interface; all others are settings of the engine.
_OWN = {
    "buffer_size", "client_protocol_version", "compress", "database", "decompress",
    "default_format", "query", "query_id", "session_id", "wait_end_of_query",
}  # fmt: skip
_CODE = re.compile(r"Code: (\d+)")


#: chdb has no types
_session: Any = chdb.session.Session


class Front(ThreadingHTTPServer):
    """Serves one engine, whose queries take turns."""

    daemon_threads = True

    def __init__(self, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.user, self.password = user, password
        self.turn = threading.Lock()
        self.engine = _session()
        self.engine.query("CREATE DATABASE orders")
        self.engine.query("CREATE TABLE orders.item (id Int32, name String) ENGINE = Memory")
        self.engine.query("INSERT INTO orders.item VALUES (1, 'pen'), (2, 'ink')")

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that leave are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Front

    def do_POST(self) -> None:
        """Runs the query in the body, or in the parameter `query`."""
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length).decode()
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        if not self._is_let_in():
            self._refuse(403, 516, "Authentication failed (AUTHENTICATION_FAILED)")
            return
        query = f"{parameters.get('query', '')} {body}".strip()
        settings = [f"{name} = {_quoted(value)}" for name, value in parameters.items()
                    if name not in _OWN]  # fmt: skip
        if settings:
            query += f" SETTINGS {', '.join(settings)}"
        try:
            with self.server.turn:
                self.server.engine.query(f"USE {_identifier(parameters.get('database'))}")
                found = self.server.engine.query(query, "TabSeparated")
        except Exception as error:  # noqa: BLE001  # chdb raises its errors as any class
            code = _CODE.search(str(error))
            self._refuse(500, int(code[1]) if code else 1, str(error))
            return
        self._answer(200, found.bytes())

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _is_let_in(self) -> bool:
        if self.headers.get("X-ClickHouse-SSL-Certificate-Auth") == "on":
            is_known = self.headers.get("X-ClickHouse-User") == self.server.user
            connection = self.connection
            return is_known and isinstance(connection, ssl.SSLSocket) and bool(
                connection.getpeercert()
            )  # fmt: skip
        login = f"{self.server.user}:{self.server.password}".encode()
        wanted = f"Basic {base64.b64encode(login).decode()}"
        is_good: bool = self.headers.get("Authorization") == wanted
        _say("login" if is_good else "failed login")
        return is_good

    def _refuse(self, status: int, code: int, text: str) -> None:
        self._answer(status, f"Code: {code}. DB::Exception: {text}".encode(), code)

    def _answer(self, status: int, body: bytes, code: int | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _quoted(value: str) -> str:
    return value if value.isdigit() else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str | None) -> str:
    return "`" + (name or "default").replace("\\", "\\\\").replace("`", "\\`") + "`"


def main(user: str, password: str, *tls: str) -> None:
    """Serves until standard input ends."""
    front = Front(user, password)
    if tls:
        certificate, key, clients = tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_OPTIONAL
        front.socket = context.wrap_socket(front.socket, server_side=True)
    _say(front.server_address[1])
    threading.Thread(target=front.serve_forever, daemon=True).start()
    sys.stderr.write("listens\n")
    sys.stderr.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
