"""How good a connection's status is: its glyph, its colour, its place in a list, and why.

Status, describe, health and apply show the same judgement, so it is made here once. A standing is
finer than a phase: SUSPENDED by a person is wanted and by the health pass is not, and an ACTIVE
connection whose last check failed below its threshold is not simply good.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Protocol

from reconciler.model import (
    AWAITING_CHECK_REASONS,
    Hold,
    HoldKind,
    Outcome,
    Phase,
    Reason,
    Ref,
    Status,
    SuspendedBy,
)
from reconciler.report import layout, times, words
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a standing is shown."""

    glyph: str
    tone: Tone
    #: what the summary line calls it
    words: str
    #: whether a command that ends with it exits 11
    is_healthy: bool


class Standing(Enum):
    """How good a status is, worst first."""

    FAILED = Look(glyph="✗", tone=Tone.BAD, words="failed", is_healthy=False)
    SUSPENDED_BY_HEALTH = Look(
        glyph="=", tone=Tone.BAD, words="suspended by health", is_healthy=False
    )
    #: the last check was not ok, and the phase does not show it
    DOUBTFUL = Look(glyph="!", tone=Tone.WARNING, words="in doubt", is_healthy=False)
    PENDING = Look(glyph="?", tone=Tone.NOTE, words="pending", is_healthy=True)
    ACTIVE = Look(glyph="✓", tone=Tone.GOOD, words="active", is_healthy=True)
    SUSPENDED_BY_USER = Look(glyph="=", tone=Tone.QUIET, words="suspended by user", is_healthy=True)
    ARCHIVED = Look(glyph="-", tone=Tone.QUIET, words="archived", is_healthy=True)


_PHASES = {
    (Phase.FAILED, None): Standing.FAILED,
    (Phase.SUSPENDED, SuspendedBy.HEALTH): Standing.SUSPENDED_BY_HEALTH,
    (Phase.PENDING, None): Standing.PENDING,
    (Phase.ACTIVE, None): Standing.ACTIVE,
    (Phase.SUSPENDED, SuspendedBy.USER): Standing.SUSPENDED_BY_USER,
    (Phase.ARCHIVED, None): Standing.ARCHIVED,
}
_RANKS = {standing: rank for rank, standing in enumerate(Standing)}
_HELD = {
    HoldKind.SUSPEND: "suspended",
    HoldKind.ARCHIVE: "archived",
    HoldKind.ROLLBACK: "rolled back",
}


def standing_of(status: Status) -> Standing:
    """Returns how good `status` is."""
    standing = _PHASES[status.phase, status.suspended_by]
    if status.last_outcome in (None, Outcome.OK) or status.reason in AWAITING_CHECK_REASONS:
        return standing
    return Standing.DOUBTFUL if standing in (Standing.PENDING, Standing.ACTIVE) else standing


class Shown(Protocol):
    """A connection on a screen."""

    @property
    def ref(self) -> Ref: ...
    @property
    def status(self) -> Status: ...


def worst_first(row: Shown) -> tuple[int, Ref]:
    """Returns the place of `row` in every list: by standing, the worst first, then by name."""
    return _RANKS[standing_of(row.status)], row.ref


def word(status: Status, style: Style) -> str:
    """Returns glyph and phase, without colour: `✗ FAILED`."""
    return f"{style.glyph(standing_of(status).value.glyph)} {status.phase}"


def why(status: Status, hold: Hold | None, now: datetime) -> str:
    """Returns on one line why the status is what it is, empty where all is well."""
    order = _order(status, hold, now) if hold else ""
    return "; ".join(part for part in (_finding(status), order) if part)


def held(hold: Hold, now: datetime) -> str:
    """Returns who ordered what, when and why: `suspended by leo 2 d ago: maintenance`."""
    told = f"{_HELD[hold.kind]} by {hold.actor} {times.age(hold.at, now)} ago"
    return layout.one_line(f"{told}: {hold.reason}" if hold.reason else told)


def _order(status: Status, hold: Hold, now: datetime) -> str:
    """Returns a hold beside its status; what that shows, suspended and since when, is left out."""
    is_shown = standing_of(status) is Standing.SUSPENDED_BY_USER and hold.kind is HoldKind.SUSPEND
    if not is_shown:
        return held(hold, now)
    return layout.one_line(": ".join(part for part in (f"by {hold.actor}", hold.reason) if part))


def counts(statuses: Iterable[Status]) -> list[tuple[Standing, int]]:
    """Returns how many connections have each standing that occurs, worst first."""
    found = [standing_of(status) for status in statuses]
    return [(standing, found.count(standing)) for standing in Standing if standing in found]


def summary(statuses: Iterable[Status]) -> list[Cell]:
    """Returns the counts, worst first: `1 failed`, `2 active`."""
    return [
        Cell(f"{number} {standing.value.words}", standing.value.tone)
        for standing, number in counts(statuses)
    ]


def _finding(status: Status) -> str:
    standing = standing_of(status)
    explained = words.explained(status.reason, status.message)
    match standing:
        case Standing.PENDING:
            awaited = "not checked yet" if status.checked_at is None else "to be checked again"
            return awaited if status.reason is Reason.APPLIED else f"{awaited} [{status.reason}]"
        case Standing.ACTIVE:
            return "" if status.reason in AWAITING_CHECK_REASONS | {Reason.OK} else explained
        case Standing.SUSPENDED_BY_HEALTH:
            last = words.explained(status.reason, status.message or status.last_error)
            return f"by health: {last}"
        case Standing.SUSPENDED_BY_USER:
            is_intent = status.reason is Reason.SUSPENDED_BY_MANIFEST
            return "by the manifest" if is_intent else ""
        case Standing.FAILED | Standing.DOUBTFUL | Standing.ARCHIVED:
            return explained
