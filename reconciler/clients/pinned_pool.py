"""urllib3 under our rules, for database drivers that speak HTTP and bring urllib3 or requests.

Such a driver gets this pool in place of its own. Requests go to the checked addresses of one
`Login` and nowhere else, whatever a redirect or a link in an answer says; TLS is that of `tls`; no
proxy, netrc or variable of the environment is looked at; nothing is sent twice; what a driver reads
whole is bounded. The first connection is made at once and its steps are timed, so that what is left
to the driver is the login. A later one, after the server has closed the first, is made in the same
way without being timed.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection

from reconciler.clients import sql_errors, sql_socket, tcp, tls
from reconciler.clients.attempt import Attempt, Lifeline, Login, seconds_until
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName
from reconciler.redact import Redactor

#: What a driver may read whole, such as the list of a server's settings.
_LARGEST_BYTES = 8 * 2**20
#: How long a later connection may take, and one read of an application's query.
_LATER_S = 30.0

_REDIRECTS = range(300, 400)


class PinnedPool(urllib3.PoolManager):
    """A pool of one server; a driver calls `request`, we call the rest."""

    def __init__(self, login: Login, attempt: Attempt) -> None:
        super().__init__()
        self._attempt: Attempt | None = attempt
        self._login = login
        self._first: socket.socket | None = None
        self._first = sql_socket.open_secured(login, attempt)
        self._pool = _Pool(login.host, login.port, opener=self._take, maxsize=1, block=False)

    @property
    def scheme(self) -> str:
        return "http" if self._login.tls_mode == "disable" else "https"

    def release(self) -> None:
        """Forgets the attempt: from now on an application uses the pool, in its own time."""
        self._attempt = None

    def clear(self) -> None:
        """Does nothing: drivers call this when they think that connections are too old."""

    def drop(self) -> None:
        """Closes what is open."""
        if self._first is not None:
            self._first.close()
            self._first = None
        self._pool.close()

    def urlopen(  # type: ignore[override]  # urllib3 names two parameters that are not obeyed
        self, method: str, url: str, **settings: Any
    ) -> urllib3.BaseHTTPResponse:
        """Sends one request, once, and returns the answer, whole where the driver wants it whole.

        Raises:
            ConnectionFailed: what came of it instead of an answer, a redirect included.
        """
        target = urllib3.util.parse_url(url)
        if (target.host or "").strip("[]") != self._login.host or target.port != self._login.port:
            raise sql_errors.ELSEWHERE.at(self._stage)
        is_whole = settings.pop("preload_content", True)
        settings |= {"redirect": False, "retries": False, "timeout": self._patience()}
        with self.translated():
            answer = self._pool.urlopen(
                method,
                target.request_uri,
                preload_content=False,
                **{"assert_same_host": False} | settings,
            )
            if answer.status in _REDIRECTS:
                answer.close()
                raise sql_errors.ELSEWHERE.at(self._stage)
            return self._whole(answer) if is_whole else answer

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns what urllib3 and sockets raise inside into `ConnectionFailed`."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> ConnectionFailed:
        chain = _causes(error)
        tls_error = next((cause for cause in chain if isinstance(cause, ssl.SSLError)), None)
        os_error = next((cause for cause in chain if isinstance(cause, OSError)), None)
        if self._attempt is not None and self._attempt.is_over:
            return self._attempt.timed_out()
        if tls_error is not None and tls_error.reason:
            return tls.failure(tls_error)
        is_foreign = any(
            isinstance(cause, urllib3.exceptions.InvalidChunkLength)
            or "BadStatusLine" in repr(cause)
            for cause in chain
        )
        if is_foreign:
            return sql_errors.NOT_UNDERSTOOD.at(self._stage)
        return tcp.cut(os_error if isinstance(os_error, OSError) else None, self._stage)

    def _whole(self, answer: urllib3.BaseHTTPResponse) -> urllib3.HTTPResponse:
        body = answer.read(_LARGEST_BYTES + 1, decode_content=True)
        if len(body) > _LARGEST_BYTES:
            answer.close()
            raise sql_errors.too_large(self._stage)
        answer.release_conn()
        headers = {name: value for name, value in answer.headers.items() if _is_kept(name)}
        headers["Content-Length"] = str(len(body))
        return urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=headers, status=answer.status, preload_content=False
        )

    def _take(self) -> socket.socket:
        """Returns a connection to the server, the first one as long as nobody has it."""
        first, self._first = self._first, None
        if first is not None:
            return first
        now = time.monotonic()
        later = self._attempt or Attempt(
            stages=Stages(),
            redactor=Redactor(),
            lifeline=Lifeline(),
            connect_by=now + _LATER_S,
            query_s=_LATER_S,
            end_by=now + _LATER_S,
        )
        try:
            return sql_socket.open_secured(self._login, later.untimed())
        finally:
            if self._attempt is None:
                later.lifeline.release()

    def _patience(self) -> urllib3.Timeout:
        if self._attempt is None:
            return urllib3.Timeout(connect=_LATER_S, read=None)
        left = seconds_until(self._attempt.end_by)
        return urllib3.Timeout(connect=left, read=left)

    @property
    def _stage(self) -> StageName:
        last = self._attempt.stages.last if self._attempt is not None else None
        return last or StageName.QUERY


class _Connection(HTTPConnection):
    """A connection whose socket, with TLS where it is wanted, comes from elsewhere."""

    def __init__(self, *args: Any, opener: Callable[[], socket.socket], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._opener = opener

    def _new_conn(self) -> socket.socket:
        opened = self._opener()
        opened.settimeout(self.timeout)
        return opened

    def send(self, data: Any) -> None:
        """Sends `data`; of a server that does not take our certificate, reads why it left.

        TLS 1.3 judges a client after its handshake, so that writing fails first, without a reason.
        """
        try:
            super().send(data)
        except ssl.SSLError:
            self.sock.recv(1)
            raise


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


def _causes(error: BaseException) -> list[BaseException]:
    """Returns `error` and what led to it, the nearest first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        arguments = (part for part in following.args if isinstance(part, BaseException))
        following = next(arguments, None) or following.__cause__ or following.__context__
    return chain


def _is_kept(name: str) -> bool:
    """Whether a header still holds once the body was read and decoded."""
    return name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
