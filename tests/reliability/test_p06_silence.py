"""P6: silence is not deletion.

Manifests vanish in every way in which they do by accident. Without `--prune` no connection is
archived, whatever is missing; with it none is while anything could not be read, or nothing was
found, and none that lies outside of what was given.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.corpus.cases import API
from tests.corpus.zygote import Ended, Zygote
from tests.reliability.figures import Record

FILES = ("team/a.yaml", "team/b.yaml", "other/c.yaml", "other/d.yaml")
#: Makes root obey the permissions of files like anybody else (capabilities(7), capget(2)).
NO_OVERRIDE = """\
import ctypes, os
if os.geteuid() == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of the effective set
    assert libc.capset(header, sets) == 0
"""
_INVALID = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The project folder with an applied state, and how to run the command there."""

    folder: Path
    command: Zygote

    @property
    def manifests(self) -> Path:
        return self.folder / "manifests"

    def __call__(self, *argv: str, cwd: str = ".") -> Ended:
        return self.command(*argv, folder=self.folder / cwd, prelude=NO_OVERRIDE)

    def live(self) -> list[str]:
        """Returns the names of the live connections."""
        with closing(sqlite3.connect(self.folder / ".reconciler" / "state.db")) as state:
            rows = state.execute("select name from connections where phase != 'ARCHIVED'")
            return sorted(name for (name,) in rows)


Damage = Callable[[Place], None]


@pytest.fixture
def place(tmp_path: Path, command: Zygote) -> Place:
    made = Place(folder=tmp_path / "project", command=command)
    for file in FILES:
        path = made.manifests / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(API.replace("crm}", f"{path.stem}}}"))
    (made.folder / "reconciler.toml").write_text("")
    ended = made("apply", "--health", "none")
    assert ended.code == 0, ended.text
    return made


def _emptied(place: Place) -> None:
    shutil.rmtree(place.manifests)
    place.manifests.mkdir()


def _gone(place: Place) -> None:
    shutil.rmtree(place.manifests)


def _unreadable(place: Place) -> None:
    place.manifests.chmod(0)


def _unreadable_subfolder(place: Place) -> None:
    (place.manifests / "team").chmod(0)


def _unreadable_file(place: Place) -> None:
    (place.manifests / "team" / "a.yaml").chmod(0)


def _loop(place: Place) -> None:
    shutil.rmtree(place.manifests)
    place.manifests.symlink_to("manifests")


def _link_elsewhere(place: Place) -> None:
    place.manifests.rename(place.folder.parent / "elsewhere")
    place.manifests.symlink_to(place.folder.parent / "elsewhere")


def _a_file_instead(place: Place) -> None:
    shutil.rmtree(place.manifests)
    place.manifests.write_text("")


def _unmounted_subfolder(place: Place) -> None:
    shutil.rmtree(place.manifests / "team")
    (place.manifests / "team").symlink_to("/nonexistent/mount")


def _link_into_the_unreadable(place: Place) -> None:
    (place.manifests / "team").rename(place.manifests / "other" / "team")
    (place.manifests / "team").symlink_to("other/team")
    (place.manifests / "other").chmod(0)


def _all_truncated(place: Place) -> None:
    for file in FILES:
        (place.manifests / file).write_text("")


def _other_suffixes(place: Place) -> None:
    for file in FILES:
        path = place.manifests / file
        path.rename(path.with_suffix(".yaml.orig"))


def _without_kind(place: Place) -> None:
    for file in FILES:
        (place.manifests / file).write_text("apiVersion: reconciler/v1\n")


def _half_written(place: Place) -> None:
    """A checkout that was interrupted: two files are not there yet, one is there in part."""
    shutil.rmtree(place.manifests / "other")
    file = place.manifests / "team" / "a.yaml"
    file.write_text(file.read_text()[:-20])


def _one_broken_others_gone(place: Place) -> None:
    shutil.rmtree(place.manifests / "other")
    (place.manifests / "team" / "a.yaml").write_bytes(b"kind: \xff")


def _conflict_markers(place: Place) -> None:
    shutil.rmtree(place.manifests / "other")
    file = place.manifests / "team" / "a.yaml"
    file.write_text(f"<<<<<<< ours\n{file.read_text()}=======\n>>>>>>> theirs\n")


def _subfolder_gone(place: Place) -> None:
    shutil.rmtree(place.manifests / "team")


def _some_missing(place: Place) -> None:
    (place.manifests / "team" / "a.yaml").unlink()
    (place.manifests / "other" / "c.yaml").unlink()


def _nothing(_: Place) -> None:
    """Leaves everything as it is."""


def _empty_neighbour(place: Place) -> None:
    (place.folder / "docs").mkdir()


def _unreadable_and_gone(place: Place) -> None:
    _subfolder_gone(place)
    (place.manifests / "other").chmod(0)


@pytest.mark.parametrize("flags", [(), ("--prune", "--yes")], ids=["plain", "prune"])
@pytest.mark.parametrize(
    ("damage", "paths"),
    [
        pytest.param(_emptied, (), id="an empty folder"),
        pytest.param(_emptied, ("manifests",), id="an empty folder by name"),
        pytest.param(_gone, (), id="no folder"),
        pytest.param(_gone, ("manifests",), id="no folder by name"),
        pytest.param(_unreadable, (), id="an unreadable folder"),
        pytest.param(_unreadable_subfolder, (), id="an unreadable subfolder"),
        pytest.param(_unreadable_and_gone, (), id="one subfolder unreadable, one gone"),
        pytest.param(_unreadable_file, (), id="an unreadable file"),
        pytest.param(_loop, (), id="a link to itself"),
        pytest.param(_link_elsewhere, (), id="a link out of the project"),
        pytest.param(_a_file_instead, ("manifests",), id="an empty file in its place"),
        pytest.param(_unmounted_subfolder, (), id="a subfolder whose mount is away"),
        pytest.param(_link_into_the_unreadable, (), id="a link into an unreadable folder"),
        pytest.param(_all_truncated, (), id="every file truncated"),
        pytest.param(_other_suffixes, (), id="every file with another suffix"),
        pytest.param(_without_kind, (), id="files without a kind"),
        pytest.param(_half_written, (), id="half a checkout"),
        pytest.param(_one_broken_others_gone, (), id="one file broken, others gone"),
        pytest.param(_conflict_markers, (), id="a merge conflict"),
        pytest.param(_subfolder_gone, ("manifests/team",), id="a given subfolder gone"),
        pytest.param(_nothing, ("manifests/*.yml",), id="a glob without a match"),
        pytest.param(_empty_neighbour, ("docs",), id="another folder given"),
    ],
)
def test_what_cannot_be_read_is_not_gone(
    place: Place,
    damage: Damage,
    paths: Sequence[str],
    flags: Sequence[str],
    figure: Record,
) -> None:
    damage(place)
    try:
        ended = place("apply", *paths, *flags, "--health", "none")
    finally:
        for path in (place.manifests, place.manifests / "team", place.manifests / "other"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)  # so that the folder can be thrown away
    assert ended.code == _INVALID, ended.text
    assert place.live() == ["a", "b", "c", "d"]
    figure("P6", "ways to be silent", 1, "connections archived", 0)


@pytest.mark.parametrize(
    ("damage", "paths"),
    [
        pytest.param(_some_missing, (), id="some files missing"),
        pytest.param(_subfolder_gone, (), id="a subfolder missing"),
        pytest.param(_some_missing, ("manifests/team",), id="a narrower root"),
        pytest.param(_nothing, ("manifests/team/a.yaml",), id="one file"),
        pytest.param(_nothing, ("--select", "a"), id="one name"),
    ],
)
def test_what_is_missing_stays_without_prune(
    place: Place, damage: Damage, paths: Sequence[str], figure: Record
) -> None:
    damage(place)
    ended = place("apply", *paths, "--health", "none")
    assert ended.code == 0, ended.text
    assert place.live() == ["a", "b", "c", "d"]
    figure("P6", "ways to be silent", 1, "connections archived", 0)


@pytest.mark.parametrize(
    ("damage", "paths", "left"),
    [
        pytest.param(_nothing, ("manifests/team",), ["a", "b", "c", "d"], id="a narrower root"),
        pytest.param(_some_missing, ("manifests/team",), ["b", "c", "d"], id="missing under it"),
        pytest.param(_some_missing, ("manifests/other/d.yaml",), ["a", "b", "c", "d"], id="a file"),
    ],
)
def test_prune_reaches_no_further_than_what_was_given(
    place: Place, damage: Damage, paths: Sequence[str], left: list[str]
) -> None:
    damage(place)
    ended = place("apply", *paths, "--prune", "--health", "none")
    assert ended.code == 0, ended.text
    assert place.live() == left


def test_working_directory_does_not_decide_what_is_gone(place: Place) -> None:
    (place.folder / "docs").mkdir()
    ended = place("apply", "--prune", "--health", "none", cwd="docs")
    assert ended.code == 0, ended.text
    assert place.live() == ["a", "b", "c", "d"]


def test_another_project_on_the_same_state_prunes_only_its_own_stack(
    place: Place, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "manifests").mkdir(parents=True)
    (other / "manifests" / "e.yaml").write_text(API.replace("crm}", "e}"))
    (other / "reconciler.toml").write_text('[stack]\nname = "other"\n')
    state = f"sqlite:///{place.folder}/.reconciler/state.db"
    argv = ("apply", "--prune", "--health", "none", "--state", state)
    ended = place.command(*argv, folder=other)
    assert ended.code == 0, ended.text
    assert place.live() == ["a", "b", "c", "d", "e"]
