"""What the loader can say: a `Note` is code, sentence and hint; here it becomes a `Diagnostic`.

Pure. The sentences stand together so that they are read and kept in one voice. None ever holds
text of a value: only keys are shown, escaped, and the line of a finding is written anew with its
value masked. Names of anchors, aliases and tags are not shown either, because `password: *abc` is
more likely a secret that lacks its quotes.
"""

from __future__ import annotations

from errno import EACCES, EPERM, errorcode

from reconciler.model import Diagnostic, Excerpt, Json, Location, Severity
from reconciler.redact import MASK, escape
from reconciler.values import dataclass

LARGEST_FILE_BYTES = 1024 * 1024
LARGEST_FILES = 10_000
LARGEST_DOCUMENTS = 1000
LARGEST_DEPTH = 64
LARGEST_NODES = 10_000
LARGEST_ANCHORS = 100

#: Longer keys are cut in a message, and lines as wide are not drawn.
_WIDEST = 80

#: Characters that no file, key or value may hold, however they are written: controls but tab and
#: line feed, surrogates, byte order marks, non-characters, and Unicode's Bidi_Control (UAX #9),
#: which make a text show something else than it holds. A text and not compiled, since most runs
#: meet nothing that has to be looked at so closely.
FORBIDDEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
    "\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is to be said about a place: a warning if `code` begins with W, else an error."""

    code: str
    message: str
    hint: str


TOO_LARGE = Note(
    code="E002", message="the file is larger than 1 MiB", hint="split it into several files"
)
UTF_16 = Note(
    code="E003",
    message="the file is UTF-16 or UTF-32 and not UTF-8",
    hint="save the file as UTF-8",
)
CONFLICT = Note(
    code="E006",
    message="a conflict marker of git was left in the file",
    hint="resolve the conflict and remove the marker lines",
)
EMPTY = Note(
    code="E007",
    message="the file holds no document",
    hint="write a manifest into it, or delete the file",
)
TOO_MANY_DOCUMENTS = Note(
    code="E008",
    message=f"the file holds more than {LARGEST_DOCUMENTS} documents",
    hint="split it into several files",
)
TOO_DEEP = Note(
    code="E009",
    message=f"mappings and lists are nested more than {LARGEST_DEPTH} deep",
    hint="close brackets that were left open, or flatten the document",
)
TOO_MANY_NODES = Note(
    code="E010",
    message=f"the document has more than {LARGEST_NODES} keys and values, aliases expanded",
    hint="split the document, or write less with aliases",
)
TOO_MANY_ANCHORS = Note(
    code="E010",
    message=f"the document has more than {LARGEST_ANCHORS} anchors",
    hint="split the document",
)
CYCLE = Note(
    code="E011",
    message="the alias stands inside the very node that it refers to",
    hint="write the value out, or put the text in quotes if its `*` is meant",
)
UNDEFINED = Note(
    code="E012",
    message="no anchor of this name comes before the alias",
    hint="define the anchor first, or put the text in quotes if its `*` is meant",
)
TAG = Note(
    code="E013",
    message="tags are not allowed",
    hint="remove the tag, or put the text in quotes if its `!` is meant",
)
DIRECTIVE = Note(
    code="E014",
    message="directives are not allowed",
    hint="remove the line; manifests are YAML 1.2 and need none",
)
BAD_MERGE = Note(
    code="E017",
    message="`<<` merges a mapping or a list of mappings, and this is neither",
    hint="refer to a mapping, or put the key in quotes if `<<` is meant",
)
TWO_MERGES = Note(
    code="E017",
    message="`<<` is given twice in this mapping",
    hint="merge a list of mappings instead, as in `<<: [*first, *second]`",
)
NOT_A_MAPPING = Note(
    code="E019",
    message="the document is not a mapping",
    hint="begin it with `apiVersion:` and `kind:`; several manifests are parted by `---`",
)
LFS_POINTER = Note(
    code="E019",
    message="the file is a pointer of git-lfs and not the manifest itself",
    hint="fetch the content with `git lfs pull`",
)

OUTSIDE = Note(
    code="E020",
    message="the link leads out of the folder that was given, and is not followed",
    hint="copy the file into the folder, or give the target's own path",
)
BAD_NAME = Note(
    code="E021",
    message="the name holds control characters or is not UTF-8",
    hint="rename the file",
)
TOO_MANY_FILES = Note(
    code="E022",
    message=f"more than {LARGEST_FILES} manifest files were found",
    hint="give a folder further down, or several in turn",
)
NO_MANIFEST = Note(
    code="E023",
    message="no manifest was found",
    hint="give a folder that holds .yaml or .yml files; without any, nothing is pruned",
)
MISSING = Note(
    code="E024", message="the path does not exist", hint="check the path and the working directory"
)
NO_MATCH = Note(
    code="E024", message="no manifest matches the glob", hint="check the pattern and its folder"
)
NOT_REGULAR = Note(
    code="E025",
    message="this is a device, a pipe, a socket or a folder, and not a regular file",
    hint="give a regular file; `-` reads standard input",
)
CHANGED = Note(
    code="E026",
    message="the file changed or vanished while it was read",
    hint="run the command again when nothing writes to the file",
)
BROKEN_LINK = Note(
    code="E001", message="the target of the link does not exist", hint="remove or repair the link"
)
NO_STANDARD_INPUT = Note(
    code="E001", message="standard input is closed", hint="pipe the manifests into the command"
)


def unreadable(error: OSError) -> Note:
    """Returns what to say of a file or folder that the system refuses to open or read."""
    reasons = {EACCES: "permission is denied", EPERM: "permission is denied"}
    reason = reasons.get(error.errno or 0, errorcode.get(error.errno or 0, "unknown error"))
    return Note(
        code="E001",
        message=f"this cannot be read: {reason}",
        hint="make it readable, or leave it out of what is given",
    )


def not_utf8(offset: int) -> Note:
    """Returns what to say of the first byte, counted from 0, that is not UTF-8."""
    return Note(
        code="E003", message=f"byte offset {offset} is not UTF-8", hint="save the file as UTF-8"
    )


def forbidden(character: str, where: str) -> Note:
    """Returns what to say of a character that must not be `where`."""
    return Note(
        code="E004",
        message=f"{where} the character U+{ord(character):04X}, which is not allowed",
        hint="remove the character or its escape",
    )


def not_a_string(key: Json) -> Note:
    """Returns what to say of a key; it is named by its type, because a list may hold anything."""
    names = {"NoneType": "null", "bool": "a boolean", "dict": "a mapping", "list": "a list"}
    return Note(
        code="E016",
        message=f"the key is {names.get(type(key).__name__, 'a number')} and not a string",
        hint="put the key in quotes",
    )


def duplicate(key: str, first: Location) -> Note:
    """Returns what to say of a key that the same mapping has at `first` already."""
    return Note(
        code="E015",
        message=f"the key `{shown(key)}` was already given at {first.line}:{first.column}",
        hint="remove one of the two",
    )


def escaped(text: str) -> str:
    """Returns `text` fit for one line of a terminal."""
    return escape(text).replace("\n", r"\n").replace("\t", r"\t")


def shown(text: str) -> str:
    """Returns `text` fit for one line of a terminal, and cut."""
    line = escaped(text)
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"


def excerpt(key: str, column: int, *, on_key: bool) -> Excerpt | None:
    """Returns the line of `key`, which stands at `column`, written anew with its value masked.

    The caret is under the key or, without `on_key`, under the value. A line too wide is not drawn.
    """
    name = shown(key)
    text = f"{' ' * (column - 1)}{name}: {MASK}"
    if len(text) > _WIDEST:
        return None
    if on_key:
        return Excerpt(text=text, column=column, length=max(1, len(name)))
    return Excerpt(text=text, column=column + len(name) + 2, length=len(MASK))


def diagnostic(
    note: Note,
    location: Location,
    *,
    pointer: str = "",
    excerpt: Excerpt | None = None,
    related: tuple[tuple[Location, str], ...] = (),
) -> Diagnostic:
    """Returns `note` said about a place."""
    return Diagnostic(
        severity=Severity.WARNING if note.code.startswith("W") else Severity.ERROR,
        code=note.code,
        location=location,
        pointer=pointer,
        message=note.message,
        hint=note.hint,
        excerpt=excerpt,
        related=related,
    )
