"""Writes README's table of engines from the catalogue: `python -m tests.support_table`.

Nobody else writes between the two marks; a test compares what stands there with the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.kinds import engines
from reconciler.kinds.engine_traits import Engine

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- engines: written by `make schemas` -->\n"
END = "<!-- /engines -->\n"
HEAD = """\
| engine | driver | needs | port | login (`auth.method`) | `options` | in programs | tested on |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def table() -> str:
    """Returns the table in Markdown."""
    return HEAD + "".join(_lines())


def _lines() -> Iterator[str]:
    for row in engines.ROWS:
        yield f"| {' | '.join(_cells(row))} |\n"


def _cells(row: Engine) -> tuple[str, ...]:
    return (
        f"`{row.name}`",
        row.library,
        f"`reconciler[{row.extra}]`" if row.extra else "nothing",
        str(row.default_port) if row.default_port else "a file",
        _code(row.methods),
        ", ".join(
            f"`{option.name}`{' (required)' if option.is_required else ''}"
            for option in row.options
        ),
        "`connect`" if row.dialect else "",
        row.tested_on,
    )


def _code(names: Iterator[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def between_marks(readme: str) -> str:
    """Returns what stands between the marks."""
    return readme.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Writes README anew."""
    readme = README.read_text(encoding="utf-8")
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise LookupError("README has no marks to write between")
    README.write_text(f"{before}{mark}{table()}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
