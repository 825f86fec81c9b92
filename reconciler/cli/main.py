"""Runs one command and turns whatever ends it into an exit code and, at most, a few lines.

Everything that can end a command meets here: results, our own exceptions, click's, signals, and
the bugs of this program. Besides `health`, around one probe, only this module catches `Exception`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from reconciler import config
from reconciler.cli import exit_codes
from reconciler.cli.frame import COMPLETION_VARIABLE, PROGRAM, Group
from reconciler.cli.output import Output
from reconciler.cli.session import Session
from reconciler.cli.table import ROWS
from reconciler.errors import InvalidManifests, OutputFailed, ReconcilerError
from reconciler.redact import Redactor

_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
#: Parts of an option's name by which somebody tries to hand over a secret.
#: Options of other tools that the hand types; a near miss could suggest something harmful.
_HABITS = {
    "--dry-run": "`reconciler plan` shows what apply would do",
    "--auto-approve": "`--yes` does not ask",
    "--format": "`-o` chooses the format",
    "--namespace": "a namespace is part of the name: `hr/*`",
    "--watch": "run `reconciler health --due` on a schedule",
}
_SECRET_WORDS = ("pass", "secret", "token", "key", "credential")


def main(argv: Sequence[str]) -> int:
    """Runs the command line `argv`, without the program's name, and returns the exit code.

    Takes over the process: its output streams, its handling of SIGTERM, and part of its
    environment (see `config.STEERING`).
    """
    environment = config.take_environment()
    redactor = Redactor()
    for text in (*argv, environment.get("RECONCILER_STATE", "")):
        for password in config.passwords(text):
            redactor.add(password)
    for key in environment.get("RECONCILER_KEY", "").split(","):
        redactor.add(key.strip())
    output = Output(
        stdout=sys.stdout, stderr=sys.stderr, redactor=redactor, environment=environment
    )
    output.install()
    signal.signal(signal.SIGTERM, _terminate)
    session = Session(output=output, environment=environment)
    code = run(argv, session)
    try:
        output.flush()
    except OutputFailed as error:
        code = exit_codes.worst((code, _explain(error, session)))
    return code


def program() -> Group:
    """Returns the whole command line."""
    return Group(
        name=PROGRAM,
        rows=ROWS,
        help="Connections as code: manifests are validated, planned, applied and really probed.",
        epilog=_exit_codes(),
        no_args_is_help=True,
        subcommand_metavar="COMMAND [ARGS]...",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[
            click.Option(
                ["-V", "--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_version,
                help="Show the version.",
            )
        ],
    )


def _exit_codes() -> str:
    rows = [f"  {code:>3}  {meaning}" for code, meaning in sorted(exit_codes.MEANINGS.items())]
    return "\b\n" + "\n".join(["Exit codes:", *rows])  # \b keeps click from joining the lines


def run(argv: Sequence[str], session: Session) -> int:
    """Runs a command in `session` and returns its exit code; standard error says what ended it."""
    try:
        return _call(argv, session)
    except (KeyboardInterrupt, click.Abort):
        session.output.problem("interrupted")
        return _INTERRUPTED
    except SystemExit:
        session.output.problem("terminated")
        return _TERMINATED
    except click.ClickException as error:
        return _explain_usage(error, session)
    except ReconcilerError as error:
        return _explain(error, session)
    except Exception as error:  # noqa: BLE001 - a bug; its text may hold anything and is not said
        return _explain_bug(error, session)


def _call(argv: Sequence[str], session: Session) -> int:
    instruction = session.environment.get(COMPLETION_VARIABLE)
    if instruction:
        from reconciler.cli import completion

        return completion.answer(instruction, program(), session)
    try:
        with program().make_context(PROGRAM, list(argv), obj=session) as context:
            return context.command.invoke(context) or 0
    except click.exceptions.Exit as end:  # how click ends after --help
        return end.exit_code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Ends the command like an interrupt does; asyncio passes SystemExit on as it is."""
    raise SystemExit(_TERMINATED)


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from reconciler._version import __version__

        ctx.ensure_object(Session).output.data(f"{PROGRAM} {__version__}\n")
        ctx.exit()


def _explain(error: ReconcilerError, session: Session) -> int:
    match error:
        case OutputFailed(__cause__=BrokenPipeError()):
            return error.exit  # the reader has seen enough; the usual end of `| head`
        case InvalidManifests(diagnostics=found):
            from reconciler.report import diagnostics

            findings = diagnostics.Findings(diagnostics=found, files=0)
            style = session.output.talk_style
            session.output.stderr.emit(
                diagnostics.text(findings, style) + "\n", styled=style.colour
            )
            session.output.problem(error.message, f"{PROGRAM} validate shows them all")
        case _:
            session.output.problem(error.message, error.hint)
    return error.exit


def _explain_usage(error: click.ClickException, session: Session) -> int:
    match error:
        case click.exceptions.NoArgsIsHelpError():
            session.output.stderr.emit(f"{error.message}\n", styled=False)
        case click.NoSuchCommand():
            near = _near("command", error.possibilities)
            session.output.problem(
                f"there is no command `{error.command_name}`", near or _see_help(error)
            )
        case click.NoSuchOption():
            name = error.option_name
            if any(word in name for word in _SECRET_WORDS):
                hint = "secrets are not given on the command line: name them in a manifest"
            else:
                near = _near("option", error.possibilities)
                hint = _HABITS.get(name) or near or _see_help(error)
            session.output.problem(f"there is no option `{name}`", hint)
        case _:
            text = error.format_message().rstrip(".").replace("'", "`")
            session.output.problem(text[:1].lower() + text[1:], _see_help(error))
    return 2


def _near(noun: str, possibilities: Sequence[str] | None) -> str:
    return f"a similar {noun} exists: `{possibilities[0]}`" if possibilities else ""


def _see_help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else PROGRAM} --help shows what there is"


def _explain_bug(error: Exception, session: Session) -> int:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    file = frames[-1].filename.rpartition("/")[2] if frames else ""
    place = f" in {file}, line {frames[-1].lineno}" if frames else ""
    if session.is_debugging:
        trace = "".join(traceback.format_exception(error))
        session.output.stderr.emit(trace, styled=False)
    session.output.problem(
        f"internal error: {type(error).__name__}{place}",
        "this is a bug: run the same with -v and report what it prints",
    )
    return 1
