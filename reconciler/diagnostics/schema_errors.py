"""Why a document does not match its schema, in our own words.

`validate` asks only about documents that `jsonschema-rs` refused, since the Python library is a
hundred times slower. Of the library's errors nothing but the rule and the place is used: its texts
repeat values. What a broken rule means is `rules`' business; here it gets its place in the file,
and what only follows from another mistake is left out. Pure.
"""

from __future__ import annotations

from functools import cache

from jsonschema import Draft202012Validator
from referencing import Registry

from reconciler import kinds
from reconciler.diagnostics import excerpts, rules, trails, wording
from reconciler.diagnostics.rules import Failure, Fault
from reconciler.model import Diagnostic, Document, Path, Severity, pointer

#: Should the two libraries ever differ, a refused document is still an error and never lost.
_UNEXPLAINED = Fault(code="E109", path=(), message="the document does not fit the schema")


def explain(document: Document, kind: str) -> tuple[Diagnostic, ...]:
    """Returns what makes `document` invalid as a manifest of `kind`; at least one diagnostic.

    Only first causes: of a value with the wrong type nothing else is said, of what lies inside a
    field that may not be there nothing at all. No value of a secret or unknown field is in it.
    """
    faults: list[tuple[int, Fault]] = []
    for error in _validator(kind).iter_errors(document.data):
        failure = Failure(
            path=tuple(error.absolute_path),
            limit=error.validator_value,
            value=error.instance,
            trail=trails.follow(kinds.schema(kind), error.absolute_schema_path),
            document=document,
            kind=kind,
        )
        rule = str(error.validator)
        faults.extend((rules.rank(rule), fault) for fault in rules.explain(rule, failure))
    aliens = frozenset(fault.path for _, fault in faults if fault.is_alien)
    plain = kinds.shape(kind).is_plain

    causes = _first_causes(faults) or [_UNEXPLAINED]

    def is_plain(path: Path) -> bool:
        return path not in aliens and plain(path)

    return tuple(_diagnostic(document, fault, is_plain) for fault in causes)


@cache
def _validator(kind: str) -> Draft202012Validator:
    # an empty registry: a reference to anywhere else is an error and never a download
    return Draft202012Validator(kinds.schema(kind), registry=Registry())


def _first_causes(faults: list[tuple[int, Fault]]) -> list[Fault]:
    """Returns one fault per value, none of them inside another or a mere consequence of one."""
    first: dict[Path, Fault] = {}
    for _, fault in sorted(faults, key=lambda ranked: (len(ranked[1].path), ranked[0])):
        if not any(fault.path[:length] in first for length in range(1, len(fault.path) + 1)):
            first[fault.path] = fault
    misspelt = [fault.path for fault in first.values() if fault.code == "E104"]
    return [fault for fault in first.values() if not _is_misspelt(fault, misspelt)]


def _is_misspelt(fault: Fault, unknown: list[Path]) -> bool:
    """Whether a required field is there under a name that was reported as unknown."""
    return fault.code == "E103" and any(
        path[:-1] == fault.path[:-1] and wording.similar(str(path[-1]), [str(fault.path[-1])])
        for path in unknown
    )


def _diagnostic(document: Document, fault: Fault, is_plain: excerpts.IsPlain) -> Diagnostic:
    where = excerpts.place(document, fault.path, key=fault.is_key)
    return Diagnostic(
        severity=Severity.ERROR,
        code=fault.code,
        location=where.location,
        pointer=pointer(fault.path),
        message=fault.message,
        hint=fault.hint,
        excerpt=excerpts.excerpt(document, where, is_plain),
    )
