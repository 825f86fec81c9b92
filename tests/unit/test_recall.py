"""Files whose bytes are known: exactly what reading them would give, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from reconciler import recall
from reconciler.model import (
    Accepted,
    Hold,
    HoldKind,
    Json,
    Location,
    Phase,
    ReadFile,
    Recorded,
    Resource,
)
from reconciler.settings import SecretPolicy
from tests import factories
from tests.desired import have, want

CONTENT = b"two manifests"
PATH = "manifests/orders.yaml"
POLICY = SecretPolicy(root="/project")
KEY = recall.Key.of(b"k" * 32, POLICY)
ORDERS, BILLING = want("orders"), want("billing", kind="ApiConnection")
ROWS = (have(ORDERS, 1), have(BILLING, 2))


def accepted(resource: Resource, line: int) -> Accepted:
    resource = replace(resource, location=Location(path=PATH, line=line, column=1))
    return Accepted(resource=resource, name_at=Location(path=PATH, line=line + 2, column=18))


READ = ReadFile(
    path=PATH,
    digest=factories.digest_of(CONTENT.decode()),
    accepted=(accepted(ORDERS, 1), accepted(BILLING, 20)),
)
READINGS = {reading.path: reading.fact for reading in recall.entries([READ], KEY)}


def recalled(
    rows: tuple[Recorded, ...] = ROWS,
    readings: Mapping[str, str] = READINGS,
    key: recall.Key = KEY,
    path: str = PATH,
    content: bytes = CONTENT,
) -> list[Accepted] | None:
    return recall.Recall(rows, readings, key).accepted(path, content)


def test_known_file_is_what_it_was_read_as() -> None:
    assert recalled() == [*READ.accepted]


def test_manifest_of_a_known_file_can_be_looked_at() -> None:
    found = recalled()
    assert found is not None
    resource = found[0].resource
    assert (resource.spec, resource.metadata) == (ORDERS.spec, ORDERS.metadata)
    assert (len(resource.manifest), sorted(resource.manifest)) == (2, ["metadata", "spec"])


def test_row_that_a_person_suspended_still_holds_the_manifest() -> None:
    held = replace(ROWS[0], hold=factories.make_hold(kind=HoldKind.SUSPEND))
    assert recalled((held, ROWS[1])) == [*READ.accepted]


def rolled_back(row: Recorded) -> Recorded:
    hold: Hold = factories.make_hold(kind=HoldKind.ROLLBACK, digest=row.digest)
    past = have(want("orders", port=1), 1)
    return replace(row, text=past.text, digest=past.digest, hold=hold)


def in_another_root(**spec: Json) -> list[Accepted] | None:
    resource = want("orders", **spec)
    read = replace(READ, accepted=(accepted(resource, 1),))
    readings = {reading.path: reading.fact for reading in recall.entries([read], KEY)}
    return recalled((have(resource),), readings, replace(KEY, root="/elsewhere"))


def test_root_matters_only_where_a_manifest_names_files() -> None:
    assert in_another_root() == [accepted(want("orders"), 1)]


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(lambda: recalled(content=b"two manifest5"), id="other bytes"),
        pytest.param(lambda: recalled(readings={}), id="nothing kept"),
        pytest.param(
            lambda: recalled(readings={"other.yaml": READINGS[PATH]}, path="other.yaml"),
            id="entry of another file",
        ),
        pytest.param(lambda: recalled(ROWS[:1]), id="row is gone"),
        pytest.param(lambda: recalled((rolled_back(ROWS[0]), ROWS[1])), id="row rolled back"),
        pytest.param(
            lambda: recalled(
                (
                    replace(ROWS[0], status=replace(ROWS[0].status, phase=Phase.ARCHIVED)),
                    ROWS[1],
                )
            ),
            id="row archived",
        ),
        pytest.param(lambda: recalled(key=recall.Key.of(b"l" * 32, POLICY)), id="other store"),
        pytest.param(
            lambda: recalled(
                key=recall.Key.of(b"k" * 32, replace(POLICY, env_allow=("ORDERS_*",)))
            ),
            id="other policy",
        ),
        pytest.param(lambda: recalled(key=replace(KEY, rules="newer")), id="other program"),
        pytest.param(lambda: in_another_root(tls={"ca": {"file": "ca.pem"}}), id="other root"),
    ],
)
def test_file_is_unknown(unknown: Callable[[], list[Accepted] | None]) -> None:
    assert unknown() is None


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param(READINGS[PATH].partition(" ")[0], id="cut"),
        pytest.param("0" * 64 + " " + READINGS[PATH].partition(" ")[2], id="forged"),
        pytest.param("é \x00[", id="rubbish"),
        pytest.param(READINGS[PATH].replace("20", "21"), id="other line"),
    ],
)
def test_damaged_or_forged_entry_is_no_entry(fact: str) -> None:
    assert recalled(readings={PATH: fact}) is None
