"""P22: a store of any released version becomes one of this version, whole, or stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import MigrationRequired
from reconciler.sealing import Sealer
from reconciler.stores import Opening, migrate, open_store, tables
from tests.corpus.zygote import Zygote
from tests.desired import want
from tests.factories import NOW
from tests.reliability import commands, places, releases, scenarios, survey, upgrades
from tests.reliability.figures import Record
from tests.reliability.places import Place
from tests.reliability.program import Program, row_named


@pytest.fixture(
    params=[
        pytest.param("", id="sqlite"),
        pytest.param("postgresql_url", id="postgresql", marks=pytest.mark.server),
    ]
)
def place(request: pytest.FixtureRequest, memory_path: Path) -> Iterator[Place]:
    """Gives the place of an empty store, which is made."""
    url = request.getfixturevalue(request.param) if request.param else ""
    with places.open_place(url, memory_path) as opened:
        open_store(opened.url, Opening.WRITE, now=NOW).close()
        yield opened


def test_every_released_version_is_kept() -> None:
    kept = {file.stem for file in releases.FOLDER.glob("*.json")}
    assert kept == set(tables.REVISIONS)


@pytest.mark.parametrize("version", tables.REVISIONS)
def test_store_of_a_released_version_keeps_its_rows(
    version: str, place: Place, figure: Record
) -> None:
    releases.make(place.url, version)
    assert migrate.migrate(place.url, now=NOW) == tables.HEAD
    now, count = releases.rows(place.url), 0
    for table, rows in releases.kept(version).items():
        assert [{name: row[name] for name in rows[0]} for row in now[table]] == rows
        count += len(rows)
    figure("P22", "rows of released versions", count, "changed by migrating", 0)


@pytest.mark.parametrize("version", tables.REVISIONS)
def test_store_of_a_released_version_means_the_same(
    version: str, place: Place, memory_path: Path
) -> None:
    releases.make(place.url, version)
    migrate.migrate(place.url, now=NOW)
    program = Program(url=place.url, folder=memory_path)
    with program.store() as store:
        assert store.check() == ()
        a, b, d = (row_named(store, name) for name in "abd")
    assert (a.generation, a.status.phase.value, a.status.reason) == (2, "FAILED", "AuthFailed")
    assert (b.status.phase.value, b.hold and b.hold.kind.value) == ("SUSPENDED", "suspend")
    assert (d.status.phase.value, d.hold and d.hold.kind.value) == ("ARCHIVED", "archive")
    again = program.apply(want("a", port=6432), scenarios.B, scenarios.D, with_secrets=True)
    assert (again.changes.results, again.secret_changes) == ((), ())


@pytest.mark.parametrize("version", tables.REVISIONS[1:])
def test_sealed_values_of_a_released_version_still_open(version: str, place: Place) -> None:
    releases.make(place.url, version)
    migrate.migrate(place.url, now=NOW)
    sealer = Sealer([releases.KEY])
    store = open_store(place.url, Opening.READ, now=NOW)
    (secret,), (token,) = store.sealed("secret"), store.sealed("token")
    assert secret.open(sealer, store.meta.lineage).reveal() == "correct horse"
    assert token.open(sealer, store.meta.lineage).reveal() == '{"access_token":"t"}'
    assert store.last_used(token.name) is not None
    store.close()


def test_migration_of_a_file_killed_at_any_point_is_all_or_nothing(
    memory_path: Path, figure: Record, is_soak: bool
) -> None:
    job = survey.Job(name=scenarios.MIGRATION, folder=memory_path, is_thorough=is_soak)
    found = survey.survey(job)
    assert found.wrong == ()
    assert found.points >= 5
    figure("P22", "kill points", found.points, "half-migrated", 0)


@pytest.mark.parametrize("version", tables.REVISIONS[:-1])
def test_migration_of_a_released_version_killed_at_any_point_is_all_or_nothing(
    version: str, memory_path: Path, figure: Record
) -> None:
    found = upgrades.kill_everywhere(upgrades.Job(folder=memory_path, version=version))
    assert found.wrong == ()
    assert found.points >= 5
    figure("P22", "kill points", found.points, "half-migrated", 0)


@pytest.mark.server
def test_migration_in_postgresql_killed_at_any_point_is_all_or_nothing(
    postgresql_url: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    job = survey.Job(
        name=scenarios.MIGRATION, folder=memory_path, url=postgresql_url, is_thorough=is_soak
    )
    found = survey.survey(job)
    assert found.wrong == ()
    assert found.points >= 5
    figure("P22", "kill points", found.points, "half-migrated", 0)


def test_store_of_a_newer_version_is_not_opened(place: Place, memory_path: Path) -> None:
    make_newer(place, memory_path)
    before = releases.rows(place.url)
    for opening in Opening:
        with pytest.raises(MigrationRequired, match="was written by a newer version"):
            open_store(place.url, opening, now=NOW)
    assert releases.rows(place.url) == before


@pytest.mark.parametrize("arguments", commands.USING_STATE, ids=" ".join)
def test_command_of_an_older_version_leaves_a_newer_store_alone(
    arguments: tuple[str, ...], memory_path: Path, command: Zygote, figure: Record
) -> None:
    file = places.File(memory_path)
    open_store(file.url, Opening.WRITE, now=NOW).close()
    make_newer(file, memory_path)
    before = file.path.read_bytes()
    commands.make_project(memory_path)
    ended = commands.run(command, memory_path, *arguments, state=file.url)
    assert (ended.code, "was written by a newer version" in ended.text) == (5, True)
    assert file.path.read_bytes() == before
    figure("P22", "commands on a newer store", 1, "not refused", 0)


def make_newer(place: Place, folder: Path) -> None:
    """Migrates a store to the version of a program that comes after this one."""
    scenarios.write_next_scripts(folder, tables.HEAD)
    change = scenarios.ALL[scenarios.MIGRATION]
    change.begin(place.url, folder)
    change.change(place.url, folder)
