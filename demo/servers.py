"""The sample APIs of `manifests/`, served on loopback by threads of the demonstration.

Each is a value, `Sample`, and a server answers by the value that it holds at that moment: giving
it another one is how the show breaks and mends an API. Standard library only, and on
`socketserver` because `http.server.HTTPServer` looks its own address up in DNS when it starts.
"""

from __future__ import annotations

import errno
import hmac
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a request must carry: the name of a header, and its whole value."""

    header: str
    value: str = field(repr=False)

    def is_in(self, headers: Mapping[str, str]) -> bool:
        """Returns whether the headers of a request carry it."""
        given = headers.get(self.header, "")
        return hmac.compare_digest(given.encode(), self.value.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample API: where it is, whom it lets in, and what it answers."""

    name: str
    #: the port that its manifest names
    port: int
    path: str
    credential: Credential | None = None
    status: HTTPStatus = HTTPStatus.OK
    body: Mapping[str, object] = field(default_factory=lambda: {"status": "ok"})
    #: how long it waits before it answers
    delay_s: float = 0.0


class SampleServer(ThreadingTCPServer):
    """Serves one sample; binds the sample's port, or a free one if that is taken."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, sample: Sample) -> None:
        #: what it answers by; may be replaced while it serves
        self.sample = sample
        self.first_sample = sample
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._refused_logins = 0
        try:
            super().__init__((LOOPBACK, sample.port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            super().__init__((LOOPBACK, 0), _Handler)

    @property
    def port(self) -> int:
        """The port that it really has."""
        return int(self.server_address[1])

    @property
    def refused_logins(self) -> int:
        """How many requests came with a wrong credential, or with none."""
        with self._lock:
            return self._refused_logins

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[HTTPStatus, object]:
        """Returns what to answer to a GET, after the sample's delay, and counts refusals."""
        sample = self.sample
        if sample.credential and not sample.credential.is_in(headers):
            with self._lock:
                self._refused_logins += 1
            return HTTPStatus.UNAUTHORIZED, {"error": "these credentials are not accepted"}
        if path != sample.path:
            return HTTPStatus.NOT_FOUND, {"error": "no such path"}
        self.closing.wait(sample.delay_s)
        return sample.status, sample.body

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints what went wrong, unless the other end only went away: time-outs do that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SampleServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = self.server.answer(self.path, dict(self.headers.items()))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Keeps the terminal for the command's own output."""


@contextmanager
def serving(samples: Iterable[Sample]) -> Iterator[dict[str, SampleServer]]:
    """Serves the samples while the block runs, and gives their servers by name."""
    with ExitStack() as stack:
        yield {sample.name: stack.enter_context(_serving_one(sample)) for sample in samples}


@contextmanager
def _serving_one(sample: Sample) -> Iterator[SampleServer]:
    with SampleServer(sample) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
