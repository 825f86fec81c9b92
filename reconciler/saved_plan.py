"""A plan on paper: what `plan --out` writes and `apply --plan` reads.

A saved plan is an assertion and not a script: it says which paths were planned with which options
and the digest of what came out. Apply plans again and goes on only if the digest is the same, so an
edited file can make apply stop but never make it do something else. Pure.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TypeGuard

from reconciler._version import __version__
from reconciler.errors import InvalidPlanFile, StalePlan
from reconciler.model import Json, Plan, PlanOptions, canonical
from reconciler.redact import escape
from reconciler.values import dataclass

FORMAT_VERSION = 1
#: So many connections are named when they have moved.
NAMED = 5
#: Longer than the reference of any connection; an edited file may hold anything.
_LONGEST_REF = 200
#: A saved plan names each change once; nothing near this size is one.
LARGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """What a plan file asserts."""

    options: PlanOptions
    lineage: str
    #: the whole file in canonical form
    text: str
    #: each change in canonical form
    changes: frozenset[str]

    def require(self, plan: Plan) -> None:
        """Checks that `plan`, made just now, is the one on paper.

        Raises:
            StalePlan: it is not; the message says what moved.
        """
        fresh = load(dump(plan).encode())
        if fresh.text == self.text:
            return
        hint = "make a new plan and look at it"
        if fresh.lineage != self.lineage:
            raise StalePlan("the plan was made against another state store", hint)
        moved = sorted({_ref(change) for change in fresh.changes ^ self.changes} - {""})
        if moved:
            more = f" and {len(moved) - NAMED} more" if len(moved) > NAMED else ""
            names = ", ".join(f"`{ref}`" for ref in moved[:NAMED])
            raise StalePlan(f"since the plan was made, {names}{more} changed", hint)
        raise StalePlan("connections have moved since the plan was made, or it was edited", hint)


def dump(plan: Plan) -> str:
    """Returns the text of a plan file: canonical JSON and a newline; it holds no secret."""
    data = {
        "formatVersion": FORMAT_VERSION,
        "tool": __version__,
        "options": {field.name: getattr(plan.options, field.name) for field in fields(PlanOptions)},
        "lineage": plan.lineage,
        "digest": plan.digest,
        "changes": [
            {
                "action": change.action,
                "ref": str(change.ref),
                "fields": [field.pointer for field in change.fields],
                "digest": change.resource.digest if change.resource else None,
                "revision": change.recorded.revision if change.recorded else None,
            }
            for change in plan.changes
        ],
    }
    return canonical(data) + "\n"


def load(data: bytes) -> SavedPlan:
    """Returns what the plan file `data` asserts.

    Raises:
        InvalidPlanFile: it is not a plan file at all.
        StalePlan: another version of the tool or of the format wrote it.
    """
    if len(data) > LARGEST_BYTES:
        raise _invalid("it is larger than any plan")
    try:
        parsed = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    except ValueError:  # UnicodeDecodeError is one
        raise _invalid("it is not strict JSON") from None
    if not isinstance(parsed, dict) or "formatVersion" not in parsed:
        raise _invalid("it has no `formatVersion`")
    if parsed["formatVersion"] != FORMAT_VERSION or parsed.get("tool") != __version__:
        raise StalePlan(
            "the plan was made by another version of reconciler",
            f"make it again with this one, {__version__}",
        )
    return _checked(parsed)


def _checked(parsed: dict[str, Json]) -> SavedPlan:
    options = parsed.get("options")
    if not isinstance(options, dict):
        raise _invalid("its options are incomplete")
    known = {
        "stack": _is_text,
        "roots": _are_texts,
        "inputs": _are_texts,
        "names": _are_texts,
        "labels": _are_texts,
        "prune": _is_flag,
        "prune_limit": _is_count,
        "adopt": _is_flag,
    }
    if options.keys() != known.keys() or not all(known[key](options[key]) for key in known):
        raise _invalid("its options are not those of a plan")
    if not (_is_text(parsed.get("lineage")) and isinstance(parsed.get("changes"), list)):
        raise _invalid("its changes are missing")
    values: dict[str, Json] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in options.items()
    }
    return SavedPlan(
        options=PlanOptions(**values),
        lineage=parsed["lineage"],
        text=canonical(parsed),
        changes=frozenset(canonical(change) for change in parsed["changes"]),
    )


def _invalid(why: str) -> InvalidPlanFile:
    return InvalidPlanFile(f"the file is not a saved plan: {why}", "make one with `plan --out`")


def _ref(change: str) -> str:
    data = json.loads(change)
    ref = data.get("ref") if isinstance(data, dict) else None
    return escape(ref[:_LONGEST_REF]) if isinstance(ref, str) else ""


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _are_texts(value: Json) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_flag(value: Json) -> bool:
    return isinstance(value, bool)


def _is_count(value: Json) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
