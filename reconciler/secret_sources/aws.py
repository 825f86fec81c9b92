"""Secrets in AWS Secrets Manager: `{aws: {secretId, key}}`.

One request, `GetSecretValue` (Secrets Manager API Reference), signed with Signature Version 4 by
botocore and sent by our own HTTP. Region, endpoint and access keys come from the operator file:
neither the environment nor `~/.aws` nor a metadata service is asked.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from urllib.parse import urlsplit

from reconciler.auth.exchange import Request
from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import Access, asking, operators, texts
from reconciler.settings import AwsAccount

_TARGET = "secretsmanager.GetSecretValue"
_TYPE = "application/x-amz-json-1.1"
#: Exception of the API -> what is wrong, what to do.
_REFUSALS = {
    "ResourceNotFoundException": ("does not exist", "check name and region"),
    "AccessDeniedException": (
        "may not be read with this access key",
        "allow secretsmanager:GetSecretValue on it",
    ),
    "InvalidRequestException": ("is marked for deletion", "restore it"),
    "DecryptionFailure": ("cannot be decrypted with its KMS key", "allow kms:Decrypt on the key"),
}
_LOGIN_REFUSALS = (
    *("UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignature"),
    *("ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch"),
)


class AwsSource:
    """Asks Secrets Manager; each secret once."""

    def __init__(self, access: Access) -> None:
        assert access.policy.operator is not None  # the policy was asked before
        assert access.policy.operator.aws is not None
        self._account: AwsAccount = access.policy.operator.aws
        self._access = access
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the operator's own secret files everybody can read."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the secret called `argument["secretId"]`, or what it holds under a key.

        Raises:
            SecretError: no library, not there, not allowed, no text, or no answer.
        """
        account = self._account
        name = f"the secret {argument['secretId']} of AWS"
        body = json.dumps({"SecretId": argument["secretId"]}).encode()
        url = account.endpoint or f"https://secretsmanager.{account.region}.amazonaws.com"
        answer = asking.ask(
            Request(method="POST", url=f"{url}/", headers=self._signed(f"{url}/", body), body=body),
            server="AWS Secrets Manager",
            ca=operators.read_public(account.ca, self._access),
            timeout_s=account.timeout_s,
        )
        if answer.status != HTTPStatus.OK:
            raise _refusal(name, answer)
        text = answer.data.get("SecretString") if isinstance(answer.data, dict) else None
        if not isinstance(text, str):
            raise SecretError(f"{name} is no text", "store it as SecretString")
        text = texts.judged(name, text)
        self._access.redactor.add(text)
        return texts.entry(name, text, argument["key"]) if "key" in argument else text

    def _signed(self, url: str, body: bytes) -> tuple[tuple[str, str], ...]:
        """Returns the headers of the request, its signature among them."""
        try:
            from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
            from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
            from botocore.credentials import Credentials  # type: ignore[import-untyped]
        except ImportError:
            raise SecretError(
                "the library for AWS is not installed", 'pip install "reconciler[aws]"'
            ) from None
        account = self._account
        session = account.session_token
        credentials = Credentials(
            operators.read(account.access_key_id, self._access, self._warnings),
            operators.read(account.secret_access_key, self._access, self._warnings),
            operators.read(session, self._access, self._warnings) if session else None,
        )
        headers = {"Content-Type": _TYPE, "X-Amz-Target": _TARGET, "Host": urlsplit(url).netloc}
        request = AWSRequest(method="POST", url=url, data=body, headers=headers)
        SigV4Auth(credentials, "secretsmanager", account.region).add_auth(request)
        return tuple((key, value) for key, value in request.headers.items())


def _refusal(name: str, answer: asking.Answer) -> SecretError:
    kind = answer.data.get("__type") if isinstance(answer.data, dict) else None
    code = kind.rpartition("#")[2] if isinstance(kind, str) else ""
    if code in _LOGIN_REFUSALS:
        return SecretError(
            "AWS refuses the access key or its signature",
            "check `[secrets.aws]` of the operator file, and the clock of this machine",
        )
    problem, hint = _REFUSALS.get(code, (f"cannot be read: AWS answers {answer.status}", ""))
    return SecretError(f"{name} {problem}", hint)
