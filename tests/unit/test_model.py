"""What the values answer about themselves."""

from __future__ import annotations

import pytest

from reconciler.model import Document, Location, Phase, canonical, parse_pointer, pointer
from tests import factories

DOCUMENT = Document(
    data={"a": {"b": [1, 2]}},
    path="m.yaml",
    marks=(1, 1, {"a": (1, 1, (2, 3, {"b": (2, 3, (2, 6, [(2, 7, None), (2, 10, None)]))}))}),
)


def at(line: int, column: int) -> Location:
    return Location(path="m.yaml", line=line, column=column)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param((), at(1, 1), id="root"),
        pytest.param(("a",), at(2, 3), id="value of a key"),
        pytest.param(("a", "b", 1), at(2, 10), id="item of a list"),
        pytest.param(("a", "missing"), at(2, 3), id="missing key: the mapping that lacks it"),
        pytest.param(("a", "b", 7), at(2, 6), id="missing item: the list that lacks it"),
        pytest.param(("a", "b", 0, "x"), at(2, 7), id="below a scalar: the scalar"),
    ],
)
def test_path_is_located(path: tuple[str | int, ...], expected: Location) -> None:
    assert DOCUMENT.locate(path) == expected


def test_key_is_located() -> None:
    assert DOCUMENT.locate(("a", "b"), key=True) == at(2, 3)


def test_location_reads_as_editors_want_it() -> None:
    assert str(at(4, 2)) == "m.yaml:4:2"


def test_pointer_escapes_as_rfc_6901_says() -> None:
    assert pointer(("a/b", "m~n", 0)) == "/a~1b/m~0n/0"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("", (), id="root"),
        pytest.param("/", ("",), id="empty key"),
        pytest.param("/a~1b/m~0n/0", ("a/b", "m~n", "0"), id="escapes and an index"),
        pytest.param("/~01", ("~1",), id="escaped tilde before a digit"),
    ],
)
def test_pointer_is_parsed_as_rfc_6901_says(text: str, parts: tuple[str, ...]) -> None:
    assert parse_pointer(text) == parts


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'


@pytest.mark.parametrize("phase", list(Phase))
def test_only_three_phases_are_probed(phase: Phase) -> None:
    status = factories.make_status(phase=phase)
    assert status.is_probed is (phase in (Phase.PENDING, Phase.ACTIVE, Phase.FAILED))
    assert status.is_live is (phase is not Phase.ARCHIVED)
    assert status.is_active is (phase is Phase.ACTIVE)
