"""What a server answered to a request: its body as text, or its head.

Pure. All of it is foreign; the gate of the command line takes out what a terminal would obey.
"""

from __future__ import annotations

import json
import math

from reconciler.model import Json
from reconciler.report import layout
from reconciler.report.style import Style
from reconciler.report.views import RequestView


def body(view: RequestView, _style: Style) -> str:
    """Returns the body as text that ends with a line break, or nothing."""
    text = text_of(view.body).replace("\r\n", "\n")
    return text if not text or text.endswith("\n") else f"{text}\n"


def headers(view: RequestView, _style: Style) -> str:
    """Returns the status and one line per header, in the order they came."""
    lines = [f"HTTP {view.status}"]
    lines += [f"{layout.one_line(name)}: {layout.one_line(value)}" for name, value in view.headers]
    return "\n".join(lines) + "\n"


def text_of(data: bytes) -> str:
    """Returns `data` as text; octets that are not UTF-8 stand in hexadecimal."""
    return data.decode(errors="backslashreplace")


def json_of(data: bytes) -> Json:
    """Returns what `data` says as JSON, None where it is none."""
    try:
        # numbers that JSON has no form for (RFC 8259, section 6) would make ours no JSON
        return json.loads(data, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
