"""What every manifest says whatever its kind: names, labels, former names, and the user's intent.

None of it decides where or as whom we connect, so a change here never raises the generation.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from reconciler.auth.spec_model import EXCERPT, PRINTABLE, SpecModel, whole
from reconciler.kinds import names
from reconciler.kinds.fields import UniqueItems

#: Semantic Versioning 2.0.0, the expression that its FAQ suggests, digits spelt out.
_SEMVER: Final = (
    r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
#: No comma and no equals sign, so that `-l key=value` can say it.
_WORD: Final = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"

Name: TypeAlias = Annotated[
    str, Field(pattern=whole(names.PATTERN), min_length=1, max_length=names.LONGEST)
]
FormerName: TypeAlias = Annotated[
    str,
    Field(pattern=whole(f"(?:{names.UNRESERVED_PATTERN}/)?{names.UNRESERVED_PATTERN}")),
]
Word: TypeAlias = Annotated[str, Field(pattern=whole(_WORD))]
#: A word, or `prefix/word` as Kubernetes has it.
Key: TypeAlias = Annotated[str, Field(pattern=whole(f"(?:{_WORD}/)?{_WORD}"))]
LabelValue: TypeAlias = Annotated[str, Field(pattern=whole(f"(?:{_WORD})?"))]
Note: TypeAlias = Annotated[str, Field(max_length=1000)]

#: The user's intent, in git.
State: TypeAlias = Literal["active", "suspended", "archived"]
#: What happens when the manifest goes away.
DeletionPolicy: TypeAlias = Literal["archive", "delete", "protect"]


class Metadata(SpecModel):
    """Who a connection is."""

    name: Name = Field(
        description="Unique per kind and namespace.",
        examples=["orders"],
    )
    namespace: Name = Field(default="default", description="Groups names.", examples=["hr"])
    display_name: Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=100)] | None = (
        Field(default=None, description="Name for people.", examples=["Orders database"])
    )
    description: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="What the connection is for."
    )
    version: Annotated[str, Field(pattern=whole(_SEMVER), max_length=100)] | None = Field(
        default=None,
        description="Semantic version of the manifest; going down is a warning in the plan.",
        examples=["1.2.0"],
    )
    labels: Annotated[dict[Key, LabelValue], Field(max_length=64)] = Field(
        default={},
        description="Selectable with `-l key=value`.",
        examples=[{"team": "hr"}],
        json_schema_extra={EXCERPT: "show"},
    )
    tags: UniqueItems[Word] = Field(
        default=(), description="Words for people and dashboards.", examples=[["prod"]]
    )
    annotations: Annotated[dict[Key, Note], Field(max_length=64)] = Field(
        default={},
        description="Notes for other tools; nothing selects by them.",
        examples=[{"example.com/ticket": "OPS-1"}],
    )
    previous_names: UniqueItems[FormerName] = Field(
        default=(),
        description=(
            "Former `[namespace/]name`, newest first: a rename keeps identity and history."
        ),
        examples=[["order_db"]],
    )


class Intent(SpecModel):
    """The first fields of every spec: what the user wants of the connection as a whole."""

    state: State = Field(
        default="active",
        description="`suspended` stops the checks, `archived` ends the connection.",
    )
    deletion_policy: DeletionPolicy = Field(
        default="archive",
        description="What happens when the manifest goes away: archived, deleted, or refused.",
    )
