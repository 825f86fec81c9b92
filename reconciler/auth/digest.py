"""HTTP Digest authentication (RFC 7616): the password proves itself and is not sent.

One of the methods of `auth.ApiAuth`; pure. The first request carries no credential; the server's
challenge says what to make one from. A server that does not ask for Digest gets none: to fall back
to Basic would hand the password to whoever asks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import quote

from pydantic import Field

from reconciler.auth.challenges import challenges
from reconciler.auth.exchange import (
    Flow,
    Moment,
    Request,
    Response,
    Secrets,
    revealed,
    target,
    with_header,
)
from reconciler.auth.spec_model import SecretReference, SpecModel, at, whole
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: `algorithm` without `-sess`, in lower case -> name of the hash (RFC 7616, section 6.1).
_HASHES: Final = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
_UNAUTHORIZED: Final = 401
#: `nc`: each nonce is used for one request.
_COUNT: Final = "00000001"


class DigestAuth(SpecModel):
    """User name and password, hashed with a number of the server's."""

    method: Literal["digest"] = Field(
        description="Proves that the password is known, without sending it (RFC 7616)."
    )
    # a colon would end the user name in what is hashed
    username: Annotated[str, Field(pattern=whole(r"[^:\x00-\x1f\x7f]+"), max_length=256)] = Field(
        description="User name; it cannot have a colon.", examples=["report"]
    )
    password: SecretReference = Field(description="Where the password is.")

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:
        """Yields `request` as it is, then with the answer to the challenge that came back.

        A server that says that its challenge went stale is answered once more. Where no login is
        asked for, none is made.

        Raises:
            SecretError: the password was not resolved.
            ConnectionFailed: ProtocolError, when the server asks for a login in no form of Digest
                that is known here; no credential was sent.
        """
        password = revealed(secrets, at("password"))
        response = yield request
        if response.status != _UNAUTHORIZED:
            return
        challenge = _challenge(response)
        if challenge is None:
            raise ConnectionFailed(
                Reason.PROTOCOL_ERROR,
                StageName.AUTH,
                "the server asks for a login, but not by Digest with an algorithm known here",
                "ask which method it takes: `auth: {method: basic, ...}`, for instance",
            )
        response = yield self._answer(request, challenge, password, moment)
        again = _challenge(response) if response.status == _UNAUTHORIZED else None
        if again and again.get("stale", "").lower() == "true":
            yield self._answer(request, again, password, moment)

    def _answer(
        self, request: Request, challenge: Mapping[str, str], password: str, moment: Moment
    ) -> Request:
        """Returns `request` with its Authorization header (RFC 7616, section 3.4)."""
        algorithm = challenge.get("algorithm", "MD5")
        digest = _Digest(algorithm)
        is_session, has_qop = algorithm.lower().endswith("-sess"), "qop" in challenge
        uri, client_nonce = target(request.url), moment.nonce()
        nonce = challenge["nonce"].encode("latin-1")
        secret = digest.of(self.username, challenge["realm"].encode("latin-1"), password)
        if is_session:
            secret = digest.of(secret, nonce, client_nonce)
        counted = (_COUNT, client_nonce, "auth") if has_qop else ()
        proof = digest.of(secret, nonce, *counted, digest.of(request.method, uri))
        fields = {
            **self._name(challenge, digest),
            "realm": _quoted(challenge["realm"]),
            "nonce": _quoted(challenge["nonce"]),
            "uri": _quoted(uri),
            "response": _quoted(proof),
        }
        if "algorithm" in challenge:
            fields["algorithm"] = algorithm
        if "opaque" in challenge:
            fields["opaque"] = _quoted(challenge["opaque"])
        if has_qop:
            fields |= {"qop": "auth", "nc": _COUNT}
        if has_qop or is_session:
            fields["cnonce"] = _quoted(client_nonce)
        credential = ", ".join(f"{name}={value}" for name, value in fields.items())
        return with_header(request, "Authorization", f"Digest {credential}")

    def _name(self, challenge: Mapping[str, str], digest: _Digest) -> dict[str, str]:
        """Returns the user name as the server wants it (RFC 7616, sections 3.4, 3.4.4)."""
        if challenge.get("userhash", "").lower() == "true":
            hashed = digest.of(self.username, challenge["realm"].encode("latin-1"))
            return {"username": _quoted(hashed), "userhash": "true"}
        if self.username.isascii():
            return {"username": _quoted(self.username)}
        return {"username*": f"UTF-8''{quote(self.username, safe='')}"}


class _Digest:
    """The hash of one algorithm, over parts joined by colons, in UTF-8."""

    def __init__(self, algorithm: str) -> None:
        self._name = _HASHES[algorithm.lower().removesuffix("-sess")]

    def of(self, *parts: str | bytes) -> str:
        """Returns the hash in hexadecimal; what came from the server is given as its own octets."""
        joined = b":".join(part.encode() if isinstance(part, str) else part for part in parts)
        # the protocol decides the hash, and MD5 guards nothing of ours
        return hashlib.new(self._name, joined, usedforsecurity=False).hexdigest()


def _challenge(response: Response) -> Mapping[str, str] | None:
    """Returns the first Digest challenge that can be answered, or None.

    The first, since the server lists them in its order of preference (RFC 7616, section 3.7).
    """
    for challenge in challenges(response):
        values = challenge.parameters
        hashed = values.get("algorithm", "MD5").lower().removesuffix("-sess")
        ways = [way.strip().lower() for way in values.get("qop", "auth").split(",")]
        is_known = hashed in _HASHES and "auth" in ways and {"realm", "nonce"} <= values.keys()
        if challenge.scheme == "digest" and is_known:
            return values
    return None


def _quoted(text: str) -> str:
    """Returns a quoted string (RFC 9110, section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
