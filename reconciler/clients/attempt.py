"""One attempt to log in to a database: as whom and where to, and what it may use on the way.

These values pass from `probes.sql` on the event loop to a driver in a thread. They are apart from
`sql.py` so that every driver module can import them without importing the table it stands in.
A thread cannot be cancelled; the `Lifeline` is how the loop ends a driver that waits for a server.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from socket import socket as Socket  # noqa: N812  # a field is called `socket`
from typing import TYPE_CHECKING

from reconciler.clients import stages
from reconciler.clients.meaning import PROXY_LATE, TUNNEL_LATE, Meaning
from reconciler.errors import ConnectionFailed
from reconciler.kinds.engine_traits import VERIFIED_MODES, Value
from reconciler.model import Reason, StageName
from reconciler.redact import Redactor, Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.clients.tls_identity import Identity


#: Of the answer to a query; several times as much is held while it is read.
LONGEST_CHECKED_BYTES = 16 * 1024 * 1024
LONGEST_READ_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where to and as whom to connect; everything that a driver is told."""

    #: name of the driver, a key of `sql.DRIVERS`
    driver: str
    #: name that the certificate must bear; empty for a database in a file
    host: str = ""
    #: numeric, checked by `destination`; only these are contacted, in this order
    addresses: tuple[str, ...] = ()
    port: int = 0
    #: name of the database, or the absolute path of its file
    database: str
    #: folder that the file must lie in, links followed
    root: str = "/"
    #: how to log in, a value of `auth.method`
    method: str = "none"
    username: str = ""
    #: or a token in its place; None sends nothing
    password: Secret | None = None
    #: value of the header that carries the credential, for engines that are HTTP APIs
    authorization: Secret | None = None
    #: `verify-full`, `verify-ca`, `require` or `disable`
    tls_mode: str = "disable"
    #: PEM text of the authorities to trust; empty trusts the machine's
    ca: str = ""
    #: path of the server's socket on this machine, in place of addresses and port
    socket: str = ""
    #: whether the one address is a port of our own, with the server at its other end
    is_relayed: bool = False
    #: connected to the server already; whoever logs in owns it
    ready: Socket | None = None
    #: behind hops: opens the way once more within so many seconds, from the driver's thread
    again: Callable[[float], Socket] | None = None
    #: name that the certificate must bear instead of `host`
    server_name: str = ""
    #: oldest version of TLS, a key of `tls.VERSIONS`
    tls_minimum: str = "1.2"
    #: newest one that the driver's protocol can carry; empty for any
    tls_newest: str = ""
    #: shown to a server that asks who we are
    identity: Identity | None = None
    #: the manifest's options, by the driver's own names
    options: Mapping[str, Value] = field(default_factory=dict)

    @property
    def is_verified(self) -> bool:
        """Whether the server must prove with a certificate who it is."""
        return self.tls_mode in VERIFIED_MODES

    @property
    def certified_name(self) -> str:
        """Name that the certificate must bear, and that the server is asked for (SNI)."""
        return self.server_name or self.host


class Lifeline:
    """Ends a driver that waits in another thread; `cut` may come at any time, from any thread."""

    __slots__ = ("_end", "_guard", "_is_cut", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cut = False
        self._end: Callable[[], None] | None = None
        self._guard: socket.socket | None = None

    @property
    def is_cut(self) -> bool:
        return self._is_cut

    def hold_socket(self, descriptor: int) -> None:
        """Makes `cut` shut down the connection behind `descriptor`, instead of what was held.

        Keeps a duplicate, so that a driver may close its own descriptor at any time without the
        number meaning another file when `cut` comes.
        """
        guard = socket.socket(fileno=os.dup(descriptor))
        self.hold(lambda: guard.shutdown(socket.SHUT_RDWR), guard)

    def hold(self, end: Callable[[], None], guard: socket.socket | None = None) -> None:
        """Makes `cut` call `end`, which must not block; calls it now when `cut` came before."""
        self.release()
        with self._lock:
            self._end, self._guard = end, guard
            if self._is_cut:
                self._call()

    def cut(self) -> None:
        """Ends what is held, now or as soon as something is."""
        with self._lock:
            self._is_cut = True
            self._call()

    def release(self) -> None:
        """Forgets what is held; `cut` no longer touches it."""
        with self._lock:
            self._end = None
            if self._guard is not None:
                self._guard.close()
                self._guard = None

    def _call(self) -> None:
        if self._end is not None:
            with suppress(OSError):  # not connected any more: ended already
                self._end()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt may use; deadlines are on the clock of `time.monotonic`."""

    stages: stages.Stages
    redactor: Redactor
    lifeline: Lifeline
    #: the login must be done by then
    connect_by: float
    #: longest time for the health query
    query_s: float
    #: everything must be done by then
    end_by: float
    #: of a check; empty where a person or a program uses the connection, who may read what is said
    health_query: str = ""

    def remaining(self, by: float) -> float:
        """Returns the seconds left until `by`.

        Raises:
            TimeoutError: none are left, or the lifeline was cut.
        """
        left = by - time.monotonic()
        if left <= 0 or self.lifeline.is_cut:
            raise TimeoutError
        return left

    @property
    def query_by(self) -> float:
        """When a query that starts now must be done."""
        return min(self.end_by, time.monotonic() + self.query_s)

    @property
    def longest_answer_bytes(self) -> int:
        """How much of what a query gives is read; a person may want more than a check."""
        return LONGEST_CHECKED_BYTES if self.health_query else LONGEST_READ_BYTES

    def untimed(self) -> Attempt:
        """Returns what one more connection of this attempt may use: all its time, no stages."""
        return replace(self, stages=stages.Stages(), connect_by=self.end_by)

    @property
    def is_over(self) -> bool:
        """Whether whatever failed just now failed because its time was up."""
        return self.lifeline.is_cut or time.monotonic() >= self.end_by

    def timed_out(self) -> ConnectionFailed:
        """Returns the failure of the stage that took too long."""
        stage = self.stages.last
        if stage not in _TIMEOUTS:
            stage = StageName.TCP
        return _TIMEOUTS[stage].at(stage)


def seconds_until(by: float) -> float:
    """Returns the seconds left until `by`, for a time-out; never none, which would mean no end."""
    return max(0.001, by - time.monotonic())


#: What it means that time ran out, by the stage that was under way.
_TIMEOUTS = {
    StageName.TUNNEL: TUNNEL_LATE,
    StageName.PROXY: PROXY_LATE,
    StageName.DNS: Meaning(
        reason=Reason.DNS_FAILURE,
        message="the host name is not resolved in time",
        hint="check that this machine's name servers answer",
    ),
    StageName.TCP: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not accept the connection in time",
        hint="check the host and the port, and that a firewall between lets the connection through",
    ),
    StageName.TLS: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not finish the TLS handshake in time",
        hint="check that the port belongs to a server of this engine",
    ),
    StageName.AUTH: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not finish the login in time",
        hint="check that the port belongs to a server of this engine",
    ),
    StageName.QUERY: Meaning(
        reason=Reason.READ_TIMEOUT,
        message="the health query does not finish in time",
        hint="choose a cheaper `health.query`, or raise `health.timeout` and `timeout.query`",
    ),
}
