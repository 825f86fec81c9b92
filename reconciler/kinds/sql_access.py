"""What the schema cannot say of a SQL connection's login, options and TLS, engine by engine.

Beside `sql`, whose `checks` yields these; pure, and free of pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler import kinds
from reconciler.kinds import addresses, engines
from reconciler.kinds.engine_traits import SENT_AS_IS, VERIFIED_MODES, Engine
from reconciler.model import JsonObject

_DEFAULT_MODE = "verify-full"
#: Hosts whose first part is the account ("Connecting to your accounts" of Snowflake's manual).
_NAMES_ACCOUNT = re.compile(r"\.snowflakecomputing\.(?:com|cn)\Z", re.IGNORECASE)


def findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with login, options and TLS of a `spec` that is valid by the schema."""
    row = engines.ENGINES[spec["engine"]]
    auth, tls = spec.get("auth", {"method": "none"}), spec.get("tls", {})
    mode = tls.get("mode", _DEFAULT_MODE)
    method = auth["method"]
    if method not in row.methods:
        yield _foreign(
            ("auth", "method"), f"`{row.name}` has no login by `{method}`", _one_of(row.methods)
        )
    elif method in SENT_AS_IS and mode not in VERIFIED_MODES:
        yield _foreign(
            ("tls", "mode"),
            f"`{method}` sends {SENT_AS_IS[method]} as it is, so the server must be verified",
            "use `mode: verify-full`",
        )
    elif method == "clientCertificate" and mode == "disable":
        yield _foreign(
            ("tls", "mode"),
            "the login is by a certificate, which only TLS can show",
            "use `mode: verify-full`",
        )
    elif method == "clientCertificate" and "clientCertificate" in tls:
        yield _foreign(
            ("tls", "clientCertificate"),
            "`auth` names the client certificate already",
            "delete one of the two",
        )
    elif method == "keyPair" and not _has_account(spec):
        yield kinds.Finding(
            code="E103",
            path=("auth", "account"),
            message="`account` is required, since `host` does not begin with it",
            hint="write the account identifier, without region",
        )
    if method == "awsIam":
        yield from _token_findings(spec, tls)
    yield from _option_findings(row, spec.get("options", {}))
    yield from _tls_findings(row, tls, mode)


def _has_account(spec: JsonObject) -> bool:
    return "account" in spec["auth"] or bool(_NAMES_ACCOUNT.search(spec.get("host", "")))


def _option_findings(row: Engine, given: JsonObject) -> Iterator[kinds.Finding]:
    for option in row.options:
        if option.is_required and option.name not in given:
            yield kinds.Finding(
                code="E103",
                path=("options", option.name),
                message=f"`options.{option.name}` is required for `{row.name}`",
                hint=f"write `options: {{{option.name}: {option.schema['examples'][0]}}}`",
            )


def _token_findings(spec: JsonObject, tls: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what keeps a token from naming the server as AWS does."""
    if "socket" in spec:
        yield _foreign(
            ("socket",),
            "`awsIam` is for a server of AWS, and a socket is on this machine",
            "name the server's `host`",
        )
        return
    is_named = "serverName" in tls
    if addresses.is_address(tls["serverName"] if is_named else spec.get("host", "")):
        yield kinds.Finding(
            code="E117",
            path=("tls", "serverName") if is_named else ("host",),
            message="a token names the server by its endpoint at AWS, never by an address",
            hint="write the endpoint as `tls.serverName`",
        )


def _tls_findings(row: Engine, tls: JsonObject, mode: str) -> Iterator[kinds.Finding]:
    if not row.has_tls and mode != "disable":
        yield _foreign(
            ("tls", "mode"),
            f"`{row.name}` speaks no TLS; its own encryption is used, and demanded",
            "say so: `tls: {mode: disable}`",
        )
    if "clientCertificate" in tls and not row.has_client_certificate:
        yield _foreign(
            ("tls", "clientCertificate"), f"`{row.name}` takes no client certificate", "delete it"
        )
    if row.newest_tls and tls.get("minimumVersion", "") > row.newest_tls:
        yield _foreign(
            ("tls", "minimumVersion"),
            f"a login to `{row.name}` is possible with TLS {row.newest_tls} only",
            f'use `minimumVersion: "{row.newest_tls}"`',
        )
    for name in ("clientCertificate", "serverName", "ca"):
        if name in tls and mode == "disable":
            yield _foreign(
                ("tls", name), f"`{name}` belongs to TLS, which is off", "use `mode: verify-full`"
            )
    problem = addresses.host_problem(tls["serverName"]) if "serverName" in tls else None
    if problem:
        yield kinds.Finding(
            code=problem.code,
            path=("tls", "serverName"),
            message=problem.message,
            hint=problem.hint,
        )


def _one_of(methods: tuple[str, ...]) -> str:
    return f"use one of: {', '.join(methods)}"


def _foreign(path: tuple[str, ...], message: str, hint: str) -> kinds.Finding:
    return kinds.Finding(code="E113", path=path, message=message, hint=hint)
