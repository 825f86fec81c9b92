"""Connections as code.

    manifests  ->  validate  ->  plan  ->  apply  ->  health  ->  status
    (files)        (pure)        (pure)    (1 txn)    (async)     (pure)

Six stage modules, joined in `reconcile`. Values travel between them, all frozen, all in `model`; a
wrong file is a `Diagnostic`, a failed probe an `Observation`, and what stops the program one of the
exceptions in `errors`. Names are loaded when they are first used, so importing this costs nothing.
"""

from __future__ import annotations

from reconciler._version import __version__

# As type checkers read it; importing `typing` would take longer than all of `--version`.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from reconciler.connecting import Connection, connect
    from reconciler.errors import (
        ConfigError,
        Conflict,
        ConnectionFailed,
        Held,
        InvalidManifests,
        OutputFailed,
        ReconcilerError,
        Refused,
        SecretError,
        StalePlan,
        StoreError,
    )
    from reconciler.model import (
        Change,
        ChangeSet,
        Diagnostic,
        Location,
        Observation,
        Outcome,
        Phase,
        Plan,
        Reason,
        Recorded,
        Ref,
        Resource,
        Severity,
        Status,
    )

__all__ = [
    "Change",
    "ChangeSet",
    "ConfigError",
    "Conflict",
    "Connection",
    "ConnectionFailed",
    "Diagnostic",
    "Held",
    "InvalidManifests",
    "Location",
    "Observation",
    "Outcome",
    "OutputFailed",
    "Phase",
    "Plan",
    "Reason",
    "ReconcilerError",
    "Recorded",
    "Ref",
    "Refused",
    "Resource",
    "SecretError",
    "Severity",
    "StalePlan",
    "Status",
    "StoreError",
    "__version__",
    "connect",
]


def __getattr__(name: str) -> object:
    """Loads a public name from the module that holds it (PEP 562)."""
    if name in __all__:
        from reconciler import errors, model

        value: object = getattr(model, name, None) or getattr(errors, name, None)
        if value is None:
            from reconciler import connecting

            value = getattr(connecting, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names, loaded or not."""
    return sorted(__all__)
