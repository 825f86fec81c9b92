"""The exception tree: why the tool cannot go on, and with which exit code.

    ReconcilerError          1   base; never raised itself
      OutputFailed           1   standard output is closed or full
      ConfigError            2   flags, settings, unknown name
      InvalidManifests       3   .diagnostics: all of them, sorted by location
      InvalidPlanFile        3   not a saved plan at all
      SecretError            4   names the reference, never the value
      StoreError             5
        StoreUnavailable         cannot be reached, opened or written
          StoreMissing           was never made
        StoreDamaged             fails its integrity check
        MigrationRequired        older or newer than this program
      Conflict               6   the lock was not free in time; try again
        RowsMoved                others changed the rows meanwhile; plan again
      StalePlan              7   the saved plan is stale, foreign or edited
      Refused                8   a guard or policy said no
        PruneRefused             more orphans than the limit
        ProtectedRow             `deletionPolicy: protect`
        NotOwner                 another stack owns the row
        Held                     the manifest or a hold forbids the command
        DestinationDenied        no grant lets a secret go there
      ConnectionFailed      11   one connection could not be opened or used

A wrong file is not an exception but a `Diagnostic`, and a failed probe is an `Observation`: only
what stops a command is raised. `str()` of every one is safe to print: whoever raises it leaves
values out. Bottom floor, so that every module may raise from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from reconciler.model import Diagnostic, Reason, StageName


class ReconcilerError(Exception):
    """Base of all that is raised on purpose; `message` is a sentence, `hint` a thing to do."""

    exit: ClassVar[int] = 1
    code: ClassVar[str] = "Internal"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class OutputFailed(ReconcilerError):
    """Standard output is closed or full; what the command did before stands."""

    code = "OutputFailed"


class ConfigError(ReconcilerError):
    """A flag, a setting or a name on the command line is wrong."""

    exit = 2
    code = "Usage"


class InvalidManifests(ReconcilerError):
    """Manifests have errors; `diagnostics` holds all of them, sorted by location."""

    exit = 3
    code = "InvalidManifests"

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("the manifests have errors")
        self.diagnostics = diagnostics


class InvalidPlanFile(ReconcilerError):
    """A file given as a saved plan is not one."""

    exit = 3
    code = "InvalidPlanFile"


class SecretError(ReconcilerError):
    """A secret reference cannot be resolved; names the reference, never the value."""

    exit = 4
    code = "SecretUnresolved"


class StoreError(ReconcilerError):
    """The state store cannot be used."""

    exit = 5
    code = "Store"


class StoreUnavailable(StoreError):
    """The state store cannot be reached, opened or written."""

    code = "StoreUnavailable"


class StoreMissing(StoreUnavailable):
    """There is no state store yet; reading makes none."""

    code = "StoreMissing"


class StoreDamaged(StoreError):
    """The state store fails its integrity check or holds a row that no version wrote."""

    code = "StoreDamaged"


class MigrationRequired(StoreError):
    """The state store was written by another version of the tables."""

    code = "MigrationRequired"


class Conflict(ReconcilerError):
    """Another process holds the lock, or moved the rows that this one was to change."""

    exit = 6
    code = "Conflict"


class RowsMoved(Conflict):
    """Rows were changed by another process since they were read; nothing was written."""

    code = "RowsMoved"


class StalePlan(ReconcilerError):
    """The saved plan is stale, of another state, or was edited."""

    exit = 7
    code = "StalePlan"


class Refused(ReconcilerError):
    """A guard or a policy said no; nothing was written."""

    exit = 8
    code = "Refused"


class PruneRefused(Refused):
    """Pruning would remove more connections than the limit allows."""

    code = "PruneRefused"


class ProtectedRow(Refused):
    """A connection with `deletionPolicy: protect` would be removed."""

    code = "ProtectedRow"


class NotOwner(Refused):
    """Another stack owns the connection."""

    code = "NotOwner"


class Held(Refused):
    """The manifest, or a hold placed by a command, forbids this."""

    code = "Held"


class DestinationDenied(Refused):
    """No grant of the operator file lets a secret go where it would be sent."""

    code = "DestinationDenied"


class ConnectionFailed(ReconcilerError):
    """One connection could not be opened or used: `reason` and `stage` say how and where.

    Raised by `clients`; `probes` turn it into an `Observation`, applications see it as it is.
    """

    exit = 11
    code = "ConnectionFailed"

    def __init__(self, reason: Reason, stage: StageName, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.stage = stage
