"""Secrets in AWS Secrets Manager: `{aws: {secretId, key}}`.

One request, `GetSecretValue` (Secrets Manager API Reference), signed with Signature Version 4 by
`auth.aws_sigv4` and sent by our own HTTP. Region, endpoint and access keys come from the operator
file: neither the environment nor `~/.aws` nor a metadata service is asked.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from reconciler.auth import aws_sigv4, libraries
from reconciler.auth.exchange import Request, with_header
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import Json
from reconciler.secret_sources import Access, asking, operators, texts
from reconciler.settings import AwsAccount

_HEADERS = (
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "secretsmanager.GetSecretValue"),
)
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
            self._signed(Request(method="POST", url=f"{url}/", headers=_HEADERS, body=body)),
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

    def _signed(self, request: Request) -> Request:
        """Returns `request` with date, session token and signature in its headers."""
        account = self._account
        try:
            library = libraries.load("awsSigV4")
        except ConnectionFailed as missing:
            raise SecretError("the library for AWS is not installed here", missing.hint) from None
        keys = aws_sigv4.Keys(
            access_key=operators.read(account.access_key_id, self._access, self._warnings),
            secret_key=operators.read(account.secret_access_key, self._access, self._warnings),
        )
        if account.session_token:
            token = operators.read(account.session_token, self._access, self._warnings)
            request = with_header(request, "X-Amz-Security-Token", token)
        timestamp = aws_sigv4.stamp(self._access.clock())
        request = with_header(request, "X-Amz-Date", timestamp)
        signer: aws_sigv4.Signer = library.SigV4Auth(keys, "secretsmanager", account.region)
        return aws_sigv4.signed(request, signer, timestamp)


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
