"""What libyaml's syntax errors mean to a person who writes manifests.

Pure. A table of its own because the library's words speak of tokens and productions; a reader
wants to know what to change. Nothing of the source text is shown: on the line of a syntax error
there may stand a secret. The keys are libyaml 0.2.5's fixed messages.
"""

from __future__ import annotations

from reconciler.manifests.findings import DIRECTIVE, TAG, Note


def _syntax(message: str, hint: str) -> Note:
    return Note(code="E005", message=message, hint=hint)


_INDENTATION = "check the indentation of this line and of the lines above it"
_UNCLOSED_LIST = _syntax(
    "a list in brackets goes on here without a comma or its closing `]`", "add the `,` or the `]`"
)
_UNCLOSED_MAPPING = _syntax(
    "a mapping in braces goes on here without a comma or its closing `}`", "add the `,` or the `}`"
)
_UNCLOSED_QUOTE = _syntax("a quoted text is not closed", "add the closing quote")
_BAD_ESCAPE = _syntax(
    "this is not an escape that YAML knows",
    r"write a backslash as `\\`, or use single quotes, where it has no meaning",
)
_TAB = _syntax("a tab is used for indentation", "indent with spaces")
_UNKNOWN = _syntax("this is not YAML", _INDENTATION)

_NO_TOKEN = "found character that cannot start any token"
_PROBLEMS = {
    "mapping values are not allowed in this context": _syntax(
        "a second `: ` stands where no key can be",
        "put the value in quotes if the colon belongs to it, or check the indentation",
    ),
    "could not find expected ':'": _syntax(
        "a key without its colon", "write `key: value`, with a space after the colon"
    ),
    "did not find expected key": _syntax("no key stands where one is expected", _INDENTATION),
    "did not find expected '-' indicator": _syntax(
        "a list goes on without a `-`", "begin the item with `- `, or check the indentation"
    ),
    "block sequence entries are not allowed in this context": _syntax(
        "a list item stands where none can be", "begin the list on the line below its key"
    ),
    "did not find expected ',' or ']'": _UNCLOSED_LIST,
    "did not find expected ',' or '}'": _UNCLOSED_MAPPING,
    "did not find expected node content": _syntax(
        "a value is missing or cannot begin like this",
        "write the value, in quotes if it begins with a special character",
    ),
    _NO_TOKEN: _syntax(
        "a value cannot begin with this character",
        "put the text in quotes if the character belongs to it",
    ),
    "found a tab character that violates indentation": _TAB,
    "found a tab character where an indentation space is expected": _TAB,
    "found an indentation indicator equal to 0": _syntax(
        "the indentation of a block text cannot be 0", "write a number from 1 to 9, or none"
    ),
    "did not find expected comment or line break": _syntax(
        "something follows `|` or `>` on the same line", "begin the text on the next line"
    ),
    "found unexpected document indicator": _UNCLOSED_QUOTE,
    "found unexpected end of stream": _UNCLOSED_QUOTE,
    "found unexpected ':'": _syntax(
        "a colon stands inside a value in braces or brackets", "put the value in quotes"
    ),
    "did not find expected <document start>": _syntax(
        "something follows the end of a document",
        "begin the next document with `---`, or remove what follows `...`",
    ),
    "found unknown escape character": _BAD_ESCAPE,
    "did not find expected hexdecimal number": _BAD_ESCAPE,
    "found invalid Unicode character escape code": Note(
        code="E004",
        message="the escape names half a surrogate pair or no character at all",
        hint=r"write the character itself, or one `\U` escape with eight digits",
    ),
    "did not find expected alphabetic or numeric character": _syntax(
        "an anchor or alias has no name", "put the text in quotes if its `&` or `*` is meant"
    ),
    "found incompatible YAML document": DIRECTIVE,
    "found duplicate %YAML directive": DIRECTIVE,
    "found duplicate %TAG directive": DIRECTIVE,
    "found unknown directive name": DIRECTIVE,
    "found undefined tag handle": TAG,
}
#: libyaml's contexts, where they say more than the problem does.
_CONTEXTS = {
    "while scanning a directive": DIRECTIVE,
    "while scanning a %YAML directive": DIRECTIVE,
    "while scanning a %TAG directive": DIRECTIVE,
    "while scanning a tag": TAG,
    "while parsing a tag": TAG,
}


#: libyaml's contexts, where it helps to see what began there.
OPENINGS = {
    "while parsing a flow sequence": "the list begins here",
    "while parsing a flow mapping": "the mapping begins here",
    "while parsing a block collection": "the list begins here",
    "while parsing a block mapping": "the mapping begins here",
    "while scanning a quoted scalar": "the text begins here",
}


def explain(context: str | None, problem: str | None, character: str) -> Note:
    """Returns code, sentence and hint for a syntax error that libyaml describes like this.

    `character` is the one at which the parser stopped; it is not shown.
    """
    if problem == _NO_TOKEN and character == "\t":
        return _TAB
    return _CONTEXTS.get(context or "") or _PROBLEMS.get(problem or "", _UNKNOWN)
