"""P5: a saved plan that is stale, foreign or edited never writes.

The whole way through the command line, on copies of one project: a plan is saved, then its file or
the world is changed. What ends well is nothing: exit 7, or 3 where the file is no plan any more,
and a state that is the same byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import Json
from tests.corpus.cases import API
from tests.corpus.zygote import Ended, Zygote
from tests.reliability.figures import Record

PLAN = "plan.json"
STATE = ".reconciler/state.db"
_STALE, _NO_PLAN = 7, 3
#: Edits that hypothesis tries; each is one run of the command.
_EDITS = 60
_VALUES: st.SearchStrategy[Json] = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 1.0, -1, "", "/", "0" * 36, [], [[]], {}, ["manifests"], "default"])
    | st.text(max_size=5)
)
Edit = Callable[[dict[str, Any]], None]


def _manifest(name: str, url: str = "https://crm.example.com") -> str:
    return API.replace("crm}", f"{name}}}").replace("https://crm.example.com", url)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, command: Zygote) -> Path:
    """Gives a project with one connection applied, three changes pending, and their saved plan."""
    folder = tmp_path_factory.mktemp("saved") / "project"
    manifests = folder / "manifests"
    manifests.mkdir(parents=True)
    for name in ("kept", "changed", "gone"):
        (manifests / f"{name}.yaml").write_text(_manifest(name))
    _run(command, folder, "apply", "--health", "none")
    (manifests / "gone.yaml").unlink()
    (manifests / "changed.yaml").write_text(_manifest("changed", "https://other.example.com"))
    (manifests / "new.yaml").write_text(_manifest("new"))
    _run(command, folder, "plan", "--prune", "--out", PLAN)
    return folder


def _run(command: Zygote, folder: Path, *argv: str) -> None:
    ended = command(*argv, folder=folder)
    assert ended.code == 0, ended.text


def _apply(command: Zygote, folder: Path) -> Ended:
    return command("apply", "--plan", PLAN, "--health", "none", folder=folder)


def _require_nothing_written(command: Zygote, folder: Path, *codes: int) -> None:
    before = (folder / STATE).read_bytes()
    ended = _apply(command, folder)
    assert ended.code in codes, ended.text
    assert b"Traceback" not in ended.stderr
    assert (folder / STATE).read_bytes() == before


def _places(data: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner: list[tuple[str | int, Json]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    below = [place for key, value in inner for place in _places(value, (*path, key))]
    return [path, *below] if path else below


def _written_otherwise(old: Json, new: Json) -> bool:
    return json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)


def test_untouched_plan_is_applied(command: Zygote, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    ended = _apply(command, folder)
    assert ended.code == 0, ended.text


def test_plan_with_any_field_edited_writes_nothing(
    command: Zygote, project: Path, figure: Record
) -> None:
    saved = json.loads((project / PLAN).read_text())
    tried: set[str] = set()

    @settings(max_examples=max(_EDITS, settings().max_examples // 20), deadline=None)
    @given(place=st.sampled_from(_places(saved)), value=_VALUES)
    def edit(place: tuple[str | int, ...], value: Json) -> None:
        edited = deepcopy(saved)
        holder = edited
        for part in place[:-1]:
            holder = holder[part]
        if _written_otherwise(holder[place[-1]], value):
            holder[place[-1]] = value
            (project / PLAN).write_text(json.dumps(edited))
            _require_nothing_written(command, project, _STALE, _NO_PLAN)
            tried.add(json.dumps([place, value]))

    try:
        edit()
    finally:
        (project / PLAN).write_text(json.dumps(saved))
    figure("P5", "edited plans", len(tried), "that wrote anything", 0)


def test_plan_with_any_field_removed_or_added_writes_nothing(
    command: Zygote, project: Path, figure: Record
) -> None:
    text = (project / PLAN).read_text()
    saved = json.loads(text)
    variants = [{key: saved[key] for key in saved if key != missing} for missing in saved]
    options = saved["options"]
    variants += [
        {**saved, "options": {key: options[key] for key in options if key != missing}}
        for missing in options
    ]
    variants += [{**saved, "extra": 1}, {**saved, "options": {**options, "extra": 1}}]
    try:
        for variant in variants:
            (project / PLAN).write_text(json.dumps(variant))
            _require_nothing_written(command, project, _STALE, _NO_PLAN)
    finally:
        (project / PLAN).write_text(text)
    figure("P5", "edited plans", len(variants), "that wrote anything", 0)


def _change_the_row(folder: Path, command: Zygote) -> None:
    file = folder / "manifests" / "changed.yaml"
    wanted = file.read_text()
    file.write_text(_manifest("changed", "https://third.example.com"))
    _run(command, folder, "apply", "--health", "none", "manifests/changed.yaml")
    file.write_text(wanted)


def _order_on_the_row(folder: Path, command: Zygote) -> None:
    _run(command, folder, "archive", "changed")


def _apply_it_already(folder: Path, command: Zygote) -> None:
    _run(command, folder, "apply", "--health", "none", "--prune")


def _edit_a_manifest(folder: Path, _: Zygote) -> None:
    (folder / "manifests" / "new.yaml").write_text(_manifest("new", "https://n.example.com"))


def _move_a_manifest(folder: Path, _: Zygote) -> None:
    (folder / "manifests" / "kept.yaml").rename(folder / "manifests" / "moved.yaml")


def _bring_another_state(folder: Path, command: Zygote) -> None:
    shutil.rmtree(folder / ".reconciler")
    manifests = folder / "manifests"
    held = {file: file.read_text() for file in manifests.iterdir()}
    for file in held:
        file.unlink()
    for name in ("kept", "changed", "gone"):
        (manifests / f"{name}.yaml").write_text(_manifest(name))
    _run(command, folder, "apply", "--health", "none")
    (manifests / "gone.yaml").unlink()
    for file, text in held.items():
        file.write_text(text)


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(_change_the_row, id="a row has another revision"),
        pytest.param(_order_on_the_row, id="a row is archived"),
        pytest.param(_apply_it_already, id="the plan is applied"),
        pytest.param(_edit_a_manifest, id="a manifest differs"),
        pytest.param(_move_a_manifest, id="a manifest lies elsewhere"),
        pytest.param(_bring_another_state, id="another lineage, the same rows"),
    ],
)
def test_plan_of_a_world_that_moved_writes_nothing(
    meddle: Callable[[Path, Zygote], None],
    command: Zygote,
    project: Path,
    tmp_path: Path,
    figure: Record,
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    meddle(folder, command)
    _require_nothing_written(command, folder, _STALE)
    figure("P5", "stale plans", 1, "that wrote anything", 0)


def test_plan_survives_changes_that_it_does_not_touch(
    command: Zygote, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    _run(command, folder, "suspend", "kept")
    ended = _apply(command, folder)
    assert ended.code == 0, ended.text
