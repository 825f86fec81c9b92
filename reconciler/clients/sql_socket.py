"""Opens the socket under a database driver: to checked addresses, timed, held by the lifeline.

For drivers that take a socket or let one be put under them, as it is or with TLS on it; libpq opens
its own. Blocking, in the driver's thread.
"""

from __future__ import annotations

import socket
import ssl

from reconciler.clients import tcp, tls
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.stages import Stages
from reconciler.model import StageName


def connect(login: Login, attempt: Attempt) -> socket.socket:
    """Returns a socket to the first address that accepts; each gets an even share of the time.

    One that is connected already is taken over.
    """
    if login.ready is not None:
        ready = socket.socket(fileno=login.ready.detach())  # ours from now on
        attempt.lifeline.hold_socket(ready.fileno())
        return ready
    # connecting to a port of our own is no step of its own: the way behind it is open already
    stages = Stages() if login.is_relayed else attempt.stages
    with stages.stage(StageName.TCP) as stage:
        for left, address in zip(range(len(login.addresses), 0, -1), login.addresses, strict=True):
            stage.detail = address
            share = seconds_until(attempt.connect_by) / left
            plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                attempt.lifeline.hold_socket(plain.fileno())
                plain.settimeout(share)
                plain.connect((address, login.port))
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                plain.close()
                is_late = attempt.is_over or isinstance(error, TimeoutError)
                if left == 1 or attempt.is_over:
                    raise (attempt.timed_out() if is_late else tcp.connect_failure(error)) from None
            else:
                return plain
    raise AssertionError("a login has at least one address")


def open_secured(login: Login, attempt: Attempt) -> socket.socket:
    """Returns a connection to the server of `login`, after the handshake where it has TLS.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    plain = connect(login, attempt)
    if login.tls_mode == "disable":
        return plain
    try:
        mode = tls.TlsMode(login.tls_mode)
        context = tls.context(mode, login.ca, own=login.identity, minimum=login.tls_minimum)
        with attempt.stages.stage(StageName.TLS):
            plain.settimeout(seconds_until(attempt.connect_by))
            return context.wrap_socket(plain, server_hostname=login.certified_name)
    except BaseException as error:
        plain.close()
        if not isinstance(error, OSError):
            raise
        if attempt.is_over or isinstance(error, TimeoutError):
            raise attempt.timed_out() from None
        if isinstance(error, ssl.SSLError):
            raise tls.failure(error) from None
        raise tls.cut() from None
