"""Exit codes: what each means, and which one wins where several apply.

Apart, so that scripts, help and tests read one table.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Changes are pending, and `--detailed-exitcode` asks.
PENDING = 10
#: A selected connection is not healthy. The other codes are those of `errors`.
UNHEALTHY = 11

#: Code -> meaning, the most important first: that one wins.
MEANINGS = {
    130: "interrupted",
    143: "terminated",
    1: "internal error",
    2: "wrong usage or configuration",
    3: "invalid manifests, or none found",
    5: "the state store is unavailable, damaged, newer, or wants a migration",
    6: "locked or conflicting: try again",
    7: "the plan is stale or foreign",
    8: "refused by a guard or policy",
    4: "a secret cannot be resolved",
    UNHEALTHY: "a selected connection is not healthy",
    PENDING: "changes are pending (--detailed-exitcode)",
    0: "done",
}
_RANK = {code: rank for rank, code in enumerate(MEANINGS)}


def worst(codes: Iterable[int]) -> int:
    """Returns the code that wins, 0 where there is none."""
    return min(codes, key=_RANK.__getitem__, default=0)
