"""P21: a fault of the disk is said, with exit 5, and harms nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.corpus.zygote import Ended, Zygote
from tests.reliability import commands, faulty_disks, places
from tests.reliability.figures import Record

#: A full disk is tried at every page up to here in the long version, else at every power of two.
MOST_PAGES = 64
SEEDS, SOAK_SEEDS = 12, 500
#: What a command that stores several times says of what it has stored, when it cannot go on.
SAID = (" resumed: ", "the plan was applied (2 update)")
#: What answers from many tables, without anything that depends on the time.
ANSWERING = (
    ("status", "--archived", "-o", "json"),
    ("events", "-o", "json"),
    ("plan", "-o", "json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project in which every command has something to do."""

    command: Zygote
    folder: Path

    def __call__(self, *arguments: str, prelude: str = "") -> Ended:
        """Returns how a command ended; it never ends in a traceback."""
        url = self.place.url
        ended = commands.run(self.command, self.folder, *arguments, state=url, prelude=prelude)
        assert "Traceback" not in ended.text
        return ended

    @property
    def place(self) -> places.File:
        """Its state."""
        return places.File(self.folder)

    def refuses(self, *arguments: str, prelude: str = "") -> bool:
        """Returns whether a command ends with 5 and leaves the state's file as it is."""
        before = self.place.path.read_bytes()
        ended = self(*arguments, prelude=prelude)
        return ended.code == 5 and faulty_disks.is_untouched(self.place.path, before)


@pytest.fixture(scope="module")
def applied(command: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Gives the project that the others are copies of."""
    project = Project(command=command, folder=tmp_path_factory.mktemp("applied"))
    commands.make_applied(command, project.folder, state=project.place.url)
    return project


@pytest.fixture
def project(applied: Project, memory_path: Path) -> Project:
    """Gives a project of a test's own."""
    folder = memory_path / "project"
    shutil.copytree(applied.folder, folder)
    return Project(command=applied.command, folder=folder)


@pytest.fixture
def read_only(project: Project) -> Iterator[Project]:
    """Gives a project whose state can be read, and not written by those whom permissions bind."""
    state = project.place.path
    state.chmod(0o400)
    state.parent.chmod(0o500)
    yield project
    state.parent.chmod(0o700)


@pytest.mark.parametrize("arguments", commands.WRITING, ids=" ".join)
def test_full_disk_is_said_and_so_is_what_was_stored_before(
    arguments: tuple[str, ...], project: Project, figure: Record, is_soak: bool
) -> None:
    before, state = project.place.contents(), project.place
    state.save()
    doubling = [0, *(2**power for power in range(MOST_PAGES.bit_length()))]
    for pages in range(MOST_PAGES + 1) if is_soak else doubling:
        state.restore()
        disk = faulty_disks.full_after(pages * faulty_disks.PAGE_BYTES + 512)
        ended = project(*arguments, prelude=disk)
        if ended.code != 5:
            break
        is_said = any(said in ended.text for said in SAID)
        assert (state.contents() != before) is is_said
        assert project("state", "check").code == 0
        figure("P21", "commands on a full disk", 1, "silent successes", 0)
    assert (ended.code, pages > 0) == (0, True)
    assert state.contents() != before


@pytest.mark.parametrize("arguments", commands.READING[:-1], ids=" ".join)
def test_state_that_cannot_be_written_is_read(
    arguments: tuple[str, ...], read_only: Project
) -> None:
    expected = read_only(*arguments)
    ended = read_only(*arguments, prelude=faulty_disks.WITHOUT_PRIVILEGES)
    assert (ended.code, ended.stderr) == (0, expected.stderr)


@pytest.mark.parametrize("arguments", commands.WRITING, ids=" ".join)
def test_state_that_cannot_be_written_is_said_where_it_has_to_be(
    arguments: tuple[str, ...], read_only: Project, figure: Record
) -> None:
    assert read_only.refuses(*arguments, prelude=faulty_disks.WITHOUT_PRIVILEGES)
    figure("P21", "commands on a read-only state", 1, "silent successes", 0)


@pytest.mark.parametrize("arguments", commands.USING_STATE, ids=" ".join)
def test_state_whose_folder_is_missing_is_said_and_not_made(
    arguments: tuple[str, ...], project: Project, figure: Record
) -> None:
    shutil.rmtree(project.place.path.parent)
    gone = f"sqlite:///{project.folder}/gone/deeper/state.db"
    ended = commands.run(project.command, project.folder, *arguments, state=gone)
    # A plan against a state that is not there yet says what the first apply would do.
    assert ended.code == (0 if arguments == ("plan",) else 5)
    assert not (project.folder / "gone").exists()
    figure("P21", "commands without the state's folder", 1, "silent successes", 0)


@pytest.mark.parametrize("arguments", commands.USING_STATE, ids=" ".join)
def test_state_that_is_cut_or_erased_is_refused(
    arguments: tuple[str, ...], project: Project, figure: Record
) -> None:
    whole = project.place.path.read_bytes()
    accepted = []
    for name, spoil in faulty_disks.CUTS.items():
        project.place.path.write_bytes(spoil(whole))
        if not project.refuses(*arguments):
            accepted.append(name)
    assert accepted == []
    figure("P21", "commands on a cut file", len(faulty_disks.CUTS), "silent successes", 0)


@pytest.mark.parametrize("arguments", ANSWERING, ids=" ".join)
def test_zeroed_page_never_changes_an_answer(
    arguments: tuple[str, ...], project: Project, figure: Record
) -> None:
    path = project.place.path
    whole, expected = path.read_bytes(), project(*arguments).stdout
    pages = len(whole) // faulty_disks.PAGE_BYTES
    for number in range(pages):
        path.write_bytes(faulty_disks.page_zeroed(number)(whole))
        before = path.read_bytes()
        ended = project(*arguments)
        assert ended.code == 5 or (ended.code, ended.stdout) == (0, expected)
        assert faulty_disks.is_untouched(path, before)
    figure("P21", "answers with a zeroed page", pages, "wrong answers", 0)


def test_zeroed_page_is_found_by_a_check(project: Project, figure: Record) -> None:
    path = project.place.path
    whole = path.read_bytes()
    pages = len(whole) // faulty_disks.PAGE_BYTES
    missed = []
    for number in range(pages):
        path.write_bytes(faulty_disks.page_zeroed(number)(whole))
        if not project.refuses("state", "check"):
            missed.append(number)
    assert missed == []
    figure("P21", "checks with a zeroed page", pages, "silent successes", 0)


@pytest.mark.parametrize("arguments", [*ANSWERING, ("state", "check")], ids=" ".join)
def test_random_bytes_in_the_file_end_in_an_answer_or_in_exit_5(
    arguments: tuple[str, ...], project: Project, figure: Record, is_soak: bool
) -> None:
    path = project.place.path
    whole = path.read_bytes()
    seeds = range(SOAK_SEEDS if is_soak else SEEDS)
    for seed in seeds:
        path.write_bytes(faulty_disks.bytes_changed(seed)(whole))
        before = path.read_bytes()
        ended = project(*arguments)
        assert ended.code in (0, 5), f"seed {seed}: {ended.text}"
        assert faulty_disks.is_untouched(path, before)
    figure("P21", "commands on a file with random bytes", len(seeds), "unexpected ends", 0)
