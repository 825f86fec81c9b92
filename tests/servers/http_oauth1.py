"""An OAuth 1.0 provider that verifies every signature (RFC 5849), written apart from the client.

It knows one client and its tokens, takes no nonce twice and no time stamp that is old, and gives
out temporary credentials and tokens, so that the whole way to consent can be walked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.servers.http import Client, Received, Route
from tests.servers.http_routes import answer

_FIELD = re.compile(r'\s*([A-Za-z_]+)="([^"]*)"\s*(?:,|$)')
#: Time stamps may differ from the provider's clock by so many seconds.
_LENIENCE_S = 300


@dataclass(slots=True, kw_only=True)
class Provider:
    """The client and the tokens that are known, and what was seen."""

    consumer_key: str
    consumer_secret: str = ""
    #: of a client that signs with RSA, in PEM
    public_key: bytes = b""
    signature_method: str = "HMAC-SHA1"
    realm: str = "Photos"
    #: token -> its secret
    tokens: dict[str, str] = field(default_factory=dict)
    #: temporary token -> its secret, its callback, its verifier
    temporary: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    nonces: set[tuple[str, str]] = field(default_factory=set)

    def routes(self) -> dict[str, Route]:
        return {
            "/photos": self.resource,
            "/initiate": self.initiate,
            "/token": self.exchange,
        }

    async def resource(self, client: Client) -> None:
        """Answers 200 to a request that is signed for a known token."""
        given = _given(client.request)
        secret = self.tokens.get(given.get("oauth_token", ""))
        is_right = secret is not None and self._is_signed(client.request, given, secret)
        await _answer(client, b"photos" if is_right else None)

    async def initiate(self, client: Client) -> None:
        """Gives out temporary credentials (RFC 5849, section 2.1)."""
        given = _given(client.request)
        if "oauth_callback" not in given or not self._is_signed(client.request, given, ""):
            await _answer(client, None)
            return
        token, secret = secrets.token_hex(8), secrets.token_hex(8)
        self.temporary[token] = (secret, given["oauth_callback"], secrets.token_hex(4))
        text = f"oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true"
        await _answer(client, text.encode())

    def consent(self, token: str) -> str:
        """Returns the verifier that the user would bring back from `token`'s page."""
        return self.temporary[token][2]

    async def exchange(self, client: Client) -> None:
        """Gives a token for temporary credentials and their verifier, once (section 2.3)."""
        given = _given(client.request)
        secret, _, verifier = self.temporary.get(given.get("oauth_token", ""), ("", "", ""))
        is_right = bool(verifier) and given.get("oauth_verifier") == verifier
        if not is_right or not self._is_signed(client.request, given, secret):
            await _answer(client, None)
            return
        del self.temporary[given["oauth_token"]]
        token = secrets.token_hex(8)
        self.tokens[token] = secrets.token_hex(8)
        text = f"oauth_token={token}&oauth_token_secret={self.tokens[token]}"
        await _answer(client, text.encode())

    def _is_signed(self, request: Received, given: Mapping[str, str], token_secret: str) -> bool:
        seen = (given.get("oauth_timestamp", ""), given.get("oauth_nonce", ""))
        is_fresh = seen[0].isdigit() and abs(int(seen[0]) - time.time()) < _LENIENCE_S  # noqa: TID251 -- a server's own clock
        if not is_fresh or not seen[1] or seen in self.nonces:
            return False
        self.nonces.add(seen)
        return (
            given.get("oauth_consumer_key") == self.consumer_key
            and given.get("oauth_signature_method") == self.signature_method
            and given.get("realm") == self.realm
            and self._fits(given["oauth_signature"], _base(request, given), token_secret)
        )

    def _fits(self, signature: str, base: str, token_secret: str) -> bool:
        key = f"{_encoded(self.consumer_secret)}&{_encoded(token_secret)}"
        match self.signature_method:
            case "PLAINTEXT":
                return signature == key
            case "RSA-SHA1":
                public = serialization.load_pem_public_key(self.public_key)
                assert isinstance(public, rsa.RSAPublicKey)
                try:
                    public.verify(
                        base64.b64decode(signature),
                        base.encode(),
                        padding.PKCS1v15(),
                        hashes.SHA1(),
                    )
                except InvalidSignature:
                    return False
                return True
            case name:
                hashed = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}[name]
                made = hmac.new(key.encode(), base.encode(), hashed).digest()
                return signature == base64.b64encode(made).decode()


def _given(request: Received) -> dict[str, str]:
    """Returns the fields of the Authorization header, decoded."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return (
        {name: unquote(value) for name, value in _FIELD.findall(rest)} if scheme == "OAuth" else {}
    )


def _base(request: Received, given: Mapping[str, str]) -> str:
    path, _, query = request.target.partition("?")
    pairs = [pair for pair in given.items() if pair[0] not in ("realm", "oauth_signature")]
    pairs += parse_qsl(query, keep_blank_values=True)
    if request.headers.get("content-type") == "application/x-www-form-urlencoded":
        pairs += parse_qsl(request.body.decode(), keep_blank_values=True)
    joined = "&".join(
        f"{name}={value}"
        for name, value in sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    )
    url = f"http://{request.headers['host'].lower()}{path}"
    return "&".join(map(_encoded, (request.method, url, joined)))


def _encoded(text: str) -> str:
    return quote(text, safe="~")


async def _answer(client: Client, body: bytes | None) -> None:
    """Answers with `body`; None counts a failed login."""
    client.server.logins += 1
    if body is None:
        client.server.failed_logins += 1
        await answer(401, headers=[("WWW-Authenticate", 'OAuth realm="Photos"')])(client)
    else:
        form = ("Content-Type", "application/x-www-form-urlencoded")
        await answer(200, body, headers=[form])(client)
