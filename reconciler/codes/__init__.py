"""The table of codes: what each diagnostic means, with an example that fails and one that is right.

Feeds `explain` and the README. Every code that any module gives to a `Diagnostic` stands here, and
a test runs every example through the loader and `validate`. A package because the texts are long:
one module per stage that finds them. Pure; nothing here is imported while manifests are checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.codes.crossfile import CROSSFILE
from reconciler.codes.entry import Code
from reconciler.codes.loading import LOADING
from reconciler.codes.schema import SCHEMA
from reconciler.codes.trust import TRUST

__all__ = ["CODES", "Code"]

#: Code -> what it means, sorted by code, errors before warnings.
CODES: Mapping[str, Code] = dict(sorted({**LOADING, **SCHEMA, **CROSSFILE, **TRUST}.items()))
