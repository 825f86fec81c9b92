"""The verdicts of every reader on one manifest: Pydantic and four JSON Schema validators."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import jsonschema
import jsonschema_rs
from pydantic import BaseModel, ValidationError

from reconciler import kinds, schema
from reconciler.model import Json, JsonObject


@cache
def model(kind: str) -> type[BaseModel]:
    """Returns the Pydantic model of a whole manifest."""
    module, attribute = kinds.kind(kind).model.split(":")
    found: type[BaseModel] = getattr(import_module(module), attribute)
    return found


@cache
def _validators(kind: str) -> tuple[Json, ...]:
    twin = schema.draft7(kinds.schema(kind))
    return (
        jsonschema_rs.Draft202012Validator(kinds.schema(kind)),
        jsonschema.Draft202012Validator(kinds.schema(kind)),
        jsonschema.Draft7Validator(twin),
        jsonschema_rs.Draft7Validator(twin),
    )


def verdicts(manifest: JsonObject) -> set[bool]:
    """Returns the set of verdicts; one element when all readers agree."""
    kind = manifest["kind"]
    found = {bool(validator.is_valid(manifest)) for validator in _validators(kind)}
    try:
        model(kind).model_validate(manifest)
    except ValidationError:
        return {*found, False}
    return {*found, True}
