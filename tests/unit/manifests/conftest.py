"""Loading text the short way: documents as data, diagnostics as the lines that `-o concise` has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from reconciler.manifests import loader
from reconciler.model import Diagnostic, Document, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a text came to."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def data(self) -> list[Json]:
        return [document.data for document in self.documents]

    @property
    def places(self) -> list[str]:
        """Line, column and code of each diagnostic."""
        return [
            f"{found.location.line}:{found.location.column} {found.code}"
            for found in self.diagnostics
        ]

    @property
    def texts(self) -> str:
        """Everything that a diagnostic would show."""
        return repr(self.diagnostics)


Load: TypeAlias = Callable[[str | bytes], Loaded]


@pytest.fixture
def load() -> Load:
    """Loads a file called f.yaml."""

    def load_text(text: str | bytes) -> Loaded:
        data = text.encode() if isinstance(text, str) else text
        results = list(loader.load(data, "f.yaml"))
        return Loaded(
            documents=tuple(item for item in results if isinstance(item, Document)),
            diagnostics=tuple(item for item in results if isinstance(item, Diagnostic)),
        )

    return load_text
