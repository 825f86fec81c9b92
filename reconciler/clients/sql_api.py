"""A statement over HTTP: one request and its JSON answer, for engines whose own API is that.

Between the modules of such engines and `sql_socket`. Blocking, in the driver's thread, and under
the rules of every other connection here: only the checked addresses of the `Login` are contacted,
through its hops and with its TLS; no redirect is followed, nothing is sent twice and nothing comes
from the environment. Requests and answers are those of `http_request` and `http_response`, and a
connection carries one exchange, as in `http`. An answer is read up to a limit, and decoded only
when it is whole.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import closing, contextmanager
from dataclasses import field, replace
from typing import Self

from reconciler.auth import exchange
from reconciler.clients import (
    http_request,
    http_response,
    sql_errors,
    sql_rows,
    sql_socket,
    tcp,
    tls,
)
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Json, JsonObject, Reason, StageName
from reconciler.values import dataclass

_READ_BYTES = 64 * 1024
#: Longest wait for a statement: what is signed for an attempt is good for little longer.
LONGEST_S = 3000.0
#: So much of a statement's time, and no larger share of it, is kept for what follows.
_SPARE_S, _SPARE_SHARE = 1.0, 0.2
#: From one look at a statement that runs on to the next, the first and the longest.
_PAUSES_S = (0.1, 3.0)

_UNAUTHORIZED = 401
_REDIRECTS = range(300, 400)
#: Status of an answer -> what it means where the engine's own code is not known (RFC 9110, 15).
_STATUSES: Mapping[int, Meaning] = {
    403: sql_errors.NOT_PERMITTED,
    408: sql_errors.QUERY_TIMED_OUT,
    429: sql_errors.RATE_LIMITED,
    500: sql_errors.SERVER_TROUBLE,
    502: sql_errors.NOT_READY,
    503: sql_errors.NOT_READY,
    504: sql_errors.NOT_READY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer; whatever is in it is foreign."""

    status: int
    #: empty where the body is no JSON object
    data: JsonObject = field(repr=False)

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004  # the range of RFC 9110, 15.3


class Session:
    """The server of one login during one attempt; closing it ends what is open."""

    def __init__(self, login: Login, attempt: Attempt) -> None:
        """Connects, and records the steps of that.

        Raises:
            ConnectionFailed: why it was not possible.
        """
        self.login = login
        self.attempt = attempt
        #: when what is under way must be done
        self._by = attempt.end_by
        self._first: socket.socket | None = sql_socket.open_secured(login, attempt)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._first is not None:
            self._first.close()

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Records the stage of what is done inside; of a refused credential, as `auth`.

        The credential is sent with every request, so that one request may be both.
        """
        before = len(self.attempt.stages.reached())
        if name is StageName.QUERY:
            self._by = self.attempt.query_by
        try:
            with self.attempt.stages.stage(name):
                yield
        except ConnectionFailed as failure:
            if failure.stage is StageName.AUTH and name is not StageName.AUTH:
                self.attempt.stages.fold(StageName.AUTH, before)
            raise

    @property
    def patience_s(self) -> float:
        """How long a statement that begins now may take, a second at least."""
        return min(LONGEST_S, max(1.0, self._by - time.monotonic()))

    @property
    def spare_s(self) -> float:
        """How much of `patience_s` is kept for what follows when a statement is too slow."""
        return min(_SPARE_S, _SPARE_SHARE * self.patience_s)

    def ask(
        self, method: str, path: str, data: Json = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Returns the answer to one request, whatever its status, inside of a stage.

        Raises:
            ConnectionFailed: for everything that keeps a whole answer from coming; a redirect.
        """
        payload = self._payload(method, path, data, headers or {})
        with closing(self._take()) as connected:
            answer = self._exchange(connected, payload)
        if answer.status in _REDIRECTS:
            raise sql_errors.ELSEWHERE.at(self._stage)
        if answer.is_cut:
            raise sql_errors.too_large(self._stage)
        if answer.is_compressed:  # nobody asked for that
            raise sql_errors.NOT_UNDERSTOOD.at(self._stage)
        return Reply(status=answer.status, data=_decoded(answer.body))

    def looks(self, spare_s: float = 0.0) -> Iterator[None]:
        """Yields whenever it is time to look again at a statement that runs on.

        Ends when no more than `spare_s` of its time is left, where that is not zero.

        Raises:
            ConnectionFailed: its time is up.
        """
        pause_s, longest_s = _PAUSES_S
        lifeline = self.attempt.lifeline
        try:
            while (left := self._left()) > spare_s:
                cut = threading.Event()
                lifeline.hold(cut.set)
                cut.wait(min(pause_s, left - spare_s))
                self._left()
                lifeline.release()
                yield
                pause_s = min(2 * pause_s, longest_s)
        except TimeoutError:
            raise self.attempt.timed_out() from None

    def refused(
        self, reply: Reply, code: str, text: str, meanings: Mapping[str, Meaning]
    ) -> ConnectionFailed:
        """Returns what `reply` means; `code` and `text` are the engine's own, and foreign."""
        is_known = bool(code or text)
        meaning = meanings.get(code) or _STATUSES.get(reply.status)
        if meaning is None:
            meaning = sql_errors.unknown(self._stage) if is_known else sql_errors.NOT_UNDERSTOOD
        if reply.status == _UNAUTHORIZED or meaning.reason is Reason.AUTH_FAILED:
            meaning = sql_errors.login_refused(self.login.method)
        failure = sql_errors.refused(self.attempt, meaning, code, text)
        if failure.reason is not Reason.AUTH_FAILED:
            return failure
        return ConnectionFailed(failure.reason, StageName.AUTH, failure.message, failure.hint)

    def foreign(self) -> ConnectionFailed:
        """Returns what it means that an answer is none of this engine."""
        return sql_errors.NOT_UNDERSTOOD.at(self._stage)

    @property
    def _stage(self) -> StageName:
        return self.attempt.stages.last or StageName.QUERY

    def _left(self) -> float:
        """Returns the seconds that are left; raises TimeoutError where none are."""
        return self.attempt.remaining(self._by)

    def _payload(self, method: str, path: str, data: Json, headers: Mapping[str, str]) -> bytes:
        login = self.login
        scheme = "http" if login.tls_mode == "disable" else "https"
        host = f"[{login.host}]" if ":" in login.host else login.host
        given = {"Accept": "application/json", **headers}
        if login.authorization is not None:
            given["Authorization"] = login.authorization.reveal()
        if data is not None:
            given["Content-Type"] = "application/json"
        request = exchange.Request(
            method=method,
            url=f"{scheme}://{host}:{login.port}{path}",
            headers=tuple(given.items()),
            body=b"" if data is None else json.dumps(data).encode(),
        )
        return http_request.serialise(request, http_request.parse(request.url))

    def _take(self) -> socket.socket:
        """Returns a connection to the server, the first one as long as nobody has had it."""
        first, self._first = self._first, None
        if first is not None:
            return first
        later, login = self.attempt.untimed(), self.login
        try:
            left_s = self._left()
            if login.again is not None:
                login = replace(login, ready=login.again(left_s))
            return sql_socket.open_secured(login, later)
        except (TimeoutError, futures.CancelledError):
            raise self.attempt.timed_out() from None

    def _exchange(self, connected: socket.socket, payload: bytes) -> http_response.Answer:
        try:
            return self._converse(connected, payload)
        except TimeoutError:
            raise self.attempt.timed_out() from None
        except (ConnectionFailed, OSError) as error:
            if self.attempt.lifeline.is_cut or time.monotonic() >= self._by:
                raise self.attempt.timed_out() from None
            if isinstance(error, ssl.SSLError) and error.reason:
                raise tls.failure(error) from None
            if isinstance(error, OSError):
                raise tcp.cut(error, self._stage) from None
            raise sql_errors.NOT_UNDERSTOOD.at(self._stage) from None

    def _converse(self, connected: socket.socket, payload: bytes) -> http_response.Answer:
        parser = http_response.ResponseParser(is_head=False, body_bytes=sql_rows.LARGEST_BYTES)
        connected.settimeout(self._left())
        try:
            connected.sendall(payload)
        except OSError:
            # TLS 1.3 judges a client after its handshake: reading tells why the server left
            connected.recv(1)
            raise
        while True:
            connected.settimeout(self._left())
            data = connected.recv(_READ_BYTES)
            if not data:
                # Python's TLS does not tell an end that the server says from one that is cut
                return parser.end(is_proven=not isinstance(connected, ssl.SSLSocket))
            answer = parser.feed(data)
            if answer is not None:
                return answer


def _decoded(body: bytes) -> JsonObject:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
