"""`plan`, `diff` and `apply`: the manifests against the state."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler import desired, fields, reconcile, report, saved_plan, selection
from reconciler import plan as planning
from reconciler.cli import checking, completing, exit_codes, probing, stopwatch, workbench
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.errors import ConfigError, InvalidPlanFile, Refused, SecretError
from reconciler.model import Action, Plan, PlanOptions
from reconciler.redact import escape
from reconciler.report import formats, views, words
from reconciler.stores import Opening, Store
from reconciler.values import dataclass

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command line asks to be planned."""

    paths: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    prune: bool
    prune_limit: int | None
    adopt: bool

    def options(self, session: Session, reading: desired.Reading) -> PlanOptions:
        """Returns the options of the plan."""
        limit = self.prune_limit
        return PlanOptions(
            stack=session.settings.stack,
            inputs=self._inputs(session),
            roots=reading.roots,
            names=self.names,
            labels=self.labels,
            prune=self.prune,
            prune_limit=session.settings.prune_limit if limit is None else limit,
            adopt=self.adopt,
        )

    def _inputs(self, session: Session) -> tuple[str, ...]:
        """Returns the paths relative to the project root, as a saved plan will read them again."""
        paths = self.paths or checking.default_paths(session.settings.root)
        root = session.settings.root
        return tuple(
            path if path == "-" else os.path.relpath(os.path.join(session.cwd, path), root)
            for path in paths
        )

    @classmethod
    def bare(cls) -> Asked:
        """Returns what a command line without paths and options asks."""
        return cls(paths=(), names=(), labels=(), prune=False, prune_limit=None, adopt=False)

    @property
    def is_bare(self) -> bool:
        return self == Asked.bare()


def _asks(function: _Function) -> _Function:
    """Adds the paths and options that say what to plan."""
    for option in reversed(
        (
            click.argument("paths", nargs=-1, type=click.Path()),
            click.option(
                "--select",
                "names",
                metavar="NAME",
                shell_complete=completing.connections,
                multiple=True,
                help="Only this connection; globs such as `hr/*` work.",
            ),
            workbench.labels_option(),
            click.option("--prune", is_flag=True, help="Remove connections without a manifest."),
            click.option(
                "--prune-limit",
                type=click.IntRange(min=0),
                metavar="N",
                help="Allow so many removals; default: 10, or a fifth of the stack.",
            ),
            click.option("--adopt", is_flag=True, help="Take over connections of other stacks."),
        )
    ):
        function = option(function)
    return function


@command(
    "plan",
    examples=(
        "reconciler plan",
        "reconciler plan manifests/ --out plan.json",
        "reconciler plan --detailed-exitcode -o github",
        "reconciler diff --revision 3 hr/orders",
    ),
)
@_asks
@click.option("--secrets", "with_secrets", is_flag=True, help="Read the secrets and compare them.")
@click.option("--out", type=click.Path(dir_okay=False), help="Save the plan for `apply --plan`.")
@click.option("--revision", type=click.IntRange(min=1), help="Compare a connection with its past.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 where changes are pending.")
@stopwatch.option()
@workbench.output_option(tuple(formats.PLAN))
@click.pass_obj
def plan(
    session: Session,
    /,
    *,
    with_secrets: bool,
    out: str | None,
    revision: int | None,
    detailed_exitcode: bool,
    format_: str,
    **asked: Any,
) -> int:
    """Show what `apply` would change, and why. Writes nothing, reads no secret.

    Exits with 8 where a guard makes `apply` refuse it.

    With --revision, PATHS is the name of one connection, and what has changed since that revision
    of it is shown.
    """
    request = Asked(**asked)
    if revision is not None:
        if with_secrets or out is not None or format_ not in ("text", "json"):
            raise ConfigError(
                "`--revision` takes no other option of a plan but `-o json`", "leave the others out"
            )
        return _compare(session, request, revision, format_, is_detailed=detailed_exitcode)
    memory = workbench.remember(session)
    reading = workbench.read_manifests(session, request.paths, memory)
    options = request.options(session, reading)
    secrets = None
    with workbench.open_if_there(session) as store:
        with stopwatch.stage("plan"):
            recorded = memory.recorded if memory else None
            planned = reconcile.make_plan(
                reading, store, options, recorded, session.settings.grants
            )
        if with_secrets and store is not None:
            workspace = workbench.make_workspace(session)
            secrets = reconcile.read_secrets(workspace, planned, reading.resources, store)
            workbench.warn_of_secrets(session, workspace)
    if out is not None:
        _save(out, planned)
    rotated = secrets.facts.changes if secrets else ()
    view = views.PlanView(
        plan=planned,
        git=workbench.git_facts(session, reading),
        secrets=rotated,
        secrets_compared=with_secrets,
        next_command=_next_command(planned, request, out, is_pending=bool(rotated)),
        now=session.now(),
    )
    with stopwatch.stage("report"):
        session.output.data(report.formatter(formats.PLAN, format_)(view, session.output.style))
    unresolved = _say_unresolved(session, secrets.unresolved if secrets else ())
    refused = Refused.exit if any(change.blocked_by for change in planned.changes) else 0
    is_told = detailed_exitcode and bool(planned.changes or rotated)
    return exit_codes.worst((refused, unresolved, exit_codes.PENDING if is_told else 0))


@command(
    "apply",
    examples=(
        "reconciler apply",
        "reconciler apply --plan plan.json",
        "reconciler apply manifests/ --prune --health all",
    ),
)
@_asks
@click.option("--plan", "plan_file", type=click.Path(), help="Apply this saved plan, no other.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before removing connections.")
@click.option(
    "--health",
    "depth",
    type=click.Choice(["changed", "all", "none"]),
    default="changed",
    show_default=True,
    help="What to check after; `changed` includes what was never checked.",
)
@click.option("--allow-unhealthy", is_flag=True, help="Exit 0 even where a check fails.")
@stopwatch.option()
@workbench.output_option(tuple(formats.APPLY))
@click.pass_obj
def apply(
    session: Session,
    /,
    *,
    plan_file: str | None,
    yes: bool,
    depth: str,
    allow_unhealthy: bool,
    format_: str,
    **asked: Any,
) -> int:
    """Make the state what the manifests say, then check the connections that changed."""
    request = Asked(**asked)
    saved = _load(plan_file, request) if plan_file else None
    paths = _saved_paths(session, saved) if saved else request.paths
    memory = workbench.remember(session)
    reading = workbench.read_manifests(session, paths, memory, keeps=True)
    options = saved.options if saved else request.options(session, reading)
    git = workbench.git_facts(session, reading)
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        with stopwatch.stage("plan"):
            recorded = memory.recorded if memory else None
            planned = reconcile.make_plan(
                reading, store, options, recorded, session.settings.grants
            )
        if saved:
            saved.require(planned)
        shown = views.PlanView(plan=planned, git=git, secrets_compared=True, now=session.now())
        is_agreed = saved is not None or _asked_about_removals(session, shown, is_sure=yes)
        with stopwatch.stage("apply"):
            applied = reconcile.apply_manifests(
                workspace,
                reading,
                store,
                options,
                first=planned,
                memory=memory,
                expected=planned.digest if is_agreed else None,
                with_secrets=depth != "none",
                git_facts=git,
            )
        workbench.warn(session, applied.plan.warnings)
        with stopwatch.stage("check"), _said_when_cut_short(session, applied):
            checked = _check(session, workspace, store, applied, reading, depth)
    view = views.ApplyView(
        plan=applied.plan,
        changes=applied.changes,
        git=git,
        secrets=applied.secret_changes,
        health=checked,
        next_command=checked.next_command if checked else "reconciler health",
        now=session.now(),
    )
    with stopwatch.stage("report"):
        session.output.data(report.formatter(formats.APPLY, format_)(view, session.output.style))
    statuses = [row.status for row in checked.rows] if checked else []
    unhealthy = 0 if allow_unhealthy else probing.exit_code(statuses)
    workbench.warn_of_secrets(session, workspace)
    unresolved = probing.unresolved_code(checked) if checked else 0
    return exit_codes.worst((_say_unresolved(session, applied.unresolved), unresolved, unhealthy))


@contextmanager
def _said_when_cut_short(session: Session, applied: reconcile.Applied) -> Iterator[None]:
    """Says that the plan was applied where the block, the checks after it, ends early."""
    done = words.action_counts(result.action for result in applied.changes.results)
    with ExitStack() as stack:
        if done:
            message = f"the plan was applied ({done}), but not all of its checks were made"
            stack.callback(session.output.warn, message)
        yield
        stack.pop_all()


def _check(  # noqa: PLR0917 - what was applied, and what to do with it
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    applied: reconcile.Applied,
    reading: desired.Reading,
    depth: str,
) -> views.HealthView | None:
    """Probes what an apply calls for; None where nothing was asked for."""
    if depth == "none":
        return None
    options = applied.plan.options
    selector = selection.parse(options.names, options.labels)
    declared = {resource.ref.key for resource in reading.resources}
    live = reconcile.select_targets(store.recorded(), selector)
    rows = tuple(row for row in live if row.ref.key in declared)
    if depth != "all":
        rows = applied.to_check(rows)
    return asyncio.run(probing.probe(session, workspace, store, rows))


def _asked_about_removals(session: Session, view: views.PlanView, *, is_sure: bool) -> bool:
    """Asks on a terminal before connections go; returns whether this very plan was agreed to.

    Raises:
        Refused: the answer was no.
    """
    removed = [c for c in view.plan.changes if c.action in (Action.ARCHIVE, Action.DELETE)]
    if not (view.plan.options.prune and removed) or is_sure or not session.output.can_ask:
        return False
    session.output.say(report.formatter(formats.PLAN, "text")(view, session.output.talk_style))
    if not session.output.confirm(f"Remove {words.plural(len(removed), 'connection')}?"):
        raise Refused("nothing was applied", "`--yes` does not ask")
    return True


def _compare(
    session: Session, request: Asked, number: int, format_: str, *, is_detailed: bool
) -> int:
    """Shows how a connection differs from an earlier revision of it; with details, exits 10."""
    if len(request.paths) != 1 or request != replace(Asked.bare(), paths=request.paths):
        raise ConfigError("`--revision` compares one connection", "name it, and nothing else")
    with workbench.open_store(session, Opening.READ) as store:
        row = workbench.find(store, request.paths[0])
        past = workbench.revision(store, row, number)
        latest = store.revisions(row.uid)[-1]
    normal = planning.normal_manifest
    differing = fields.changes(normal(workbench.as_of(row, past)), normal(row))
    view = views.HistoryView(
        recorded=row,
        rows=(views.HistoryRow(revision=latest, fields=differing),),
        since=number,
        now=session.now(),
    )
    session.output.data(report.formatter(formats.HISTORY, format_)(view, session.output.style))
    return exit_codes.PENDING if is_detailed and differing else 0


def _save(out: str, planned: Plan) -> None:
    """Writes a plan file, whole or not at all.

    Raises:
        ConfigError: it cannot be written, or standard input was planned.
    """
    if "-" in planned.options.inputs:
        raise ConfigError("a plan of standard input cannot be saved", "name files or folders")
    if not out:
        raise ConfigError("`--out` names no file", "give a path, such as plan.json")
    # A rename puts the file in the place of whatever is there, for root even of /dev/null.
    if os.path.lexists(out) and not (Path(out).is_file() or Path(out).is_symlink()):
        raise ConfigError(
            "the plan cannot be saved: its place is taken by something else than a file",
            "name another file with `--out`",
        )
    draft = f"{out}.{os.getpid()}.new"
    try:
        with open(draft, "x", encoding="utf-8") as file:
            file.write(saved_plan.dump(planned))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(out)
    except OSError as error:
        with suppress(OSError):
            Path(draft).unlink()
        raise ConfigError(f"the plan cannot be saved: {error.strerror}", "check --out") from None


def _load(path: str, request: Asked) -> saved_plan.SavedPlan:
    if not request.is_bare:
        raise ConfigError(
            "`--plan` takes no paths and no options of a plan", "they are in the plan already"
        )
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            data = file.read(saved_plan.LARGEST_BYTES + 1)
    except OSError as error:
        raise InvalidPlanFile(
            f"the plan `{escape(path)}` cannot be read: {error.strerror}", "check `--plan`"
        ) from None
    return saved_plan.load(data)


def _saved_paths(session: Session, saved: saved_plan.SavedPlan) -> tuple[str, ...]:
    return tuple(os.path.join(session.settings.root, path) for path in saved.options.inputs)


def _next_command(planned: Plan, request: Asked, out: str | None, *, is_pending: bool) -> str:
    """Returns the command that carries out the plan, empty where there is nothing to do."""
    if not (planned.changes or is_pending) or any(c.blocked_by for c in planned.changes):
        return ""
    if out:
        return f"reconciler apply --plan {out}"
    parts = ["reconciler", "apply", *request.paths]
    parts += [part for name in request.names for part in ("--select", name)]
    parts += [part for label in request.labels for part in ("-l", label)]
    parts += ["--prune"] if request.prune else []
    limit = request.prune_limit
    parts += ["--prune-limit", str(limit)] if limit is not None else []
    parts += ["--adopt"] if request.adopt else []
    return shlex.join(parts)


def _say_unresolved(session: Session, unresolved: Sequence[SecretError]) -> int:
    for error in unresolved:
        session.output.problem(error.message, error.hint)
    return SecretError.exit if unresolved else 0
