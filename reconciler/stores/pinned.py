"""Where the server of a state store is: resolved once for each connection, judged, and kept.

Beside `postgresql.py`. A state URL may come with a pull request, as a manifest may, and libpq would
connect to whatever a name resolves to when it asks. So it is given numeric addresses, those that
were judged, beside the names that certificates are for (libpq, `hostaddr`).
"""

from __future__ import annotations

from reconciler.clients import destination
from reconciler.errors import ConnectionFailed, DestinationDenied, StoreUnavailable
from reconciler.model import Reason
from reconciler.network import NetworkPolicy
from reconciler.values import dataclass

_PORT = "5432"
#: What stands for the folder of sockets that is built into libpq, where no host is named.
_DEFAULT_FOLDER = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One way to a server."""

    host: str
    #: numeric, or empty for a socket
    address: str
    port: str


def places(hosts: str, ports: str, network: NetworkPolicy, name: str) -> tuple[Place, ...]:
    """Returns the ways to the servers that libpq's `host` and `port` name, in their order.

    A name that has no address is left out, as long as another has one. `name` is what messages
    call the store. Asks the system's resolver, and blocks meanwhile.

    Raises:
        DestinationDenied: one of the servers is at an address that is not contacted.
        StoreUnavailable: none of them has an address.
    """
    named = hosts.split(",")
    given = ports.split(",")
    numbers = given if len(given) == len(named) else given[:1] * len(named)
    found: list[Place] = []
    for host, number in zip(named, numbers, strict=True):
        port = number or _PORT
        try:
            found += [
                Place(host=host, address=address, port=port)
                for address in _addresses(host, port, network)
            ]
        except ConnectionFailed as failure:
            if failure.reason is Reason.DESTINATION_DENIED:
                raise DestinationDenied(
                    f"the state store {name} is not contacted: {failure.message}",
                    "name a server of your own; one at an internal address can be named by"
                    " RECONCILER_STATE, `--state` or the operator file",
                ) from None
    if not found:
        raise StoreUnavailable(
            f"the state store {name} cannot be reached: no host of that name is known",
            "check the spelling of the host, and that this machine can resolve it",
        )
    return tuple(found)


def _addresses(host: str, port: str, network: NetworkPolicy) -> tuple[str, ...]:
    if not host or host.startswith(("/", "@")):  # libpq: a folder, or a socket without a file
        folder = (host or _DEFAULT_FOLDER).rstrip("/")
        destination.refuse_socket(f"{folder}/.s.PGSQL.{port}", network)
        return ("",)
    number = int(port) if port.isascii() and port.isdigit() else 0
    return destination.resolve_now(host, number, network)
