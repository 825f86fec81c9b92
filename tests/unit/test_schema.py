from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import jsonschema
import pytest

from reconciler import kinds, schema
from reconciler.model import Json

ROOT = Path(__file__).parents[2]


def _generated() -> dict[Path, str]:
    found = util.spec_from_file_location("generate", ROOT / "schemas" / "generate.py")
    assert found is not None
    assert found.loader is not None
    script = util.module_from_spec(found)
    found.loader.exec_module(script)
    texts: dict[Path, str] = script.texts()
    return texts


def _nodes(node: Json) -> Iterator[dict[str, Json]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from _nodes(child)


def _schemas() -> list[Json]:
    return [
        *(kinds.schema(name) for name in kinds.KINDS),
        *(schema.draft7(kinds.schema(name)) for name in kinds.KINDS),
    ]


def test_the_files_are_what_the_specs_generate() -> None:
    checked_in = {path: path.read_text(encoding="utf-8") for path in _generated()}
    assert checked_in == _generated(), "run `make schemas`"


def test_no_other_file_is_shipped_as_a_schema() -> None:
    assert set((ROOT / "schemas" / "v1").rglob("*.json")) == set(_generated())


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_schema_is_valid_in_its_own_dialect(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(kinds.schema(kind))
    jsonschema.Draft7Validator.check_schema(schema.draft7(kinds.schema(kind)))


def test_no_union_and_no_null_is_left() -> None:
    for document in _schemas():
        for node in _nodes(document):
            assert not node.keys() & {"oneOf", "anyOf", "discriminator", "nullable"}
            assert node.get("type") != "null"
            assert node.get("default", "") is not None


def test_every_reference_stays_in_its_file() -> None:
    for document in _schemas():
        for node in _nodes(document):
            assert str(node.get("$ref", "#")).startswith("#")
        assert document["$id"].startswith("urn:reconciler:v1:")


def test_every_object_is_closed_or_a_map_or_a_choice() -> None:
    for kind in kinds.KINDS:
        for node in _nodes(kinds.schema(kind)):
            if node.get("type") == "object":
                closed = node.get("additionalProperties") is False
                assert closed or "propertyNames" in node or "allOf" in node


def test_every_pattern_ends_where_the_text_ends() -> None:
    for document in _schemas():
        for node in _nodes(document):
            pattern = node.get("pattern")
            if isinstance(pattern, str):
                assert pattern.startswith("^(?:")
                assert pattern.endswith(r")$(?!\n)")
                assert r"\d" not in pattern


def test_every_field_has_a_description() -> None:
    for kind in kinds.KINDS:
        definitions = kinds.schema(kind)["$defs"]
        for node in (kinds.schema(kind), *definitions.values()):
            for name, field in node.get("properties", {}).items():
                target = definitions.get(field.get("$ref", "").removeprefix("#/$defs/"), {})
                assert field.get("description") or target.get("description"), name


def test_references_and_durations_are_marked() -> None:
    definitions = kinds.schema("ApiConnection")["$defs"]
    assert definitions["SecretReference"]["x-secret"] is True
    assert definitions["PublicReference"]["x-public"] is True
    assert definitions["ApiTimeout"]["properties"]["total"]["x-duration"] is True


def test_draft_07_moves_a_reference_with_siblings_into_all_of() -> None:
    twin = schema.draft7(
        {
            "$id": "urn:x",
            "$defs": {"A": {"type": "string"}},
            "properties": {
                "plain": {"$ref": "#/$defs/A"},
                "described": {"$ref": "#/$defs/A", "default": "a"},
            },
        }
    )
    assert twin == {
        "$id": "urn:x:draft-07",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"A": {"type": "string"}},
        "properties": {
            "plain": {"$ref": "#/definitions/A"},
            "described": {"allOf": [{"$ref": "#/definitions/A"}], "default": "a"},
        },
    }


def test_reading_shipped_schemas_and_checking_imports_no_pydantic() -> None:
    program = (
        "import sys\n"
        "from reconciler import kinds, schema\n"
        "for name in kinds.KINDS:\n"
        "    kinds.kind(name), kinds.shape(name), schema.draft7(kinds.schema(name))\n"
        "print(sorted({'pydantic', 'httpx', 'sqlalchemy', 'jsonschema'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
