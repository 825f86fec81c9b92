"""Where a secret comes from: a table of sources, and the resolver that asks each one once per run.

A manifest holds references such as `{env: NAME}`; nothing but this package turns one into a value,
and every value is an opaque `Secret` known to the redactor before anybody else sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from threading import Lock
from typing import Protocol

from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject, canonical
from reconciler.redact import Redactor, Secret
from reconciler.settings import SecretPolicy
from reconciler.values import dataclass

#: Longer values are refused: a reference to the wrong file is likelier than such a secret.
LONGEST_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a source may use."""

    policy: SecretPolicy
    #: the process environment, read once at the top
    environment: Mapping[str, str]
    #: a source that logs in to another system makes its own credentials known to it
    redactor: Redactor
    #: aware, UTC; who logs in with a signed statement says when
    clock: Callable[[], datetime]


class SecretSource(Protocol):
    """Reads one kind of reference; several threads may ask at once."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is risky about the secrets read so far, as sentences without values."""

    def read(self, argument: Json, *, public: bool) -> str:
        """Returns the value that `argument` names, whole; the schema has judged its form.

        Raises:
            SecretError: missing, empty, too long, not UTF-8 or not allowed; never with the value.
        """


class MakeSource(Protocol):
    """Builds a source."""

    def __call__(self, access: Access) -> SecretSource: ...


#: Key of the reference -> where its source is.
SECRET_SOURCES = {
    "env": "reconciler.secret_sources.env:EnvSource",
    "file": "reconciler.secret_sources.file:FileSource",
    "systemdCredential": "reconciler.secret_sources.systemd:SystemdSource",
    "vault": "reconciler.secret_sources.vault:VaultSource",
    "exec": "reconciler.secret_sources.exec:ExecSource",
    "keyring": "reconciler.secret_sources.keyring:KeyringSource",
    "age": "reconciler.secret_sources.age:AgeSource",
    "aws": "reconciler.secret_sources.aws:AwsSource",
    "gcp": "reconciler.secret_sources.gcp:GcpSource",
    "azure": "reconciler.secret_sources.azure:AzureSource",
}
#: Sources that answer at once. All others wait for a server or a program: who must not wait asks
#: `Secrets.is_at_hand` first.
QUICK_SOURCES = frozenset({"env", "file", "systemdCredential"})
_GRANT_HINT = "grant it in the operator file; `doctor` says which one is in force"
#: References that are read at once from sources that are not quick.
READ_AT_ONCE = 8


class Secrets:
    """Resolves references for one run; each is read once, however many threads ask for it."""

    def __init__(
        self,
        policy: SecretPolicy,
        environment: Mapping[str, str],
        redactor: Redactor,
        *,
        clock: Callable[[], datetime],
        sources: Mapping[str, SecretSource] | None = None,
    ) -> None:
        """Takes `sources` that are ready; those of `SECRET_SOURCES` are built when first asked."""
        self._access = Access(
            policy=policy, environment=environment, redactor=redactor, clock=clock
        )
        self._sources: dict[str, SecretSource] = dict(sources or {})
        #: what was read, and what slow sources are asked for just now
        self._read: dict[str, Secret | SecretError] = {}
        self._asked: dict[str, Future[Secret | SecretError]] = {}
        self._lock = Lock()
        self._making = Lock()

    def resolve(self, reference: JsonObject, *, username: str = "") -> Secret:
        """Returns the secret that `reference` names and makes it known to the redactor.

        `username` is its partner in a Basic header, so that the header is redacted as well.

        Raises:
            SecretError: it cannot be read; asked again, the same error is raised without reading.
        """
        key = canonical(reference)
        found = self._read.get(key)
        if found is None:
            is_quick = next(iter(reference)) in QUICK_SOURCES
            found = (self._answer if is_quick else self._answer_once)(key, reference)
        if isinstance(found, SecretError):
            raise found
        self._access.redactor.add(found.reveal(), username)
        return found

    def fetch(self, references: Iterable[JsonObject]) -> None:
        """Reads those of `references` that are not at hand, several at once.

        What comes of each, an error too, is kept for `resolve`.
        """
        waiting = {canonical(each): each for each in references if not self.is_at_hand(each)}
        if not waiting:
            return
        threads = ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="secrets")
        try:
            for _ in threads.map(self._try, waiting.values()):
                pass
        finally:
            threads.shutdown(cancel_futures=True)

    def _try(self, reference: JsonObject) -> None:
        with suppress(SecretError):
            self.resolve(reference)

    def is_at_hand(self, reference: JsonObject) -> bool:
        """Whether `resolve` answers without waiting for a server or a program."""
        if next(iter(reference)) in QUICK_SOURCES:
            return True
        return canonical(reference) in self._read

    def read_public(self, reference: JsonObject) -> str:
        """Returns public material, such as a certificate authority; it is not redacted.

        Raises:
            SecretError: it cannot be read.
        """
        return self._source(reference).read(next(iter(reference.values())), public=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is risky about the secrets resolved so far, as sentences without values."""
        return tuple(text for source in list(self._sources.values()) for text in source.warnings)

    def _answer(self, key: str, reference: JsonObject) -> Secret | SecretError:
        """Returns what comes of a quick source; others who ask wait for the lock."""
        with self._lock:
            if key not in self._read:
                self._read[key] = self._ask(reference)
            return self._read[key]

    def _answer_once(self, key: str, reference: JsonObject) -> Secret | SecretError:
        """Returns what comes of a slow source; others who ask for the same wait for the answer."""
        with self._lock:
            answer = self._asked.get(key)
            is_first = answer is None
            if answer is None:
                answer = self._asked[key] = Future()
        if is_first:
            try:
                self._read[key] = self._ask(reference)
                answer.set_result(self._read[key])
            except BaseException as error:  # a fault of the program: nobody may wait for ever
                answer.set_exception(error)
                raise
        return answer.result()

    def _ask(self, reference: JsonObject) -> Secret | SecretError:
        policy = self._access.policy
        try:
            lacking = policy.ungranted(reference)
            denial = policy.denial(reference) or lacking
            if denial:
                hint = _GRANT_HINT if denial == lacking else ""
                return SecretError(f"{describe(reference)} is refused: {denial}", hint)
            argument = next(iter(reference.values()))
            return Secret(self._source(reference).read(argument, public=False))
        except SecretError as error:
            return error

    def _source(self, reference: JsonObject) -> SecretSource:
        name = next(iter(reference))
        with self._making:
            if name not in self._sources:
                if name not in SECRET_SOURCES:
                    raise SecretError(f"{describe(reference)} cannot be read here")
                module, attribute = SECRET_SOURCES[name].split(":")
                make: MakeSource = getattr(import_module(module), attribute)
                self._sources[name] = make(self._access)
            return self._sources[name]


def describe(reference: JsonObject) -> str:
    """Returns a reference as text, `env NAME` or `vault path a, field b`; it is no secret.

    Of a command line only the program is told: the rest may hold what somebody should not have put
    there.
    """
    ((source, argument),) = reference.items()
    match argument:
        case dict():
            parts = (f"{key} {value}" for key, value in argument.items())
            return f"{source} {', '.join(parts)}"
        case list():
            return f"{source} {argument[0]}"
        case _:
            return f"{source} {argument}"
