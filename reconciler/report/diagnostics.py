"""Findings about manifests as people read them: the full screen, and one line per finding.

The screen follows rustc's: severity and code, place, the line with a caret, then what to do. Texts
come from files and are escaped here once more, although whoever made them did so too: a terminal
must obey none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import PurePosixPath
from urllib.parse import quote

from reconciler import redact
from reconciler.model import Diagnostic, Excerpt, Location, Severity
from reconciler.report import layout
from reconciler.report.style import Style, Tone
from reconciler.values import dataclass

#: The path that stands for standard input.
STDIN = "-"
#: How many findings the screen shows unless all are asked for.
SHOWN = 20

_TONES = {Severity.ERROR: Tone.ALARM, Severity.WARNING: Tone.WARNING}
#: An excerpt keeps this many cells before its caret where the line is too long for the width.
_LEAD_CELLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that was found in one run."""

    #: sorted by location
    diagnostics: tuple[Diagnostic, ...]
    #: how many files were read
    files: int
    #: how many manifests were in them
    documents: int = 0
    #: how many findings the screen shows; None shows all
    limit: int | None = SHOWN
    #: absolute folder that paths are relative to, to make them links; empty makes none
    link_root: str = ""

    def count(self, severity: Severity) -> int:
        """Returns how many findings have this severity."""
        return sum(finding.severity is severity for finding in self.diagnostics)

    @property
    def shown(self) -> tuple[Diagnostic, ...]:
        """The findings within the limit, errors before warnings, still sorted by location."""
        if self.limit is None or len(self.diagnostics) <= self.limit:
            return self.diagnostics
        numbered = enumerate(self.diagnostics)
        order = sorted(numbered, key=lambda item: item[1].severity is Severity.WARNING)
        return tuple(finding for _, finding in sorted(order[: self.limit], key=itemgetter(0)))


def text(findings: Findings, style: Style) -> str:
    """Returns the screen: a block per finding, blank lines between, and how many are not shown."""
    blocks = ["\n".join(_block(found, findings, style)) for found in findings.shown]
    hidden = len(findings.diagnostics) - len(blocks)
    if hidden:
        blocks.append(f"{hidden} more not shown: --all shows every one")
    return "\n\n".join(blocks) + "\n" if blocks else ""


def concise(findings: Findings, _style: Style) -> str:
    """Returns one line per finding, all of them: `path:line:col: E104 message`."""
    return "".join(
        f"{redact.escape(str(found.location))}: {found.code} {layout.one_line(found.message)}\n"
        for found in findings.diagnostics
    )


def summary(findings: Findings, style: Style, *, seconds: float) -> str:
    """Returns the last line, for standard error: how many of what, in how many files."""
    errors, warnings = findings.count(Severity.ERROR), findings.count(Severity.WARNING)
    took = f"({seconds:.1f} s)"
    if not errors and not warnings:
        return f"{style.paint('ok', Tone.GOOD)}  {_read(findings)} valid {took}\n"
    mark = style.paint("x", Tone.BAD) if errors else style.paint("!", Tone.WARNING)
    counts = [_plural(errors, "error")] if errors else []
    counts += [_plural(warnings, "warning")] if warnings else []
    touched = len({found.location.path for found in findings.diagnostics})
    of_files = f"{min(touched, findings.files)} of {_plural(findings.files, 'file')}"
    return f"{mark} {', '.join(counts)} in {of_files} {took}\n"


def _block(found: Diagnostic, findings: Findings, style: Style) -> Iterator[str]:
    gutter = " " * (len(str(found.location.line)) + 1)
    head = style.paint(f"{found.severity}[{found.code}]", _TONES[found.severity])
    yield f"{head}: {style.paint(layout.one_line(found.message), Tone.STRONG)}"
    yield f"{gutter}{style.paint('-->', Tone.QUIET)} {_place(found.location, findings)}"
    if found.excerpt:
        yield f"{gutter} |"
        source, caret = _window(found.excerpt, len(gutter), style)
        yield f" {found.location.line} | {source}".rstrip()
        yield f"{gutter} | {caret.replace('^', '')}{style.paint(caret.strip(), Tone.ALARM)}"
    for location, words in found.related:
        mark = style.paint(":::", Tone.QUIET)
        yield f"{gutter}{mark} {_place(location, findings)}  {layout.one_line(words)}"
    if found.hint:
        help_mark = style.paint("= help:", Tone.NOTE)
        yield f"{gutter} {help_mark} {layout.one_line(found.hint)}"


def _window(excerpt: Excerpt, gutter: int, style: Style) -> tuple[str, str]:
    """Returns the line and its caret, moved left where the line is too long for the width."""
    source = redact.escape(excerpt.text).replace("\t", " ").replace("\n", " ")
    start = min(excerpt.column - 1, len(source))
    lead, rest = source[:start], source[start:]
    room = None if style.width is None else style.width - gutter - len(" | ")
    if room is not None and layout.cells(source) > room and layout.cells(lead) > _LEAD_CELLS:
        lead = style.glyph("…") + lead[1 - _LEAD_CELLS :]
    marked = layout.cells(rest[: excerpt.length]) or 1
    column = layout.cells(lead)
    if room is not None:
        marked = max(1, min(marked, room - column))
    return layout.cut(lead + rest, room, style), " " * column + "^" * marked


def _place(location: Location, findings: Findings) -> str:
    shown = redact.escape(str(location))
    if not findings.link_root or location.path == STDIN:
        return shown
    path = quote(str(PurePosixPath(findings.link_root, location.path)), errors="surrogateescape")
    # OSC 8 hyperlink, as the terminals' shared specification of it says: opener, text, closer.
    return f"\x1b]8;;file://{path}\x1b\\{shown}\x1b]8;;\x1b\\"


def _read(findings: Findings) -> str:
    """Returns `3 files`, or `4 manifests in 3 files` where a file holds another number than one."""
    files = _plural(findings.files, "file")
    if findings.documents in (0, findings.files):
        return files
    return f"{_plural(findings.documents, 'manifest')} in {files}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
