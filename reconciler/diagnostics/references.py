"""What is wrong with a reference to a secret, said without the value.

Whatever stands in a secret field may be the secret itself, so none of it is repeated, not even the
names of its keys: `{hunter2}` is a mapping in YAML. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.diagnostics import wording
from reconciler.model import Json, JsonObject, Path

#: JSON Schema type of an argument -> what it is in Python.
_SHAPES: Mapping[str, type[Any]] = {"string": str, "array": list, "object": dict}


def explain(
    document: JsonObject, path: Path, sources: Mapping[str, JsonObject]
) -> tuple[str, str, str]:
    """Returns code, message and hint for the malformed reference at `path`.

    `sources` are the keys that a reference may have, with the schemas of their arguments.
    """
    value: Json = document
    for part in path:
        value = value[part]
    field, key = f"`{wording.field(path)}`", wording.name(str(path[-1]))
    write = f"write `{key}: {{env: {env_name(document, key)}}}`"
    match value:
        case dict():
            return "E303", f"the reference in {field} {_mistake(value, sources)}", write
        case None:
            return "E105", f"{field} must be a reference, not nothing", write
        case list():
            return "E303", f"{field} must be one reference, not a list", write
        case _:
            hint = f"{write} and keep it there; replace it if the file was ever shared"
            return "E301", f"a secret is written in {field}", hint


def _mistake(reference: JsonObject, sources: Mapping[str, JsonObject]) -> str:
    if not reference:
        return "names no source"
    if len(reference) > 1:
        return "has more than one key"
    source, argument = next(iter(reference.items()))
    if source not in sources:
        return f"names no known source: use {wording.quoted(sources)}"
    return _wrong_argument(source, argument, sources[source])


def _wrong_argument(source: str, argument: Json, schema: JsonObject) -> str:
    if not isinstance(argument, _SHAPES[schema["type"]]):
        return f"must give `{source}` as {wording.TYPES[schema['type']]}{_of(schema)}"
    fields = schema.get("properties")
    if fields:
        missing = [key for key in schema["required"] if key not in argument]
        if missing:
            return f"lacks {wording.quoted(missing, 'and')} in `{source}`"
        if argument.keys() - fields.keys():
            known = wording.quoted(sorted(fields), "and")
            return f"has an unknown field in `{source}`: it takes {known}"
    return f"is not in the form of `{source}`"


def _of(schema: JsonObject) -> str:
    """Returns what a list or a mapping consists of."""
    if "required" in schema:
        return f" with {wording.quoted(schema['required'], 'and')}"
    return " of texts" if "items" in schema else ""


def env_name(document: JsonObject, key: str) -> str:
    """Returns a name for the variable of a secret: connection and field, in capitals."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    words = f"{name}_{key}" if isinstance(name, str) else key
    return re.sub("[^A-Z0-9]+", "_", words.upper().lstrip("0123456789-_")).strip("_")
