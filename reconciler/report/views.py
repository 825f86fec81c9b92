"""What each screen is about: the values of one report, gathered by the command that shows it.

Every format of a screen is a function `(view, style) -> str` over the same view, so nothing can be
in one format and missing in another for want of data. Separate from the screens because several
modules render one view.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from reconciler.model import (
    ChangeSet,
    Event,
    FieldChange,
    GitFacts,
    Observation,
    Phase,
    Plan,
    Recorded,
    Ref,
    Revision,
    Run,
    SecretChange,
    Status,
)
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What an apply would do."""

    plan: Plan
    git: GitFacts | None = None
    secrets: tuple[SecretChange, ...] = ()
    #: whether secrets were read and compared; if not, the report says so
    secrets_compared: bool = False
    #: the command to run now, or empty
    next_command: str = ""
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """One checked connection."""

    ref: Ref
    observation: Observation
    #: after the check
    status: Status
    #: before the check
    before: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """What a health pass found."""

    rows: tuple[HealthRow, ...]
    #: selected connections that were not checked: suspended, archived or not due
    skipped: int = 0
    #: those among them that an earlier pass suspended
    suspended: tuple[Recorded, ...] = ()
    #: wall time of the pass
    elapsed_s: float = 0.0
    next_command: str = ""
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyView:
    """What an apply did, and how healthy the connections are after it."""

    plan: Plan
    changes: ChangeSet
    git: GitFacts | None = None
    secrets: tuple[SecretChange, ...] = ()
    #: None where no health pass was asked for
    health: HealthView | None = None
    next_command: str = ""
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """Where the selected connections stand."""

    rows: tuple[Recorded, ...]
    #: connections in the store, selected or not
    total: int
    #: commit of the last apply
    git: GitFacts | None = None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A command worth trying now."""

    command: str
    #: when it helps, or what it does besides; half a sentence, or empty
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the operator's grants say of one connection."""

    #: numbers of those that cover it
    grants: tuple[int, ...]
    #: what none allows of what it would send, as sentences
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeView:
    """Everything known of one connection."""

    recorded: Recorded
    #: the newest one
    observation: Observation | None = None
    #: the newest one
    revision: Revision | None = None
    #: the newest transitions, oldest first
    transitions: tuple[Event, ...] = ()
    #: the most likely to help first
    suggestions: tuple[Suggestion, ...] = ()
    #: when an application, `query` or `request` used it last, None for never
    last_used: datetime | None = None
    #: None where the operator file has no grants
    granted: Granted | None = None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One revision, and how it differs from the one before."""

    revision: Revision
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """The applied changes of one connection, oldest first."""

    recorded: Recorded
    rows: tuple[HistoryRow, ...]
    #: where one revision is compared with now: its number, and `rows` holds the difference
    since: int | None = None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """Lines of the append-only log, oldest first."""

    events: tuple[Event, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsView:
    """Applies that changed something, newest first."""

    runs: tuple[Run, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRow:
    """What is known of one stored secret; never its value."""

    name: str
    version: int
    key_id: str
    #: whether the key that it is sealed with is among those given
    has_key: bool
    #: when it was set
    updated_at: datetime
    expires_at: datetime | None
    #: whether it expires within the time of warning
    is_ending: bool
    #: live connections that reference it
    users: tuple[Ref, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsView:
    """The stored secrets, by name."""

    rows: tuple[SecretRow, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryView:
    """What a statement gave; names and texts are foreign."""

    columns: tuple[str, ...]
    rows: tuple[tuple[bool | int | float | str | None, ...], ...]
    #: whether there were more
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """What a server answered; all of it is foreign."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


View: TypeAlias = (
    PlanView
    | ApplyView
    | HealthView
    | StatusView
    | DescribeView
    | HistoryView
    | EventsView
    | RunsView
    | SecretsView
    | QueryView
    | RequestView
)
