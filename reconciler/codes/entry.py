"""What the table of codes holds, and the short forms in which its examples are written.

Apart from the tables, so that they can share it. Pure, the floor of `codes`.
"""

from __future__ import annotations

from textwrap import indent

from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What `explain` says of one code."""

    #: a few words, lower case, the heading
    title: str
    #: what it means, why the rule exists and what to do, in whole sentences
    text: str
    #: a manifest that has exactly this finding, or empty where no text can show it
    failing: str = ""
    #: the same manifest put right, or empty
    fixed: str = ""


def api(spec: str, *, metadata: str = "{name: crm}") -> str:
    """Returns an ApiConnection manifest around the lines of its `spec`."""
    return _manifest("ApiConnection", metadata, spec)


def sql(spec: str) -> str:
    """Returns a SqlConnection manifest around the lines of its `spec`."""
    return _manifest("SqlConnection", "{name: orders}", spec)


def _manifest(kind: str, metadata: str, spec: str) -> str:
    head = f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {metadata}\nspec:\n"
    return head + indent(spec, "  ") + "\n"
