"""Where a secret comes from: a table of sources, and the resolver that asks each one once per run.

A manifest holds references such as `{env: NAME}`; nothing but this package turns one into a value,
and every value is an opaque `Secret` known to the redactor before anybody else sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from reconciler.errors import SecretError
from reconciler.model import JsonObject, canonical
from reconciler.redact import Redactor, Secret
from reconciler.settings import SecretPolicy

#: Longer values are refused: a reference to the wrong file is likelier than such a secret.
LONGEST_SECRET_BYTES = 64 * 1024


class SecretSource(Protocol):
    """Reads one kind of reference."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is risky about the secrets read so far, as sentences without values."""

    def read(self, argument: str, *, public: bool) -> str:
        """Returns the value that `argument` names, whole.

        Raises:
            SecretError: missing, empty, too long, not UTF-8 or not allowed; never with the value.
        """


class MakeSource(Protocol):
    """Builds a source; `environment` is the process environment read once at the top."""

    def __call__(self, policy: SecretPolicy, environment: Mapping[str, str]) -> SecretSource: ...


#: Key of the reference -> where its source is.
SECRET_SOURCES = {
    "env": "reconciler.secret_sources.env:EnvSource",
    "file": "reconciler.secret_sources.file:FileSource",
}


class Secrets:
    """Resolves references for one run; each reference is read once."""

    def __init__(
        self,
        policy: SecretPolicy,
        environment: Mapping[str, str],
        redactor: Redactor,
        *,
        sources: Mapping[str, SecretSource] | None = None,
    ) -> None:
        """Takes `sources` that are ready; those of `SECRET_SOURCES` are built when first asked."""
        self._policy = policy
        self._environment = environment
        self._redactor = redactor
        self._sources: dict[str, SecretSource] = dict(sources or {})
        self._resolved: dict[str, Secret | SecretError] = {}

    def resolve(self, reference: JsonObject, *, username: str = "") -> Secret:
        """Returns the secret that `reference` names and makes it known to the redactor.

        `username` is its partner in a Basic header, so that the header is redacted as well.

        Raises:
            SecretError: it cannot be read; asked again, the same error is raised without reading.
        """
        key = canonical(reference)
        if key not in self._resolved:
            self._resolved[key] = self._read(reference)
        match self._resolved[key]:
            case SecretError() as error:
                raise error
            case secret:
                self._redactor.add(secret.reveal(), username)
                return secret

    def read_public(self, reference: JsonObject) -> str:
        """Returns public material, such as a certificate authority; it is not redacted.

        Raises:
            SecretError: it cannot be read.
        """
        return self._source(reference).read(next(iter(reference.values())), public=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is risky about the secrets resolved so far, as sentences without values."""
        return tuple(text for source in self._sources.values() for text in source.warnings)

    def _read(self, reference: JsonObject) -> Secret | SecretError:
        try:
            denial = self._policy.denial(reference)
            if denial:
                return SecretError(f"{describe(reference)} is refused: {denial}")
            value = self._source(reference).read(next(iter(reference.values())), public=False)
        except SecretError as error:
            return error
        return Secret(value)

    def _source(self, reference: JsonObject) -> SecretSource:
        name = next(iter(reference))
        if name not in self._sources:
            if name not in SECRET_SOURCES:
                raise SecretError(f"{describe(reference)} cannot be read here")
            module, attribute = SECRET_SOURCES[name].split(":")
            make: MakeSource = getattr(import_module(module), attribute)
            self._sources[name] = make(self._policy, self._environment)
        return self._sources[name]


def describe(reference: JsonObject) -> str:
    """Returns a reference as text, `env NAME` or `file path`; a reference is no secret."""
    return " ".join(f"{key} {value}" for key, value in reference.items())
