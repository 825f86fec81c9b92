"""A service that verifies AWS's Signature Version 4, written from AWS's description of it.

Answers as AWS does: what is wrong with the keys is a code in XML or JSON under 400 or 403.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from tests.servers.http import Client, Received
from tests.servers.http_routes import answer

_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_LENIENCE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The keys that are known; `route` answers 200 to who has them."""

    access_key: str
    secret_key: str
    session_token: str = ""
    region: str = "eu-central-1"
    name: str = "execute-api"
    is_json: bool = False

    async def route(self, client: Client) -> None:
        client.server.logins += 1
        code = self._fault(client.request)
        if not code:
            await answer(200, b"pong")(client)
            return
        client.server.failed_logins += 1
        if self.is_json:
            body = json.dumps({"__type": f"com.amazon.coral.service#{code}"}).encode()
            await answer(400, body)(client)
        else:
            await answer(403, f"<Error><Code>{code}</Code></Error>".encode())(client)

    def _fault(self, request: Received) -> str:
        match = _CREDENTIAL.fullmatch(request.headers.get("authorization", ""))
        if match is None:
            return "IncompleteSignature"
        key, day, region, service, names, signature = match.groups()
        if key != self.access_key:
            return "InvalidClientTokenId"
        if request.headers.get("x-amz-security-token", "") != self.session_token:
            return "InvalidToken"
        stamp = request.headers["x-amz-date"]
        sent_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(sent_at.timestamp() - time.time()) > _LENIENCE_S:  # noqa: TID251 -- its own clock
            return "RequestTimeTooSkewed"
        scope = f"{day}/{region}/{service}/aws4_request"
        if (region, service) != (self.region, self.name) or not stamp.startswith(day):
            return "SignatureDoesNotMatch"
        hashed = hashlib.sha256(self._canonical(request, names).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        made = f"AWS4{self.secret_key}".encode()
        for part in (*scope.split("/"), text):
            made = hmac.new(made, part.encode(), hashlib.sha256).digest()
        return "" if made.hex() == signature else "SignatureDoesNotMatch"

    def _canonical(self, request: Received, names: str) -> str:
        path, _, query = request.target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
        headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
        return "\n".join(
            [
                request.method,
                path if self.name == "s3" else quote(path, safe="/~"),
                "&".join(f"{name}={value}" for name, value in encoded),
                headers,
                names,
                hashlib.sha256(request.body).hexdigest(),
            ]
        )
