"""A Digest login as a server checks it (RFC 7616), written apart from the client's code.

Beside `http_routes` and not in it, since it has a memory: each challenge has a nonce of its own.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.servers.http import Client, Received, Route
from tests.servers.http_routes import answer

_FIELD = re.compile(r'([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))(?:,\s*|$)')
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


@dataclass(slots=True, kw_only=True)
class DigestLogin:
    """What a server asks for and accepts; `route` answers 200 to who knows the password."""

    username: str
    password: str
    realm: str = "reports"
    algorithm: str = "SHA-256"
    #: empty is that of RFC 2069
    qop: str = "auth"
    userhash: bool = False
    #: how many right answers are called stale before one is taken
    stale: int = 0
    #: what stands before our own challenge
    others: str = ""
    nonces: set[str] = field(default_factory=set)

    def route(self) -> Route:
        async def check(client: Client) -> None:
            credential = client.request.headers.get("authorization")
            if credential is None:
                await self._refuse(client)
                return
            client.server.logins += 1
            is_right = self.is_right(client.request, credential)
            if is_right and self.stale:
                self.stale -= 1
                await self._refuse(client, ", stale=true")
            elif is_right:
                await answer(200, b"pong")(client)
            else:
                client.server.failed_logins += 1
                await self._refuse(client)

        return check

    async def _refuse(self, client: Client, end: str = "") -> None:
        nonce = secrets.token_hex(8)
        self.nonces.add(nonce)
        challenge = f'Digest realm="{self.realm}", nonce="{nonce}", opaque="o\\"p"'
        challenge += f", algorithm={self.algorithm}" if self.algorithm else ""
        challenge += f', qop="{self.qop}"' if self.qop else ""
        challenge += ", userhash=true" if self.userhash else ""
        headers = [("WWW-Authenticate", self.others + challenge + end)]
        await answer(401, headers=headers)(client)

    def is_right(self, request: Received, credential: str) -> bool:
        """Whether `credential` answers one of our challenges, once, for this request."""
        scheme, _, rest = credential.partition(" ")
        given = {name: quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        if scheme != "Digest" or given.get("nonce") not in self.nonces:
            return False
        self.nonces.discard(given["nonce"])
        return (
            given.get("uri") == request.target
            and given.get("opaque") == 'o\\"p'
            and given.get("algorithm", "") == self.algorithm
            and self._is_named(given)
            and given.get("response") == self._response(request, given)
        )

    def _hash(self, text: str) -> str:
        name = _HASHES[self.algorithm.removesuffix("-sess") or "MD5"]
        return hashlib.new(name, text.encode()).hexdigest()

    def _is_named(self, given: Mapping[str, str]) -> bool:
        if self.userhash:
            named = self._hash(f"{self.username}:{self.realm}")
            return (given.get("username"), given.get("userhash")) == (named, "true")
        return given.get("username") == self.username

    def _response(self, request: Received, given: Mapping[str, str]) -> str:
        secret = self._hash(f"{self.username}:{self.realm}:{self.password}")
        if self.algorithm.endswith("-sess"):
            secret = self._hash(f"{secret}:{given['nonce']}:{given['cnonce']}")
        action = self._hash(f"{request.method}:{request.target}")
        if not self.qop:
            return self._hash(f"{secret}:{given['nonce']}:{action}")
        middle = f"{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}"
        return self._hash(f"{secret}:{middle}:{action}")
