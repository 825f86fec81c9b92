from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from reconciler import kinds, report
from reconciler.manifests import loader
from reconciler.model import Document, Json, canonical
from reconciler.report import data, formats, views, yaml_text
from reconciler.report.style import Style
from tests.factories import NOW, make_event, make_manifest, make_recorded, make_ref

#: Text that readers of YAML 1.1 or 1.2 take for something else, or that breaks a line.
_HARD = (
    "",
    "no",
    "n",
    "Y",
    "null",
    "~",
    "1e3",
    "0o17",
    "0x1f",
    "017",
    "1_000",
    "22:22",
    "2024-02-03",
    ".5",
    "+1",
    "<<",
    "=",
    "- a",
    "a: b",
    "a #b",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "'",
    '"',
    "a\nb\n",
    " a ",
    "é✓日",
    "a" * 300 + " b" * 200,
)


@pytest.mark.parametrize("text", _HARD)
def test_yaml_reads_back_as_written_under_both_versions(text: str) -> None:
    written = yaml_text.dump({"kind": "x", "value": text, "list": [text, 1, 1.5, None, True]})
    read = yaml.safe_load(written)
    assert read == {"kind": "x", "value": text, "list": [text, 1, 1.5, None, True]}
    assert [item.data for item in _documents(written)] == [read]


def test_yaml_is_ascii() -> None:
    assert yaml_text.dump(["é\x7f\u202e"]).isascii()


def test_yaml_writes_a_value_that_is_used_twice_twice() -> None:
    labels = {"team": "hr"}
    assert yaml_text.dump([labels, labels]) == "- team: hr\n- team: hr\n"


def _documents(text: str) -> list[Document]:
    found = list(loader.load(text.encode(), "written.yaml"))
    assert [item for item in found if not isinstance(item, Document)] == []
    return [item for item in found if isinstance(item, Document)]


_API: Json = {
    "metadata": {"name": "crm", "namespace": "sales", "labels": {"n": "1e3"}},
    "spec": {
        "baseUrl": "https://api.example.com/v2",
        "auth": {"method": "bearer", "token": {"env": "CRM_TOKEN"}},
        "headers": {"Accept": "0o17"},
        "health": {"path": "/ping", "expect": {"status": ["200-299"], "json": {"/status": "no"}}},
    },
}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param("SqlConnection", make_manifest(), id="SqlConnection"),
        pytest.param("ApiConnection", _API, id="ApiConnection"),
    ],
)
def test_manifest_of_a_row_applies_again_as_no_change(kind: str, content: Json) -> None:
    normal = kinds.shape(kind).normalise(content)
    metadata = normal["metadata"]
    row = make_recorded(
        ref=make_ref(metadata["name"], metadata["namespace"], kind), text=canonical(normal)
    )
    (document,) = _documents(data.manifest_yaml(row))
    assert (document.data["apiVersion"], document.data["kind"]) == ("reconciler/v1", kind)
    written = {key: document.data[key] for key in ("metadata", "spec")}
    assert kinds.shape(kind).normalise(written) == normal
    assert "status" not in document.data


def test_json_escapes_every_control_character() -> None:
    view = views.EventsView(events=(make_event(message="a\x7f\x9b\u202e\x1b\ud800"),), now=NOW)
    text = data.json_lines(view, Style())
    assert text.isascii()
    assert text.isprintable() is False
    assert text.rstrip("\n").isprintable()
    assert json.loads(text)["message"] == "a\x7f\x9b\u202e\x1b\ud800"


def test_json_and_yaml_say_the_same(status_view: views.StatusView) -> None:
    as_json = json.loads(data.json_document(status_view, Style()))
    assert as_json["formatVersion"] == 1
    assert yaml.safe_load(data.yaml_document(status_view, Style())) == as_json


def test_lines_are_the_items_of_the_document(plan_view: views.PlanView) -> None:
    lines = [json.loads(line) for line in data.json_lines(plan_view, Style()).splitlines()]
    changes = json.loads(data.json_document(plan_view, Style()))["changes"]
    assert lines == [{"formatVersion": 1, **change} for change in changes]


def test_apply_without_a_health_pass_has_no_health(apply_view: views.ApplyView) -> None:
    text = data.json_document(replace(apply_view, health=None), Style())
    assert json.loads(text)["health"] is None


@pytest.mark.parametrize(
    "table",
    [
        formats.PLAN,
        formats.APPLY,
        formats.HEALTH,
        formats.STATUS,
        formats.DESCRIBE,
        formats.HISTORY,
        formats.EVENTS,
        formats.RUNS,
    ],
)
def test_every_format_is_there(table: Mapping[str, str]) -> None:
    assert all(callable(report.formatter(table, name)) for name in table)
