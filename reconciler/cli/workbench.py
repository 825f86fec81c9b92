"""What the commands that touch state share: the opened store, the workspace, common options.

Apart from the commands, so that each of those reads as what it does.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import click

from reconciler import (
    desired,
    holds,
    reconcile,
    secret_sources,
    selection,
    stored_secrets,
    stores,
)
from reconciler.cli import checking, stopwatch
from reconciler.cli.session import Session
from reconciler.errors import ConfigError, ReconcilerError, StoreMissing
from reconciler.manifests import git
from reconciler.model import (
    Diagnostic,
    GitFacts,
    JsonObject,
    Recorded,
    Revision,
    Severity,
    canonical,
)
from reconciler.report import diagnostics, words
from reconciler.stores import Opening, Store

_ALPHABET = string.digits + string.ascii_lowercase
#: Characters of an identifier after its prefix.
_ID_LENGTH = 15
_Function = TypeVar("_Function", bound=Callable[..., Any])


def make_workspace(session: Session) -> reconcile.Workspace:
    """Returns what every function of `reconcile` works with."""
    return reconcile.Workspace(
        settings=session.settings,
        redactor=session.redactor,
        secrets=secret_sources.Secrets(
            session.settings.secrets,
            session.environment,
            session.redactor,
            clock=session.now,
            sources={"store": stored_secrets.source(session.settings, session.now)},
        ),
        clock=session.now,
        make_id=_make_id,
    )


def _make_id(prefix: str) -> str:
    number = secrets.randbelow(len(_ALPHABET) ** _ID_LENGTH)
    characters = []
    for _ in range(_ID_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return prefix + "".join(characters)


@contextmanager
def open_store(session: Session, opening: Opening) -> Iterator[Store]:
    """Opens the state store for one command and closes it after.

    Raises:
        StoreError: it is missing, cannot be opened, is damaged, or needs a migration.
    """
    settings = session.settings
    if opening is Opening.WRITE and settings.is_ci and settings.is_default_state:
        session.output.warn(
            "the state is a file in this checkout, which a CI job loses when it ends",
            "set RECONCILER_STATE to a database that stays",
        )
    with closing(_opened(session, opening)) as store:
        yield store


@contextmanager
def open_if_there(session: Session) -> Iterator[Store | None]:
    """Opens the state store for reading, or gives None where it was never made.

    Raises:
        StoreError: it is there and cannot be read.
    """
    try:
        store = _opened(session, Opening.READ)
    except StoreMissing:
        yield None
        return
    with closing(store):
        yield store


def _opened(session: Session, opening: Opening) -> Store:
    with stopwatch.stage("open the state store"):
        return _open(session, opening)


def _open(session: Session, opening: Opening) -> Store:
    settings = session.settings
    return stores.open_store(
        settings.state_url,
        opening,
        keys=settings.keys,
        now=session.now(),
        reach=settings.state_reach,
    )


def remember(session: Session) -> reconcile.Memory | None:
    """Returns what the state store knows of the manifests; None where it cannot be read.

    What is wrong with the store is said when it is opened for work: first the manifests count.
    """
    with stopwatch.stage("recall"):
        try:
            with closing(_open(session, Opening.READ)) as store:
                return reconcile.remember(store, session.settings)
        except ReconcilerError:
            return None


def read_manifests(
    session: Session,
    paths: Sequence[str],
    memory: reconcile.Memory | None = None,
    *,
    keeps: bool = False,
) -> desired.Reading:
    """Reads and validates `paths`; warnings are said, errors are raised.

    Files that `memory` knows are not parsed; with `keeps`, the others can be remembered.

    Raises:
        InvalidManifests: there are errors, or no manifest was found.
    """
    with stopwatch.stage("read and validate"):
        reading = desired.read_manifests(
            paths or checking.default_paths(session.settings.root),
            settings=session.settings,
            cwd=session.cwd,
            stdin=session.stdin,
            recall=memory.recall if memory else None,
            keeps=keeps,
        )
    desired.require_valid(reading)
    warn(session, reading.diagnostics)
    return reading


def warn(session: Session, found: Sequence[Diagnostic]) -> None:
    """Says warnings on standard error."""
    warnings = tuple(d for d in found if d.severity is Severity.WARNING)
    if warnings and not session.output.is_quiet:
        style = session.output.talk_style
        findings = diagnostics.Findings(diagnostics=warnings, files=0)
        session.output.say(diagnostics.text(findings, style) + "\n")


def warn_of_secrets(session: Session, workspace: reconcile.Workspace) -> None:
    """Says on standard error what is risky about the secrets that were read."""
    for text in workspace.secrets.warnings:
        session.output.warn(text)


def git_facts(session: Session, reading: desired.Reading) -> GitFacts | None:
    """Returns the commit that the manifests of `reading` were read at, None outside git."""
    with stopwatch.stage("ask git"):
        return git.facts(session.settings.root, reading.roots, session.environment)


def output_option(formats: Sequence[str]) -> Callable[[_Function], _Function]:
    """Adds `-o` with the formats of a screen; the first is the default."""
    return click.option(
        "-o",
        "--output",
        "format_",
        type=click.Choice(list(formats)),
        default=next(iter(formats)),
        show_default=True,
        help="What the result looks like.",
    )


def all_stacks_option() -> Callable[[_Function], _Function]:
    """Adds `--all-stacks`; without it a command looks at its own stack."""
    return click.option("--all-stacks", is_flag=True, help="Connections of every stack.")


def of_stack(session: Session, rows: Sequence[Recorded], *, all_stacks: bool) -> list[Recorded]:
    """Returns the rows that the stack of this run owns, and says that there are others."""
    owned = [row for row in rows if all_stacks or row.stack == session.settings.stack]
    others = len(rows) - len(owned)
    if others:
        stack = session.settings.stack
        session.output.say(
            f"stack {stack}; {words.plural(others, 'connection')} of other stacks: --all-stacks\n"
        )
    return owned


def labels_option() -> Callable[[_Function], _Function]:
    """Adds `-l key=value`, which may be repeated."""
    return click.option(
        "-l",
        "--label",
        "labels",
        metavar="KEY=VALUE",
        multiple=True,
        help="Only connections with this label; repeated, with all of them.",
    )


def find(store: Store, name: str) -> Recorded:
    """Returns the one connection that `name` means: a live one, else the last archived one.

    Raises:
        ConfigError: none or several are meant.
    """
    return selection.row_of(name, store.recorded(archived=True))


def select(store: Store, names: Sequence[str]) -> tuple[Recorded, ...]:
    """Returns every live connection that `names` mean, each once, and archived ones named whole.

    Raises:
        ConfigError: a name means nothing, or several without being a glob.
    """
    chosen: dict[str, Recorded] = {}
    for name in names:
        wanted = selection.parse_reference(name)
        if wanted.is_glob:
            live = [row for row in store.recorded() if row.status.is_live]
            selection.require(selection.Selector(references=(wanted,)), [row.ref for row in live])
            chosen |= {row.uid: row for row in live if wanted.matches(row.ref)}
        else:
            row = find(store, name)
            chosen[row.uid] = row
    return tuple(chosen.values())


def revision(store: Store, row: Recorded, number: int) -> Revision:
    """Returns an applied revision of a connection.

    Raises:
        ConfigError: it has no such revision.
    """
    known = {revision.number: revision for revision in store.revisions(row.uid)}
    if number not in known:
        numbers = ", ".join(map(str, known))
        raise ConfigError(f"`{row.ref}` has no revision {number}", f"it has: {numbers}")
    return known[number]


def as_of(row: Recorded, past: Revision) -> Recorded:
    """Returns the row with the manifest of an earlier revision."""
    return replace(row, text=past.text)


def with_manifest(row: Recorded, manifest: JsonObject) -> Recorded:
    """Returns the row with another manifest."""
    return replace(row, text=canonical(manifest))


def order(session: Session, reason: str) -> holds.Order:
    """Returns an order given now by whoever runs this."""
    return holds.Order(actor=session.settings.actor, reason=reason, now=session.now())
