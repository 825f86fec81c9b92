"""The frame that commands hang in: a lazy group, and the options that every command takes.

A command's row holds its one line of help, so that `--help` and completion import no command. The
options in `EVERYWHERE` may stand before or after the command's name and end up in the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from reconciler.cli.session import Session
from reconciler.values import dataclass

PROGRAM = "reconciler"
#: Set by a shell's completion script to ask for proposals.
COMPLETION_VARIABLE = "_RECONCILER_COMPLETE"

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One command: where it is and what `--help` says of it."""

    #: "module:attribute"
    target: str
    #: one line, no full stop
    summary: str
    #: heading in `--help`; empty hides the command there, as an alias
    section: str = ""


class Group(click.Group):
    """Commands found through a table and imported when they run."""

    def __init__(self, *, rows: Mapping[str, Row], **settings: Any) -> None:
        super().__init__(**settings)
        self.rows = rows
        self.params.extend(EVERYWHERE)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Returns the names, in the order of the table."""
        return [name for name, row in self.rows.items() if row.section]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command, importing its module now; None for an unknown name."""
        row = self.rows.get(cmd_name)
        if row is None:
            return None
        module, attribute = row.target.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that `args` begin with; an unknown one knows its near misses."""
        if args[0] not in self.rows and not ctx.resilient_parsing and args[0][:1].isalnum():
            raise click.NoSuchCommand(args[0], possibilities=self.rows, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands, which people look for first, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands under their headings, from the table alone."""
        for section in dict.fromkeys(row.section for row in self.rows.values() if row.section):
            rows = [
                (name, row.summary) for name, row in self.rows.items() if row.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns matching names and options; imports nothing."""
        names = [
            CompletionItem(name, help=self.rows[name].summary)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


class Command(click.Command):
    """A command that takes the options of `EVERYWHERE` and shows examples in its help."""

    def __init__(
        self, *, examples: Sequence[str] = (), has_logs: bool = True, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.examples = examples
        self.has_logs = has_logs
        self.params.extend(EVERYWHERE)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; logging is set up first, since all options are known by now."""
        session = ctx.find_object(Session)
        if session is not None and self.has_logs:
            from reconciler.cli import logs

            logs.configure(session.output.stderr, verbosity=session.output.verbosity)
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes what the command does, then examples to copy."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the command's own options, then those of every command."""
        everywhere = set(map(id, EVERYWHERE))
        records = [
            (id(p) in everywhere, p.get_help_record(ctx))
            for p in self.get_params(ctx)
            if isinstance(p, click.Option)
        ]
        for title, shared in (("Options", False), ("Options of every command", True)):
            chosen = [record for is_shared, record in records if record and is_shared is shared]
            if chosen:
                with formatter.section(title):
                    formatter.write_dl(chosen)


def command(
    name: str, *, examples: Sequence[str] = (), has_logs: bool = True
) -> Callable[[_Function], Command]:
    """Makes a function a command; its docstring's text is the help.

    What runs without anything that logs says so: importing `logging` takes as long as reading
    forty manifests.
    """
    return click.command(name, cls=Command, examples=tuple(examples), has_logs=has_logs)


def _setting(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Returns a callback that keeps an option's value for `config.load`."""

    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        session = ctx.find_object(Session)
        if session is not None and value is not None:
            session.flags[key] = value

    return keep


def setting(flag: str, key: str, **settings: Any) -> Callable[[_Function], _Function]:
    """Adds an option to a command whose value is the setting `key` of `config_keys.KEYS`."""
    return click.option(flag, expose_value=False, callback=_setting(key), **settings)


def _be_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session = ctx.find_object(Session)
    if session is not None and value:
        session.output.is_quiet = True


def _be_verbose(ctx: click.Context, _: click.Parameter, value: int) -> None:
    session = ctx.find_object(Session)
    if session is not None:
        session.output.verbosity += value


def _colour(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    session = ctx.find_object(Session)
    if session is not None and value:
        session.output.colour = value


def _option(
    *names: str, callback: Callable[[click.Context, click.Parameter, Any], None], **settings: Any
) -> click.Option:
    return click.Option(names, expose_value=False, callback=callback, **settings)


#: Options that stand before or after the name of a command.
EVERYWHERE: tuple[click.Option, ...] = (
    _option(
        "--config",
        callback=_setting("config"),
        metavar="FILE",
        type=click.Path(),
        help="Project file; default: the nearest reconciler.toml at or above this folder.",
    ),
    _option(
        "--state",
        callback=_setting("state.url"),
        metavar="URL",
        help="State store as an SQLAlchemy URL; default: SQLite in .reconciler/.",
    ),
    _option("--stack", callback=_setting("stack.name"), metavar="NAME", help="Owner of the rows."),
    _option("--actor", callback=_setting("actor"), metavar="WHO", help="Recorded as who did it."),
    _option(
        "--lock-timeout",
        callback=_setting("lock_timeout"),
        metavar="DURATION",
        help="How long to wait for the state's lock; default: 30s.",
    ),
    _option(
        "--color",
        callback=_colour,
        type=click.Choice(["auto", "always", "never"]),
        help="Colours; auto: on a terminal, unless NO_COLOR is set.",
    ),
    _option("-q", "--quiet", callback=_be_quiet, is_flag=True, help="Only results and errors."),
    _option("-v", "--verbose", callback=_be_verbose, count=True, help="More; -vv for debugging."),
)
