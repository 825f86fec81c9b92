"""A real OAuth 2 authorization server and the API that it protects, on loopback, for tests.

    with oauth_server() as provider:
        provider.clients["crm"] = Client(secret="s3cret")
        ...  provider.url, provider.token_url, provider.api_url, provider.issued, provider.refused

It verifies what a good one verifies: client secrets in the header or the body, signed statements
(audience, time, one use), PKCE S256, exact redirect addresses, one use of codes; it rotates refresh
tokens and, on the second use of one, ends the whole family (RFC 9700, section 4.14.2). Whatever a
test changes (`lifetime_s`, `failing`, `leeway_s` ...) holds from the next request on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from tests.servers import http_routes
from tests.servers.http import Client as Peer
from tests.servers.http import Received, Route, Server, http_server

Form = dict[str, str]


class Refused(Exception):
    """The answer is an error of RFC 6749, section 5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


@dataclass(slots=True, kw_only=True)
class Client:
    """A registered client."""

    #: empty for a public one
    secret: str = ""
    key: PublicKeyTypes | None = None
    redirects: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Code:
    client: str
    redirect: str
    challenge: str
    scope: str
    is_used: bool = False
    family: str = ""


@dataclass(slots=True, kw_only=True)
class _Refresh:
    client: str
    family: str
    scope: str
    used_at: float | None = None


@dataclass(slots=True, kw_only=True)
class _Device:
    client: str
    user_code: str
    scope: str
    verdict: str = "pending"
    polled_at: float = 0.0
    interval_s: float = 1.0


@dataclass(slots=True, kw_only=True)
class Provider:
    """The server and everything that it knows; read and changed by tests."""

    server: Server
    clients: dict[str, Client] = field(default_factory=dict)
    #: user name -> password, for the grant `password`
    users: dict[str, str] = field(default_factory=dict)
    #: issuer of statements -> key, for the grant `jwtBearer`
    issuers: dict[str, PublicKeyTypes] = field(default_factory=dict)
    #: seconds that an access token is good; None is not said
    lifetime_s: float | None = 3600.0
    #: how long after its first use a refresh token still works, as some servers allow
    leeway_s: float = 0.0
    is_rotating: bool = True
    #: sent as `iss` with every code; empty sends none
    issuer: str = ""
    #: answers every request for a token in place of the real answer
    failing: Route | None = None
    #: runs before a token is answered, after it was made: the moment of a crash
    before_answer: Callable[[], None] | None = None
    device_interval_s: float = 1.0
    #: forms of every request for a token
    asked: list[Form] = field(default_factory=list)
    #: access tokens that are good, and until when
    issued: dict[str, float] = field(default_factory=dict)
    #: tokens that were given back
    revoked: list[str] = field(default_factory=list)
    #: kinds of tokens that can be given back; a server need not offer all of them
    takes_back: frozenset[str] = frozenset({"refresh_token", "access_token"})
    #: scopes that nobody is given, whatever they ask for
    withheld: frozenset[str] = frozenset()
    #: errors that were answered
    refused: list[str] = field(default_factory=list)
    #: wrong client secrets and statements
    failed_logins: int = 0
    reuses: int = 0
    codes: dict[str, _Code] = field(default_factory=dict)
    refreshes: dict[str, _Refresh] = field(default_factory=dict)
    devices: dict[str, _Device] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _statements: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    @property
    def authorization_url(self) -> str:
        return f"{self.url}/authorize"

    @property
    def revocation_url(self) -> str:
        return f"{self.url}/revoke"

    @property
    def device_url(self) -> str:
        return f"{self.url}/device"

    @property
    def grants(self) -> list[str]:
        """The grants asked for, in order."""
        return [form.get("grant_type", "").rpartition(":")[2] for form in self.asked]

    def expire(self) -> None:
        """Makes every access token useless at once, whatever was said of its end."""
        self.issued.clear()

    def make_refresh(self, client: str, scope: str = "") -> str:
        """Returns a new refresh token, as if a person had agreed before."""
        return self._new_refresh(client, scope, secrets.token_urlsafe(8))

    def agree(self, user_code: str, verdict: str = "agreed") -> None:
        """A person enters the code of a device and agrees, or denies."""
        (device,) = (each for each in self.devices.values() if each.user_code == user_code)
        device.verdict = verdict

    # --- what the routes do ---------------------------------------------------------------------

    async def token(self, peer: Peer) -> None:
        """The token endpoint (RFC 6749, section 3.2)."""
        form = _form(peer.request)
        self.asked.append(form)
        if self.failing is not None:
            await self.failing(peer)
            return
        try:
            answer = self._grant(form, self._client(peer.request, form))
        except Refused as refusal:
            await self._refuse(peer, refusal)
            return
        if self.before_answer is not None:
            self.before_answer()
        await http_routes.json_body(answer)(peer)

    async def authorize(self, peer: Peer) -> None:
        """The consent page; it takes `?agree=no` as a person who does not want to."""
        given = dict(parse_qsl(urlsplit(peer.request.target).query))
        client = self.clients.get(given.get("client_id", ""))
        redirect = given.get("redirect_uri", "")
        # never redirects to an address that is not registered, whatever is wrong
        if client is None or redirect not in client.redirects:
            await http_routes.answer(400, b"unknown client or redirect")(peer)
            return
        back: Form = {"state": given.get("state", "")}
        if self.issuer:
            back["iss"] = self.issuer
        if given.get("response_type") != "code" or given.get("code_challenge_method") != "S256":
            back["error"] = "invalid_request"
        elif given.get("agree") == "no":
            back["error"] = "access_denied"
        else:
            back["code"] = code = secrets.token_urlsafe(16)
            self.codes[code] = _Code(
                client=given["client_id"],
                redirect=redirect,
                challenge=given.get("code_challenge", ""),
                scope=given.get("scope", ""),
            )
        await http_routes.redirect(f"{redirect}?{urlencode(back)}")(peer)

    async def device(self, peer: Peer) -> None:
        """The endpoint that gives codes to devices (RFC 8628, section 3.1)."""
        form = _form(peer.request)
        try:
            client = self._client(peer.request, form)
        except Refused as refusal:
            await self._refuse(peer, refusal)
            return
        code = secrets.token_urlsafe(16)
        user_code = secrets.token_hex(3).upper()
        self.devices[code] = _Device(
            client=client,
            user_code=user_code,
            scope=form.get("scope", ""),
            interval_s=self.device_interval_s,
        )
        answer = {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": f"{self.url}/enter",
            "expires_in": 600,
            "interval": self.device_interval_s,
        }
        await http_routes.json_body(answer)(peer)

    async def revoke(self, peer: Peer) -> None:
        """The revocation endpoint (RFC 7009): a refresh token ends with all that came from it."""
        form = _form(peer.request)
        try:
            client = self._client(peer.request, form)
        except Refused as refusal:
            await self._refuse(peer, refusal)
            return
        if form.get("token_type_hint") not in self.takes_back:
            await self._refuse(peer, Refused("unsupported_token_type"))
            return
        token = form["token"]
        self.revoked.append(token)
        self.issued.pop(token, None)
        known = self.refreshes.get(token)
        if known is not None and known.client == client:
            self._ended.add(known.family)
        await http_routes.answer(200)(peer)

    async def api(self, peer: Peer) -> None:
        """The API: good tokens only."""
        scheme, _, token = peer.request.headers.get("authorization", "").partition(" ")
        peer.server.logins += 1
        if scheme == "Bearer" and self.issued.get(token, 0.0) > _now():
            await http_routes.json_body({"status": "ok"})(peer)
            return
        peer.server.failed_logins += 1
        await http_routes.answer(401, headers=[("WWW-Authenticate", "Bearer")])(peer)

    async def any_token(self, peer: Peer) -> None:
        """The API as `api`, but tokens never end."""
        token = peer.request.headers.get("authorization", "").removeprefix("Bearer ")
        await http_routes.answer(200 if token in self.issued else 401)(peer)

    async def _refuse(self, peer: Peer, refusal: Refused) -> None:
        self.refused.append(refusal.error)
        body = json.dumps({"error": refusal.error, "error_description": "<script>"}).encode()
        headers = [("Content-Type", "application/json")]
        await http_routes.answer(refusal.status, body, headers=headers)(peer)

    # --- what it decides ------------------------------------------------------------------------

    def _client(self, request: Received, form: Form) -> str:
        """Returns who the client is, proven (RFC 6749, section 2.3; RFC 7523, section 3)."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if scheme == "Basic":
            pair = base64.b64decode(encoded).decode()
            name, secret = (unquote_plus(part) for part in pair.split(":", 1))
        assertion = form.get("client_assertion", "")
        if form.get("grant_type", "").endswith("jwt-bearer") and not (name or assertion):
            return ""
        client = self.clients.get(name)
        if client is None:
            self.failed_logins += 1
            raise Refused("invalid_client", 401)
        if client.key is not None:
            claims = self._verified(assertion, client.key)
            is_known = claims.get("iss") == claims.get("sub") == name
        else:
            is_known = secrets.compare_digest(client.secret, secret)
        if not is_known:
            self.failed_logins += 1
            raise Refused("invalid_client", 401)
        return name

    def _grant(self, form: Form, client: str) -> Mapping[str, object]:
        match form.get("grant_type", "").rpartition(":")[2]:
            case "client_credentials":
                return self._tokens(form.get("scope", ""))
            case "password":
                if self.users.get(form.get("username", "")) != form.get("password"):
                    self.failed_logins += 1
                    raise Refused("invalid_grant")
                return self._tokens(form.get("scope", ""))
            case "jwt-bearer":
                return self._bearer(form)
            case "authorization_code":
                return self._exchange(form, client)
            case "refresh_token":
                return self._refresh(form, client)
            case "device_code":
                return self._poll(form, client)
            case _:
                raise Refused("unsupported_grant_type")

    def _bearer(self, form: Form) -> Mapping[str, object]:
        _, body, _ = (*form.get("assertion", "").split("."), "", "", "")[:3]
        key = self.issuers.get(_json_part(body).get("iss", ""))
        if key is None or not self._verified(form["assertion"], key):
            self.failed_logins += 1
            raise Refused("invalid_grant")
        return self._tokens(form.get("scope", ""))

    def _exchange(self, form: Form, client: str) -> Mapping[str, object]:
        code = self.codes.get(form.get("code", ""))
        if code is None or code.client != client or code.redirect != form.get("redirect_uri"):
            raise Refused("invalid_grant")
        if code.is_used:  # RFC 6749, section 4.1.2: what the code gave is taken back
            self._ended.add(code.family)
            self.reuses += 1
            raise Refused("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            raise Refused("invalid_grant")
        code.is_used, code.family = True, secrets.token_urlsafe(8)
        return self._tokens(code.scope, refresh=self._new_refresh(client, code.scope, code.family))

    def _refresh(self, form: Form, client: str) -> Mapping[str, object]:
        known = self.refreshes.get(form.get("refresh_token", ""))
        if known is None or known.client != client or known.family in self._ended:
            raise Refused("invalid_grant")
        now = time.monotonic()
        if not self.is_rotating:
            return self._tokens(known.scope)
        if known.used_at is not None and now - known.used_at > self.leeway_s:
            self._ended.add(known.family)
            self.reuses += 1
            raise Refused("invalid_grant")
        if known.used_at is None:
            known.used_at = now
        renewed = self._new_refresh(client, known.scope, known.family)
        return self._tokens(known.scope, refresh=renewed)

    def _poll(self, form: Form, client: str) -> Mapping[str, object]:
        device = self.devices.get(form.get("device_code", ""))
        if device is None or device.client != client:
            raise Refused("invalid_grant")
        now = time.monotonic()
        is_too_soon = now - device.polled_at < device.interval_s * 0.9
        device.polled_at = now
        if is_too_soon:
            device.interval_s += 5
            raise Refused("slow_down")
        if device.verdict == "pending":
            raise Refused("authorization_pending")
        if device.verdict != "agreed":
            raise Refused("access_denied")
        family = secrets.token_urlsafe(8)
        return self._tokens(device.scope, refresh=self._new_refresh(client, device.scope, family))

    def _tokens(self, scope: str, *, refresh: str = "") -> Mapping[str, object]:
        token = f"at-{secrets.token_urlsafe(24)}"
        lasting = 3600.0 if self.lifetime_s is None else self.lifetime_s
        self.issued[token] = _now() + lasting
        answer: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if self.lifetime_s is not None:
            answer["expires_in"] = self.lifetime_s
        if refresh:
            answer["refresh_token"] = refresh
        granted = [each for each in scope.split() if each not in self.withheld]
        return {**answer, "scope": " ".join(granted)}

    def _new_refresh(self, client: str, scope: str, family: str) -> str:
        token = f"rt-{secrets.token_urlsafe(24)}"
        self.refreshes[token] = _Refresh(client=client, family=family, scope=scope)
        return token

    def _verified(self, statement: str, key: PublicKeyTypes) -> Form:
        """Returns the claims of a statement, empty where it is not good here and now."""
        parts = statement.split(".")
        if len(parts) != 3:
            return {}
        claims = _json_part(parts[1])
        algorithm = _json_part(parts[0]).get("alg", "")
        signed = f"{parts[0]}.{parts[1]}".encode()
        if not _is_signed(key, algorithm, signed, _decoded(parts[2])):
            return {}
        now = _now()
        is_now = float(claims["iat"]) - 5 <= now < float(claims["exp"]) <= now + 600
        if not is_now or claims.get("aud") != self.token_url or claims["jti"] in self._statements:
            return {}
        self._statements.add(claims["jti"])
        return claims


@contextmanager
def oauth_server(*, port: int = 0) -> Iterator[Provider]:
    """Runs a server on loopback, on a free port unless `port` says which; `/api` is the API."""
    with http_server({}, port=port) as server:
        provider = Provider(server=server)
        server.routes |= {
            "/token": provider.token,
            "/authorize": provider.authorize,
            "/device": provider.device,
            "/revoke": provider.revoke,
            "/api": provider.api,
        }
        yield provider


def _now() -> float:
    return datetime.now(UTC).timestamp()  # noqa: TID251 - a server has a clock of its own


def _form(request: Received) -> Form:
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), "a field is sent twice"
    return dict(pairs)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json_part(text: str) -> Form:
    try:
        data = json.loads(_decoded(text))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _is_signed(key: PublicKeyTypes, algorithm: str, data: bytes, signature: bytes) -> bool:
    try:
        match algorithm, key:
            case "RS256", rsa.RSAPublicKey():
                key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            case "PS256", rsa.RSAPublicKey():
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
                key.verify(signature, data, pss, hashes.SHA256())
            case "ES256", ec.EllipticCurvePublicKey():
                first, second = (int.from_bytes(part) for part in (signature[:32], signature[32:]))
                encoded = utils.encode_dss_signature(first, second)
                key.verify(encoded, data, ec.ECDSA(hashes.SHA256()))
            case "EdDSA", ed25519.Ed25519PublicKey():
                key.verify(signature, data)
            case _:
                return False
    except InvalidSignature:
        return False
    return True
