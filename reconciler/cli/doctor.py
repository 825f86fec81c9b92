"""The command that checks the machine: what is installed, reachable and set, and what is missing.

It imports drivers and opens the state store read-only, but resolves no secret: of an environment
variable it says whether it is set, never what it holds.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module, metadata

import click

from reconciler import config, operator_file
from reconciler.cli import checking, frame
from reconciler.cli.session import Session
from reconciler.errors import ConfigError, ReconcilerError, StoreMissing
from reconciler.model import Resource
from reconciler.report import machine, times, words
from reconciler.report.machine import Check, State
from reconciler.stores import Store

_GIT_TIMEOUT_S = 10


@frame.command("doctor", examples=("reconciler doctor", "reconciler doctor -o json"))
@click.option(
    "-o", "--output", "output_format", type=click.Choice(["text", "json"]), default="text"
)
@click.pass_obj
def doctor(session: Session, output_format: str) -> int:
    """Check this machine: drivers, project, environment, state store, git.

    Exits with 2 when something is missing that the manifests here need.
    """
    checks = tuple(_checks(session))
    if output_format == "json":
        whole = {"formatVersion": 1, "checks": [machine.data(check) for check in checks]}
        session.output.data(json.dumps(whole, indent=2) + "\n")
    else:
        session.output.data(machine.screen(checks, session.output.style))
    return ConfigError.exit if any(check.state is State.BAD for check in checks) else 0


def _checks(session: Session) -> Iterator[Check]:
    version = metadata.version("reconciler")
    yield Check(
        state=State.GOOD,
        subject="python",
        text=f"{platform.python_version()}, reconciler {version}",
    )
    try:
        yield _project(session)
    except ReconcilerError as error:
        yield Check(state=State.BAD, subject="project", text=error.message, hints=_told(error.hint))
        yield from _drivers(())
        yield _git(session)
        return
    yield _operator(session)
    manifests, resources = _manifests(session)
    yield manifests
    yield from _policy(session, resources)
    yield from _drivers(resources)
    yield from _environment(session, resources)
    yield _state(session)
    yield _git(session)


def _project(session: Session) -> Check:
    file = session.configuration.file
    text = file or f"{session.settings.root}, without reconciler.toml"
    return Check(state=State.GOOD, subject="project", text=text)


def _operator(session: Session) -> Check:
    file = session.configuration.operator_file
    if not file:
        text = f"none: {operator_file.DEFAULT} does not exist; the defaults hold"
        return Check(state=State.ABSENT, subject="operator file", text=text)
    return Check(state=State.GOOD, subject="operator file", text=file)


def _manifests(session: Session) -> tuple[Check, tuple[Resource, ...]]:
    from reconciler import desired

    settings = session.settings
    paths = checking.default_paths(settings.root)
    reading = desired.read_manifests(paths, settings=settings, cwd=session.cwd)
    text = f"{len(reading.resources)} valid, files read: {reading.files}"
    state, hint = State.GOOD, ""
    if reading.errors:
        state, hint = State.WARNING, "reconciler validate"
        text += f", errors: {len(reading.errors)}"
    return Check(state=state, subject="manifests", text=text, hints=_told(hint)), reading.resources


def _policy(session: Session, resources: tuple[Resource, ...]) -> Iterator[Check]:
    """Yields what the operator file says of secrets and addresses, where it says anything."""
    grants, network = session.settings.grants, session.settings.network
    if grants:
        yield _grants(session, resources)
    if network.is_restricted or network.deny:
        profile = "restricted" if network.is_restricted else "trusted"
        text = f"profile {profile}, allowed: {len(network.allow)}, denied: {len(network.deny)}"
        yield Check(state=State.GOOD, subject="network", text=text)


def _grants(session: Session, resources: tuple[Resource, ...]) -> Check:
    from reconciler import sending

    grants = session.settings.grants
    users: dict[int, list[str]] = {grant.number: [] for grant in grants.entries}
    lacking = []
    for resource in resources:
        ref = resource.ref
        for grant in sending.covering(grants, ref, resource.spec):
            users[grant.number].append(str(ref))
        denied = sending.denied(grants, ref, resource.spec, os.path.realpath)
        lacking += [f"{ref}: {sending.message(each)}" for each in denied]
    first, *more = (f"{n} covers {', '.join(refs) or 'nothing'}" for n, refs in users.items())
    return Check(
        state=State.WARNING if lacking else State.GOOD,
        subject="grants",
        text=first,
        details=tuple(more),
        hints=tuple(lacking),
    )


#: Of an engine that is reached over HTTP, as APIs are.
_OWN = "{}, which needs no library"


def _drivers(resources: tuple[Resource, ...]) -> Iterator[Check]:
    from reconciler.kinds import engines

    used = Counter(resource.spec.get("engine") for resource in resources)
    drivers = dict.fromkeys(row.driver for row in engines.ROWS)
    for driver in drivers:
        rows = [row for row in engines.ROWS if row.driver == driver]
        needed = sum(used[row.name] for row in rows)
        if rows[0].extra or rows[0].is_file:
            yield _driver(driver, rows[0].extra, [row.name for row in rows], needed)
        else:
            yield Check(state=State.GOOD, subject=rows[0].name, text=_OWN.format(rows[0].library))
    yield from _libraries(resources)


def _libraries(resources: tuple[Resource, ...]) -> Iterator[Check]:
    """Yields a check of each library that a method of authentication needs."""
    from reconciler.auth.libraries import LIBRARIES

    used = Counter(resource.spec.get("auth", {}).get("method") for resource in resources)
    for method, library in LIBRARIES.items():
        package = library.module.partition(".")[0]
        yield _driver(package, library.extra, [method], used[method])


def _driver(driver: str, extra: str, names: list[str], needed: int) -> Check:
    subject = ", ".join(names)
    if not extra and driver not in sys.stdlib_module_names:
        return Check(state=State.GOOD, subject=subject, text="needs no library")
    try:
        import_module(driver)
    except ImportError:
        text = f"{driver} is not installed"
        return Check(
            state=State.BAD if needed else State.ABSENT,
            subject=subject,
            text=f"{text}; {needed} manifests need it" if needed else text,
            hints=_told(f'pip install "reconciler[{extra}]"' if extra else ""),
        )
    text = f"{driver} {_version(driver)}" if extra else f"{driver} of Python"
    return Check(state=State.GOOD, subject=subject, text=text)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _version(module: str) -> str:
    """Returns the version of what brings `module`, which may have another name: `pytds`."""
    return metadata.version(_distributions()[module][0])


def _environment(session: Session, resources: tuple[Resource, ...]) -> Iterator[Check]:
    from reconciler import kinds

    wanted: dict[str, str] = {}
    for resource in resources:
        for _, reference in kinds.shape(resource.ref.kind).secrets(resource.spec):
            if "env" in reference:
                wanted.setdefault(reference["env"], str(resource.ref))
    missing = {name: user for name, user in wanted.items() if not session.environment.get(name)}
    if wanted:
        yield Check(
            state=State.GOOD if not missing else State.WARNING,
            subject="environment",
            text=f"{len(wanted) - len(missing)} of {len(wanted)} variables for secrets are set",
            hints=tuple(f"{name} is not set, {user} needs it" for name, user in missing.items()),
        )


def _state(session: Session) -> Check:
    from reconciler.cli import workbench
    from reconciler.stores import Opening

    settings = session.settings
    shown = config.shown_url(settings.state_url)
    path = settings.state_url.removeprefix("sqlite:///")
    if settings.is_default_state and not os.path.lexists(path):
        state = State.WARNING if settings.is_ci else State.ABSENT
        hint = "a state in this folder ends with the job: set RECONCILER_STATE"
        return Check(
            state=state,
            subject="state",
            text="none yet; the first apply makes it",
            hints=(hint,) if settings.is_ci else (),
        )
    try:
        with workbench.open_store(session, Opening.READ) as store:
            text = f"{shown}, schema {store.meta.schema}"
            hints = _sealed_hints(session, store)
    except StoreMissing:
        text = f"{shown}: none yet; the first apply makes it"
        return Check(state=State.ABSENT, subject="state", text=text)
    except ReconcilerError as error:
        text = f"{shown}: {error.message}"
        return Check(state=State.BAD, subject="state", text=text, hints=_told(error.hint))
    return Check(
        state=State.WARNING if hints else State.GOOD, subject="state", text=text, hints=hints
    )


def _sealed_hints(session: Session, store: Store) -> tuple[str, ...]:
    """Returns which stored secrets want something done: a key, or a successor."""
    from reconciler import stored_secrets
    from reconciler.sealing import Sealer

    now, settings = session.now(), session.settings
    told = [
        f"the key {key}, which is not given, opens {words.plural(count, 'sealed value')}"
        for key, count in stored_secrets.without_key(store, Sealer(settings.keys)).items()
    ]
    told += [
        f"the secret {name} {'expired' if at <= now else 'expires'} at {times.utc(at)}"
        for name, at in stored_secrets.ending(store, now, settings.expiry_warning_s)
    ]
    return tuple(told)


def _git(session: Session) -> Check:
    program = shutil.which("git", path=session.environment.get("PATH"))
    if program is None:
        return Check(state=State.WARNING, subject="git", text="not found; commits are not recorded")
    try:
        asked = subprocess.run(  # noqa: S603 - a fixed argument, no shell
            [program, "--version"],
            capture_output=True,
            check=False,
            env=dict(session.environment),
            stdin=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Check(state=State.WARNING, subject="git", text="does not answer")
    version = asked.stdout.decode(errors="replace").removeprefix("git version").strip()
    return Check(state=State.GOOD, subject="git", text=version)


def _told(hint: str) -> tuple[str, ...]:
    return (hint,) if hint else ()
