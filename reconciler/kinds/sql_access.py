"""What the schema cannot say of how a SQL connection logs in and of its TLS, engine by engine.

Beside `sql`, whose `checks` yields these; pure, and free of pydantic.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler import kinds
from reconciler.kinds import addresses, engines
from reconciler.kinds.engine_traits import Engine
from reconciler.model import JsonObject

_VERIFIED = ("verify-full", "verify-ca")
_DEFAULT_MODE = "verify-full"


def findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with `auth` and `tls` of a server's `spec`, valid by the schema."""
    row = engines.ENGINES[spec["engine"]]
    auth, tls = spec.get("auth", {"method": "none"}), spec.get("tls", {})
    mode = tls.get("mode", _DEFAULT_MODE)
    method = auth["method"]
    if method not in row.methods:
        yield _foreign(
            ("auth", "method"), f"`{row.name}` has no login by `{method}`", _one_of(row.methods)
        )
    elif method == "ldap" and mode not in _VERIFIED:
        yield _foreign(
            ("tls", "mode"),
            "`ldap` sends the password as it is, so the server must be verified",
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
    yield from _tls_findings(row, tls, mode)


def _tls_findings(row: Engine, tls: JsonObject, mode: str) -> Iterator[kinds.Finding]:
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
