"""One request to a server that keeps secrets, through the same HTTP as every check.

So addresses that are never contacted are not contacted here either, nothing comes from the
environment, redirects are not followed, and everything ends by one deadline.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import field
from typing import NoReturn

from reconciler.auth.exchange import Request, Response
from reconciler.clients import http
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import Json
from reconciler.network import NetworkPolicy
from reconciler.secret_sources import LONGEST_SECRET_BYTES
from reconciler.secret_sources.waiting import in_time
from reconciler.values import dataclass

#: Room for a secret whose characters are all escaped, and for what is written around it.
_ANSWER_BYTES = 6 * LONGEST_SECRET_BYTES + 64 * 1024
#: The deadline of the request itself comes first.
_GRACE_S = 1.0
#: Such a server is named by the operator file itself, so it may be internal in every profile.
_OPERATORS_OWN = NetworkPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered: secrets, so that it shows none of it and is not pickled."""

    status: int
    #: the body, where it is JSON; else None
    data: Json = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an answer holds secrets and is not pickled or copied")


def ask(request: Request, *, server: str, ca: str, timeout_s: float) -> Answer:
    """Returns the answer to `request`, read as JSON; raises as `send`."""
    answer = send(request, server=server, ca=ca, timeout_s=timeout_s)
    return Answer(status=answer.status, data=parsed(answer.body))


def send(request: Request, *, server: str, ca: str, timeout_s: float) -> Response:
    """Returns the answer to `request`; `server` says in messages who was asked.

    Raises:
        SecretError: there is no complete answer; never with anything that was sent or received.
    """

    async def exchange() -> Response:
        deadline = asyncio.get_running_loop().time() + timeout_s
        route = http.Route(
            ca=ca,
            connect_s=timeout_s,
            deadline=deadline,
            body_bytes=_ANSWER_BYTES,
            network=_OPERATORS_OWN,
        )
        answer = await http.send(request, route, Stages())
        if answer.is_cut:
            raise SecretError(f"the answer of {server} is too long", "check the reference")
        return Response(status=answer.status, headers=answer.text_headers(), body=answer.body)

    try:
        return in_time(lambda: asyncio.run(exchange()), timeout_s + _GRACE_S)
    except ConnectionFailed as failure:
        raise SecretError(
            f"{server} cannot be asked: {failure.message}",
            "check its address and `ca` in the operator file, and that it runs",
        ) from None
    except TimeoutError:
        raise SecretError(f"{server} does not answer in time") from None


def parsed(body: bytes) -> Json:
    """Returns what `body` says in JSON, None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the text of a ValueError holds the body
        return None
