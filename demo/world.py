"""All that `manifests/` connect to, served on loopback, and what goes wrong with it in the show.

The token server and the SSH server are those of the tests, which verify what real ones verify.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from secrets import token_urlsafe
from typing import TypeVar

import asyncssh

from demo import project, servers, warehouse
from tests.servers.oauth import Client, Provider, oauth_server
from tests.servers.ssh import SshServer, ssh_server

#: The ports that the manifests name.
TOKENS_PORT = 8466
BASTION_PORT = 8467
#: The OAuth client of `manifests/campaigns.yaml`.
CLIENT = "reports"

_Served = TypeVar("_Served")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The servers, which go on while a step changes what they answer."""

    apis: Mapping[str, servers.SampleServer]
    #: gives tokens, and is the API that wants them
    tokens: Provider
    bastion: SshServer
    #: behind the bastion
    warehouse: warehouse.Warehouse

    @property
    def client_secret(self) -> str:
        """The secret that the token server accepts at this moment."""
        return self.tokens.clients[CLIENT].secret

    @property
    def ports(self) -> dict[str, tuple[int, int]]:
        """What is served on a port that a manifest names: that port, and the one it really has."""
        apis = {name: (api.sample.port, api.port) for name, api in self.apis.items()}
        return {
            **apis,
            "campaigns": (TOKENS_PORT, self.tokens.server.port),
            "bastion": (BASTION_PORT, self.bastion.port),
        }

    def revoke_crm_token(self) -> None:
        """The CRM accepts another token from now on."""
        crm = self.apis["crm"]
        crm.sample = replace(crm.sample, credential=project.bearer(token_urlsafe()))

    def accept_crm_token_again(self) -> None:
        """The CRM accepts what it accepted at first."""
        self.apis["crm"].sample = self.apis["crm"].first_sample

    def rotate_client_secret(self) -> None:
        """The token server knows another secret, and what the old one brought is worth nothing."""
        self.tokens.clients[CLIENT] = Client(secret=token_urlsafe())
        self.tokens.expire()

    def pose_as_bastion(self) -> None:
        """Somebody else answers for the bastion, whose logins are counted anew."""
        self.bastion.show(asyncssh.generate_private_key("ssh-ed25519"))
        self.bastion.connections = self.bastion.logins = 0

    def bring_bastion_back(self) -> None:
        """The bastion shows its own key again."""
        self.bastion.show(self.bastion.host_key)


@contextmanager
def serving(secrets: project.Secrets) -> Iterator[World]:
    """Serves everything while the block runs; OSError where that cannot be."""
    with ExitStack() as stack:
        behind = stack.enter_context(warehouse.serving(secrets.warehouse_password))
        apis = stack.enter_context(servers.serving(secrets.samples()))
        tokens = _at(stack, TOKENS_PORT, lambda port: oauth_server(port=port))
        tokens.clients[CLIENT] = Client(secret=token_urlsafe())
        hosts, ports = {warehouse.NAME: servers.LOOPBACK}, {warehouse.PORT: behind.port}
        bastion = _at(
            stack, BASTION_PORT, lambda port: ssh_server(hosts=hosts, ports=ports, port=port)
        )
        yield World(apis=apis, tokens=tokens, bastion=bastion, warehouse=behind)


def _at(
    stack: ExitStack, port: int, serve: Callable[[int], AbstractContextManager[_Served]]
) -> _Served:
    """Serves on `port`, or on a free one if that is taken."""
    try:
        return stack.enter_context(serve(port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return stack.enter_context(serve(0))


def files(seen: World, secrets: project.Secrets) -> dict[str, str]:
    """Returns the files that the manifests refer to, and what is in them."""
    return {
        "demo/secrets/inventory-key": f"{secrets.inventory_key}\n",
        "demo/secrets/bastion-key": seen.bastion.private_key,
        "demo/data/known_hosts": seen.bastion.known_hosts,
        "demo/data/warehouse-ca.pem": seen.warehouse.authority,
    }
