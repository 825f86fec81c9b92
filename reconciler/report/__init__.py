"""Values -> text: what people and programs are shown of every stage.

One module per screen or format, found through the tables of `formats`, so that a format that is
not asked for is not imported. Every report is a pure function from values to one text; what a
terminal can show comes in as `style.Style`, and writing the text is the business of
`cli/output.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def formatter(table: Mapping[str, str], name: str) -> Callable[..., str]:
    """Returns the report called `name`, a key of `table`, importing its module now."""
    module, attribute = table[name].split(":")
    function: Callable[..., str] = getattr(import_module(module), attribute)
    return function
