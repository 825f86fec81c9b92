"""Why a connection is not given to an application, in the words of whoever has to act.

Pure, apart from what opens connections: the command line and programs read the same sentences.
"""

from __future__ import annotations

from reconciler.errors import ConfigError, ConnectionFailed, Held
from reconciler.model import Phase, Reason, Recorded, Ref, StageName, SuspendedBy
from reconciler.redact import Redactor


def refuse_held(row: Recorded, *, even_suspended: bool) -> None:
    """Does nothing where the connection may be used.

    Raises:
        Held: it is suspended or archived, unless `even_suspended`.
    """
    if even_suspended:
        return
    if row.status.phase is Phase.ARCHIVED:
        raise Held(
            f"`{row.ref}` is ARCHIVED and is not connected to",
            "declare it anew in a manifest: it becomes a new connection",
        )
    if row.status.phase is Phase.SUSPENDED:
        by = row.status.suspended_by or SuspendedBy.USER
        look = f"`reconciler describe {row.ref}` says why"
        raise Held(
            f"`{row.ref}` is SUSPENDED by {by} and is not connected to",
            f"{look}; `reconciler resume {row.ref}` ends it",
        )


def refuse_kind(ref: Ref, kind: str, wanted: str, instead: str) -> None:
    """Does nothing where the connection is of `kind`.

    Raises:
        ConfigError: it is of the other one, so that it has no `wanted`.
    """
    if ref.kind != kind:
        raise ConfigError(f"`{ref}` has no {wanted}", f"use {instead}")


def exhausted(ref: Ref) -> ConnectionFailed:
    """Returns the failure of a credential that has failed as often as it may."""
    return ConnectionFailed(
        Reason.AUTH_FAILED,
        StageName.AUTH,
        "the login budget of this credential is used up, so that it is not sent again",
        f"put the secret right; if it is right by now: `reconciler health {ref}` suspends it, then"
        f" `reconciler resume {ref}` gives it another budget",
    )


def not_its_turn() -> ConnectionFailed:
    """Returns the failure of a login for which others left no room."""
    return ConnectionFailed(
        Reason.CANCELLED,
        StageName.AUTH,
        "others send this credential right now; it was not sent",
        "try again when they have ended",
    )


def explained(failure: ConnectionFailed, ref: Ref, redactor: Redactor) -> ConnectionFailed:
    """Returns `failure` as it is raised to an application: whose it is, why, at which stage.

    What a check calls its health query is here the statement that somebody has written.
    """
    message, hint = failure.message, failure.hint
    for ours, theirs in _WORDS:
        message, hint = message.replace(ours, theirs), hint.replace(ours, theirs)
    return ConnectionFailed(
        failure.reason,
        failure.stage,
        redactor.clean(f"{ref}: {failure.reason} at {failure.stage}: {message}"),
        redactor.clean(hint),
    )


_WORDS = (
    ("the health query", "the statement"),
    ("`health.timeout` and `timeout.query`", "`timeout.query`"),
    ("`timeout` and `health.timeout`", "`timeout`"),
    ("a cheaper `health.query`", "a cheaper statement"),
    ("choose a `health.query` that", "write one that"),
    ("`health.query`", "the statement"),
)
