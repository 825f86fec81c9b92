"""Saved plans that are not what was planned here, or are no plans at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.corpus.cases import API, CANARY, Case, Place, Prepare

_PLAN = "plan.json"
_ARGV = ("apply", "--plan", _PLAN, "--health", "none")
_MOVED = "error: since the plan was made, `ApiConnection/default/"
_EDITED = "error: connections have moved since the plan was made, or it was edited"
_NOT_STRICT = "the file is not a saved plan: it is not strict JSON"
#: A pickle that would call `os.system` if anything read it as one.
_PICKLE = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."


def _saved(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Prepare:
    """Returns what applies one API, plans a second one, saves that plan, and edits it."""

    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.command("apply", "--health", "none")
        place.write("manifests/other.yaml", API.replace("crm}", "other}"))
        place.command("plan", "--out", _PLAN)
        plan = json.loads((place.folder / _PLAN).read_text())
        place.write(_PLAN, json.dumps(edit(plan)))

    return prepare


def _set(**changes: object) -> Prepare:
    return _saved(lambda plan: {**plan, **changes})


def _option(**changes: object) -> Prepare:
    return _saved(lambda plan: {**plan, "options": {**plan["options"], **changes}})


def _written(content: bytes) -> Prepare:
    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.write(_PLAN, content)

    return prepare


def _sparse(place: Place) -> None:
    with open(place.write(_PLAN, b""), "wb") as file:
        file.truncate(1 << 30)


def _folder(place: Place) -> None:
    (place.folder / _PLAN).mkdir()


def _refused(row: str, what: str, prepare: Prepare, says: str) -> Case:
    return Case(row=row, what=what, prepare=prepare, argv=_ARGV, exit=7, says=says)


def _invalid(what: str, prepare: Prepare, says: str) -> Case:
    return Case(row="B191", what=what, prepare=prepare, argv=_ARGV, exit=3, says=says)


def _nothing(_: Place) -> None:
    """Leaves the project empty."""


_ONE_MORE = {"action": "delete", "ref": "ApiConnection/default/crm", "fields": []}

CASES = (
    *(
        _refused("B187", what, _set(lineage=lineage), "made against another state store")
        for what, lineage in (("another state", "0" * 36), ("no state", ""))
    ),
    _refused(
        "B188",
        "one change more",
        _saved(lambda plan: {**plan, "changes": [*plan["changes"], _ONE_MORE]}),
        f"{_MOVED}crm` changed",
    ),
    _refused("B188", "one change less", _set(changes=[]), f"{_MOVED}other` changed"),
    _refused(
        "B188",
        "a change with a name of 1 MB",
        _saved(lambda plan: {**plan, "changes": [{**_ONE_MORE, "ref": "x" * 1_000_000}]}),
        "since the plan was made, ",
    ),
    _refused(
        "B188",
        "changes that are none",
        _set(changes=[1, None, "x", {"ref": 5}, [[]], {"ref": "\ud800\x1b[31m"}]),
        f"{_MOVED}other`",
    ),
    _refused("B188", "another digest", _set(digest="\ud800"), _EDITED),
    _refused("B188", "pruning switched on", _option(prune=True), _EDITED),
    _refused("B188", "another stack", _option(stack="other"), f"{_MOVED}crm` changed"),
    _refused("B188", "an unknown field", _set(extra=CANARY), _EDITED),
    *(
        _refused("B190", what, _set(**change), "error: the plan was made by another version")
        for what, change in (
            ("a newer format", {"formatVersion": 99}),
            ("another version of the tool", {"tool": "9.9.9"}),
        )
    ),
    *(
        _invalid(what, _written(content), _NOT_STRICT)
        for what, content in (
            ("a pickle", _PICKLE),
            ("an empty file", b""),
            ("truncated JSON", b'{"formatVersion": 1, "tool'),
            ("a key twice", b'{"formatVersion": 1, "formatVersion": 1}'),
            ("not a number", b'{"formatVersion": NaN}'),
            ("a number of 5,000 digits", b'{"formatVersion": ' + b"9" * 5000 + b"}"),
        )
    ),
    _invalid("a list", _written(b"[]"), "it has no `formatVersion`"),
    _invalid("100,000 brackets", _written(b"[" * 100_000), "it is nested too deeply"),
    _invalid("1 GiB", _sparse, "it is larger than any plan"),
    _invalid("a folder", _folder, "the plan `plan.json` cannot be read: Is a directory"),
    _invalid("options of other types", _set(options={"stack": 1}), "its options are not those"),
    Case(
        row="B191",
        what="an endless device",
        prepare=_nothing,
        argv=("apply", "--plan", "/dev/zero"),
        says="it is larger than any plan",
    ),
    Case(
        row="B196",
        what="secret on the command line",
        prepare=_nothing,
        argv=("apply", "--token", CANARY),
        exit=2,
        says="secrets are not given on the command line",
    ),
    Case(
        row="B196",
        what="secret as the value of an option",
        prepare=_nothing,
        argv=("apply", f"--password={CANARY}"),
        exit=2,
        says="secrets are not given on the command line",
    ),
)
