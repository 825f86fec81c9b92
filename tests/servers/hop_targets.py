"""What tests of hops share: blocks of a manifest, and one probe of an API that closes its hops."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from reconciler import kinds
from reconciler.model import Json, JsonObject, Observation
from reconciler.probes import Tools, http
from reconciler.redact import Redactor, Secret
from tests.servers import http_targets
from tests.servers.proxies import ProxyServer
from tests.servers.ssh import PASSPHRASE, PASSWORD, USER, SshServer

PROXY_PASSWORD = "sesam: öffne dich"
#: Every secret that a block below refers to, by its pointer.
SECRETS = {
    "/proxy/auth/password": PROXY_PASSWORD,
    "/ssh/password": PASSWORD,
    "/ssh/jump/password": PASSWORD,
}
REFERENCE: JsonObject = {"env": "SECRET"}


def proxy_block(proxy: ProxyServer, scheme: str, **changes: Json) -> JsonObject:
    """Returns `proxy` of a spec, with a login where the proxy wants one."""
    login = {"username": "report", "password": REFERENCE}
    return {
        "url": proxy.url(scheme),
        **({"auth": login} if proxy.logins_known else {}),
        **changes,
    }


def ssh_block(server: SshServer, **changes: Json) -> JsonObject:
    """Returns `ssh` of a spec that logs in with the password."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "username": USER,
        "password": REFERENCE,
        "knownHosts": {"file": server.known_hosts},
        **changes,
    }


def key_block(server: SshServer, **changes: Json) -> tuple[JsonObject, dict[str, str]]:
    """Returns `ssh` of a spec that logs in with the key under its passphrase, and the secrets."""
    block = ssh_block(server, privateKey=REFERENCE, passphrase=REFERENCE, **changes)
    del block["password"]  # type: ignore[attr-defined]  # a dict, typed as read-only
    return block, {"/ssh/privateKey": server.encrypted_key, "/ssh/passphrase": PASSPHRASE}


def make_tools() -> Tools:
    """Returns tools for which a public reference holds its text itself."""
    return http_targets.make_tools(Redactor(), lambda reference: str(reference["file"]))


async def probe_all(
    count: int, base_url: str, secrets: Mapping[str, str] | None = None, **spec: Json
) -> list[Observation]:
    """Returns what `count` probes of an API found that ran in one pass, at once."""
    tools = make_tools()
    target = http_targets.make_target(base_url, **spec)
    values = SECRETS if secrets is None else secrets
    resolved = {}
    for pointer, _ in kinds.shape("ApiConnection").secrets(target.spec):
        tools.redactor.add(values[pointer])
        resolved[pointer] = Secret(values[pointer])
    try:
        return await asyncio.gather(
            *(
                http.probe(target, resolved, tools, reached=http_targets.RESOLVED)
                for _ in range(count)
            )
        )
    finally:
        await tools.hops.close()
        tools.threads.shutdown()


@contextmanager
def refusing_port() -> Iterator[int]:
    """Gives a port that refuses connections, and that no other test gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def descriptors_left(allowed: int = sys.maxsize) -> int:
    """Returns how many descriptors are open, once no more than `allowed` are or after a while.

    The servers of these tests run in this process, and close their ends when they notice.
    """
    give_up_at = time.monotonic() + 10.0
    while (count := len(os.listdir("/dev/fd"))) > allowed and time.monotonic() < give_up_at:  # noqa: PTH208  # names, not paths
        os.sched_yield()
    return count


def probe(base_url: str, secrets: Mapping[str, str] | None = None, **spec: Json) -> Observation:
    """Returns what one probe of an API found, by default with the right `SECRETS`."""
    (found,) = asyncio.run(probe_all(1, base_url, secrets, **spec))
    return found
