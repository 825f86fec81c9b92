"""Sets of manifests as people write them, and what people do to a set that they have.

Hypothesis strategies, for histories that are lived step by step; names are few, so that they meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from reconciler.model import Json

NAMES = ("a", "b", "c", "d")
#: Environment variables that secrets are in.
VARIABLES = ("ONE", "TWO")
_STATES = st.sampled_from(["active", "active", "active", "suspended", "archived"])
_POLICIES = st.sampled_from(["archive", "archive", "delete", "protect"])
Manifest = dict[str, Json]
#: Draws a value from a strategy.
Pick = Callable[[st.SearchStrategy[Any]], Any]
#: Changes a manifest in place.
Edit = Callable[[Manifest, Pick], None]


def _sql(pick: Pick) -> Manifest:
    return {
        "engine": "postgresql",
        "host": pick(st.sampled_from(["db-1.internal", "db-2.internal"])),
        "database": "orders",
        "auth": {
            "method": "password",
            "username": "report",
            "password": {"env": pick(st.sampled_from(VARIABLES))},
        },
        "pool": {"size": pick(st.integers(1, 2))},
    }


def _api(pick: Pick) -> Manifest:
    return {"baseUrl": pick(st.sampled_from(["https://a.example.com", "https://b.example.com"]))}


_SPECS = {"SqlConnection": _sql, "ApiConnection": _api}


@st.composite
def manifests(draw: st.DrawFn, name: str) -> Manifest:
    """One connection of either kind."""
    kind = draw(st.sampled_from(sorted(_SPECS)))
    return {
        "apiVersion": "reconciler/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"note": draw(st.sampled_from(["x", "y"]))}},
        "spec": {
            **_SPECS[kind](draw),
            "state": draw(_STATES),
            "deletionPolicy": draw(_POLICIES),
            "health": {
                "failureThreshold": draw(st.integers(1, 2)),
                "successThreshold": draw(st.integers(1, 2)),
                "suspendAfter": draw(st.integers(2, 6)),
            },
        },
    }


_NAME_SETS = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)
sets = _NAME_SETS.flatmap(lambda names: st.tuples(*map(manifests, names)))


def _edit_spec(manifest: Manifest, pick: Pick) -> None:
    manifest["spec"] |= {
        **_SPECS[manifest["kind"]](pick),
        "state": pick(_STATES),
        "deletionPolicy": pick(_POLICIES),
    }


def _edit_label(manifest: Manifest, pick: Pick) -> None:
    manifest["metadata"]["labels"] = {"note": pick(st.sampled_from(["x", "y", "z"]))}


def _rename(manifest: Manifest, pick: Pick) -> None:
    metadata = manifest["metadata"]
    metadata["previousNames"] = [metadata["name"]]
    metadata["name"] = pick(st.sampled_from(NAMES))


EDITS: tuple[Edit, ...] = (_edit_spec, _edit_label, _rename)
