"""Types of fields that several kinds have: durations, lists, counts, and the health block.

Beside `auth.spec_model`, which holds what authentication needs too. Bounds of durations are not
here but in `limits`, since a JSON Schema cannot compare texts.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, Field

from reconciler.auth import spec_model

T = TypeVar("T")

#: A list of the manifest, kept as a tuple; `strict=False` only lets the list become one.
Items: TypeAlias = Annotated[tuple[T, ...], Field(strict=False)]


def _unique(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) < len(items):
        raise ValueError("an item is repeated")
    return items


UniqueItems: TypeAlias = Annotated[
    tuple[T, ...],
    Field(strict=False, max_length=64, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique),
]

Duration: TypeAlias = spec_model.Duration
Count: TypeAlias = Annotated[int, Field(ge=1, le=100), spec_model.INTEGRAL]
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535), spec_model.INTEGRAL]


class Health(spec_model.SpecModel):
    """How often a connection is checked, and what follows from the results."""

    interval: Duration = Field(default="5m", description="How often the connection is due.")
    timeout: Duration = Field(
        default="10s", description="Deadline of one check, everything included."
    )
    failure_threshold: Count = Field(
        default=1, description="Failures in a row that turn the phase to FAILED."
    )
    success_threshold: Count = Field(
        default=1, description="Successes in a row that turn the phase to ACTIVE."
    )
    # No bound protects accounts here: the login budget does, whatever stands in a manifest.
    suspend_after: Count = Field(
        default=5, description="Failures in a row that end the checks until somebody resumes them."
    )
