"""What a connection may be called; pure, since the loader of hints and the specs both need it.

Names become parts of references, file names and URLs, so they are lower-case ASCII. Reserved are
the device names of Windows, which no file there can bear, and whatever begins like a uid, so that
`describe conn_...` is never ambiguous.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 63
#: What every uid begins with.
UID_PREFIX: Final = "conn_"
#: Device names of Windows (Naming Files, Paths, and Namespaces), in lower case.
DEVICES: Final = (
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)),
)
#: A name, reserved or not, unanchored.
UNRESERVED_PATTERN: Final = "[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
#: A name that is allowed, to be anchored at both ends.
PATTERN: Final = (
    rf"(?!{UID_PREFIX})(?!(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?![a-z0-9_-])){UNRESERVED_PATTERN}"
)

_SEPARATORS: Final = re.compile(r"[^a-z0-9_-]+")


def is_reserved(name: str) -> bool:
    """Returns whether `name`, in whatever case, is well formed but taken."""
    lowered = name.lower()
    return lowered in DEVICES or lowered.startswith(UID_PREFIX)


def propose_name(text: str) -> str:
    """Returns the valid name nearest to `text`, or `""` where nothing of it can stay."""
    name = _SEPARATORS.sub("-", text.lower()).strip("-_")[:LONGEST].strip("-_")
    if name.startswith(UID_PREFIX):
        name = name.removeprefix(UID_PREFIX).strip("-_")
    return f"{name}-1" if name in DEVICES else name
