"""What is kept of a file about which nothing is to be said, and how it meets the others."""

from __future__ import annotations

import pytest

from reconciler import settings, validate
from reconciler.manifests import loader
from reconciler.model import Accepted, Location

POLICY = settings.SecretPolicy(root="/project")
SOUND = """\
apiVersion: reconciler/v1
kind: SqlConnection
metadata: {name: cache}
spec: {engine: sqlite, database: data/cache.sqlite}
"""


def accepted(text: str) -> list[Accepted] | None:
    return validate.accept(loader.load(text.encode(), "m.yaml"), POLICY)


def test_sound_file_comes_to_its_resources_and_where_their_names_stand() -> None:
    alone = validate.validate(loader.load(SOUND.encode(), "m.yaml"), POLICY)
    assert accepted(SOUND) == [
        Accepted(resource=alone.resources[0], name_at=Location(path="m.yaml", line=3, column=18))
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: [", id="no YAML"),
        pytest.param(SOUND.replace("engine", "engin"), id="invalid by its schema"),
        pytest.param(SOUND.replace("data/", "/data/"), id="refused by a check"),
        pytest.param(SOUND.replace("cache}", "a, previousNames: [b]}"), id="claims another name"),
        pytest.param(f"{SOUND}---\n{SOUND}", id="one name twice"),
        pytest.param(f"{SOUND}---\nkind: Other\n", id="mistake in another document"),
    ],
)
def test_file_of_which_anything_is_to_be_said_is_not_accepted(text: str) -> None:
    assert accepted(text) is None


def test_accepted_document_counts_like_one_that_was_read() -> None:
    read = validate.validate(loader.load(SOUND.encode(), "m.yaml"), POLICY)
    assert validate.validate(accepted(SOUND) or (), POLICY) == read


def test_name_of_an_accepted_document_is_taken() -> None:
    items = [*(accepted(SOUND) or ()), *loader.load(SOUND.encode(), "n.yaml")]
    (finding,) = validate.validate(items, POLICY).diagnostics
    assert (finding.code, finding.location, finding.related) == (
        "E201",
        Location(path="n.yaml", line=3, column=18),
        ((Location(path="m.yaml", line=3, column=18), "first declared here"),),
    )
