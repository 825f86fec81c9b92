"""Manifests given as text, checked as the program does it, for tests that are about findings."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler import settings, validate
from reconciler.manifests import loader
from reconciler.model import Diagnostic, Document

#: The defaults, in a project that does not exist: nothing is read.
POLICY = settings.SecretPolicy(root="/project")


def check(
    *texts: str | bytes, policy: settings.SecretPolicy = POLICY, path: str = "m.yaml"
) -> validate.Validated:
    """Returns what loading and validating files with these texts finds.

    The first file is called `path`, the second `m2.yaml` where the first is `m.yaml`, and so on.
    """
    stream: list[Document | Diagnostic] = []
    for number, text in enumerate(texts, start=1):
        data = text.encode() if isinstance(text, str) else text
        stream.extend(loader.load(data, path if number == 1 else path.replace(".", f"{number}.")))
    return validate.validate(stream, policy)


def concise(findings: Iterable[Diagnostic]) -> str:
    """Returns one line for each finding, in the form of `-o concise`."""
    return "".join(f"{each.location}: {each.code} {each.message}\n" for each in findings)


def screen(finding: Diagnostic) -> str:
    """Returns everything that a finding shows: message, hint, excerpt and related places."""
    lines = [f"{finding.location}: {finding.code} {finding.message}", finding.hint]
    if finding.excerpt:
        caret = " " * (finding.excerpt.column - 1) + "^" * finding.excerpt.length
        lines += [finding.excerpt.text, caret]
    lines += [f"{place}: {words}" for place, words in finding.related]
    return "\n".join(line for line in lines if line)
