"""Names between documents: duplicates, and renames that cannot be meant."""

from __future__ import annotations

import pytest

from reconciler.model import Diagnostic, Excerpt, Location, Severity
from tests import checking


def api(metadata: str) -> str:
    return (
        "apiVersion: reconciler/v1\n"
        "kind: ApiConnection\n"
        f"metadata: {{{metadata}}}\n"
        "spec: {baseUrl: https://crm.example.com}\n"
    )


def test_duplicate_names_both_places() -> None:
    found = checking.check(api("name: crm"), api("name: crm"))
    assert found.diagnostics == (
        Diagnostic(
            severity=Severity.ERROR,
            code="E201",
            location=Location(path="m2.yaml", line=3, column=18),
            pointer="/metadata/name",
            message="two manifests are named ApiConnection/default/crm",
            hint="rename one of them, or delete the copy",
            excerpt=Excerpt(text="metadata: {name: crm}", column=18, length=3),
            related=((Location(path="m.yaml", line=3, column=18), "first declared here"),),
        ),
    )


def test_of_two_with_one_name_the_first_is_kept() -> None:
    found = checking.check(api("name: crm"), api("name: crm"))
    assert [str(resource.location) for resource in found.resources] == ["m.yaml:1:1"]


def codes(*texts: str) -> list[str]:
    return sorted(finding.code for finding in checking.check(*texts).diagnostics)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param(["name: a", "name: b"], [], id="two names"),
        pytest.param(["name: a", "name: A"], ["E108", "E201"], id="other case"),
        pytest.param(["name: a", "name: a, namespace: default"], ["E201"], id="default namespace"),
        pytest.param(["name: a", "name: a, namespace: hr"], [], id="other namespace"),
        pytest.param(["name: a", "name: a, color: red"], ["E104", "E201"], id="copy is invalid"),
        pytest.param(["name: a, color: red", "name: a"], ["E104", "E201"], id="first is invalid"),
        pytest.param(["name: 1", "name: 1"], ["E105", "E105"], id="name cannot be read"),
        pytest.param(
            ["name: a, namespace: 1"] * 2, ["E105", "E105"], id="namespace cannot be read"
        ),
        pytest.param(["name: a", "name: b, previousNames: [a]"], ["E202"], id="still declared"),
        pytest.param(["name: a", "name: b, previousNames: [hr/a]"], [], id="of other namespace"),
        pytest.param(
            ["name: a", "name: b, namespace: hr, previousNames: [a]"], [], id="of own namespace"
        ),
        pytest.param(["name: a, previousNames: [b]", "name: b, previousNames: [a]"], [], id="swap"),
        pytest.param(
            ["name: a, previousNames: [b]", "name: b, previousNames: [c]"], [], id="chain"
        ),
        pytest.param(["name: a, previousNames: [a]"], ["E204"], id="own name"),
        pytest.param(
            ["name: a, previousNames: [c]", "name: b, previousNames: [c]"], ["E203"], id="by two"
        ),
        pytest.param(["name: a, previousNames: [c, default/c]"], ["E203"], id="twice by one"),
        pytest.param(["name: a, previousNames: [c, 1, '']"], ["E105", "E108"], id="unreadable"),
        pytest.param(["name: a, previousNames: c"], ["E105"], id="no list"),
        pytest.param(
            ["name: a, previousNames: [c]"] * 2, ["E201"], id="a copy claims nothing again"
        ),
    ],
)
def test_clash(metadata: list[str], expected: list[str]) -> None:
    assert codes(*map(api, metadata)) == expected


def test_names_of_different_kinds_do_not_clash() -> None:
    sql = (
        "apiVersion: reconciler/v1\nkind: SqlConnection\nmetadata: {name: crm}\n"
        "spec: {engine: sqlite, database: crm.sqlite}\n"
    )
    assert codes(api("name: crm"), sql) == []


def test_previous_name_that_is_declared_names_both_places() -> None:
    (finding,) = checking.check(api("name: a"), api("name: b, previousNames: [a]")).diagnostics
    assert checking.screen(finding) == (
        "m2.yaml:3:37: E202 the previous name ApiConnection/default/a is still declared\n"
        "delete the entry, or the other manifest\n"
        "metadata: {name: b, previousNames: [a]}\n"
        "                                    ^\n"
        "m.yaml:3:18: declared here"
    )


def test_previous_name_that_is_claimed_twice_names_both_places() -> None:
    texts = (api("name: a, previousNames: [c]"), api("name: b, previousNames: [c]"))
    (finding,) = checking.check(*texts).diagnostics
    assert checking.screen(finding) == (
        "m2.yaml:3:37: E203 the previous name ApiConnection/default/c is claimed twice\n"
        "delete one of the two entries\n"
        "metadata: {name: b, previousNames: [c]}\n"
        "                                    ^\n"
        "m.yaml:3:37: first claimed here"
    )
