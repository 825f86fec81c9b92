"""Plain data as YAML that reads back as the same data, by our loader and by YAML 1.1 readers alike.

PyYAML leaves `1e3` and `0o17` bare, which are numbers in YAML 1.2, and `y` and `n`, which are
booleans for other readers of YAML 1.1; both are quoted here. The library is imported when the
first text is made.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from reconciler.model import Json

if TYPE_CHECKING:
    import yaml

#: Numbers of the core schema (YAML 1.2.2, section 10.3.2), and the characters they begin with.
_NUMBER = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)\Z"
)
_NUMBER_STARTS = "+-.0123456789"
#: Booleans of YAML 1.1 (yaml.org/type/bool.html) that PyYAML does not know.
_SHORT_BOOLEAN = re.compile(r"[yYnN]\Z")
_SHORT_BOOLEANS = "yYnN"


def dump(data: Json) -> str:
    """Returns `data` as one YAML document in block style, keys as they come, ASCII only."""
    import yaml

    text: str = yaml.dump(data, Dumper=_dumper(), sort_keys=False, width=100)
    return text


@cache
def _dumper() -> type[yaml.CSafeDumper]:
    import yaml

    class Dumper(yaml.CSafeDumper):
        """Quotes what some reader takes for no text; writes a value used twice twice."""

        def ignore_aliases(self, _data: Json) -> bool:
            return True

    # The serialiser quotes text that would resolve to another tag than a string.
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list(_NUMBER_STARTS))
    Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", _SHORT_BOOLEAN, list(_SHORT_BOOLEANS))
    return Dumper
