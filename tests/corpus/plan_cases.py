"""Saved plans that are not what was planned here, or are no plans at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.corpus.cases import API, CANARY, Case, Place, Prepare

_PLAN = "plan.json"


def _saved(edit: Callable[[dict[str, Any]], Any] = lambda plan: plan) -> Prepare:
    """Returns what applies one API, plans a second one, saves the plan and edits it."""

    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.command("apply", "--health", "none")
        place.write("manifests/other.yaml", API.replace("crm}", "other}"))
        place.command("plan", "--out", _PLAN)
        plan = json.loads((place.folder / _PLAN).read_text())
        place.write(_PLAN, json.dumps(edit(plan) or plan))

    return prepare


def _written(content: bytes) -> Prepare:
    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.command("apply", "--health", "none")
        place.write(_PLAN, content)

    return prepare


def _set(**changes: object) -> Prepare:
    return _saved(lambda plan: {**plan, **changes})


def _option(**changes: object) -> Prepare:
    return _saved(lambda plan: {**plan, "options": {**plan["options"], **changes}})


def _case(row: str, what: str, prepare: Prepare, says: str, exit: int = 7) -> Case:
    return Case(row=row, what=what, prepare=prepare, argv=("apply", "--plan", _PLAN, "--health", "none"), exit=exit, says=says)


def _large(place: Place) -> None:
    _written(b"")(place)
    with open(place.folder / _PLAN, "wb") as file:
        file.truncate(1 << 30)


CASES = (
    _case("B187", "plan of another state", _set(lineage="00000000-0000-0000-0000-000000000000"), ""),
    _case("B187", "plan of no state", _set(lineage=""), ""),
    _case("B188", "one change more", _saved(lambda p: p["changes"].append({"action": "delete", "ref": f"ApiConnection/default/{CANARY}", "fields": []})), ""),
    _case("B188", "one change less", _set(changes=[]), ""),
    _case("B188", "another digest", _set(digest="0" * 64), ""),
    _case("B188", "pruning switched on", _option(prune=True), ""),
    _case("B188", "roots of everything", _option(roots=["."]), ""),
    _case("B188", "inputs outside", _option(inputs=["/etc"]), "", 3),
    _case("B188", "another stack", _option(stack="other"), ""),
    _case("B188", "stack that is no name", _option(stack="../x"), ""),
    _case("B188", "changes that are no changes", _set(changes=[1, None, "x", {"ref": 5}, [[]]]), ""),
    _case("B188", "unknown field", _set(extra=CANARY), ""),
    _case("B190", "newer format", _set(formatVersion=99), ""),
    _case("B190", "another tool", _set(tool=f"9.9.9"), ""),
    _case("B191", "pickle", _written(b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."), "", 3),
    _case("B191", "truncated JSON", _written(b'{"formatVersion": 1, "tool'), "", 3),
    _case("B191", "1 GiB", _large, "", 3),
    _case("B191", "100,000 brackets", _written(b"[" * 100_000), "", 3),
    _case("B191", "key twice", _written(b'{"formatVersion": 1, "formatVersion": 1}'), "", 3),
    _case("B191", "not a number", _written(b'{"formatVersion": NaN}'), "", 3),
    _case("B191", "number of 5,000 digits", _written(b'{"formatVersion": ' + b"9" * 5000 + b"}"), "", 3),
    _case("B191", "list", _written(b"[]"), "", 3),
    _case("B191", "half a surrogate pair", _set(changes=["\ud800"], digest="\ud800"), "", 7),
    _case("B191", "empty file", _written(b""), "", 3),
    _case("B191", "options of other types", _set(options={"stack": 1}), "", 3),
    _case("B191", "folder", lambda p: (_written(b"")(p), (p.folder/_PLAN).unlink(), (p.folder/_PLAN).mkdir()), "", 3),
    Case(row="B191", what="device", prepare=_written(b""), argv=("apply", "--plan", "/dev/zero"), says=""),
)
