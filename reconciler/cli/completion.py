"""Shell completion: the command that prints a shell's script, and the answer to that script.

Both use click's classes but not its writing of bytes and its look at the installed bash, so that
the text passes the gate and no process is started.
"""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from reconciler.cli import frame
from reconciler.cli.session import Session

SHELLS = ("bash", "zsh", "fish")


@frame.command(
    "completion",
    examples=(
        'eval "$(reconciler completion bash)"',
        "reconciler completion fish > ~/.config/fish/completions/reconciler.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes SHELL complete commands, options and names."""
    session = ctx.ensure_object(Session)
    script = _complete(shell, ctx.find_root().command, session)
    if script is not None:
        session.output.data(ShellComplete.source(script))


def answer(instruction: str, program: click.Command, session: Session) -> int:
    """Prints what completes the line that a shell's script describes in the environment.

    `instruction` is `<shell>_complete`. Returns an exit code.
    """
    script = _complete(instruction.partition("_")[0], program, session)
    if script is None:
        return 1
    session.output.data(script.complete() + "\n")
    return 0


def _complete(shell: str, program: click.Command, session: Session) -> ShellComplete | None:
    make = get_completion_class(shell)
    if make is None:
        return None
    return make(program, {"obj": session}, frame.PROGRAM, frame.COMPLETION_VARIABLE)
