"""`make run`: the whole main job on sample connections, shown command by command.

`SHOW` is the script as data. Every command line in it is run as a user would run it, in a process
of its own that writes to the same terminal, so what is seen is the product and no imitation. A
command that ends with another exit code than the script says ends the show with exit 1.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from demo import project, world
from demo.world import World

#: A check failed, or a connection is not well: exit code 11 of the command.
UNHEALTHY = 11
#: What the command line of the show calls the product.
PROGRAM = "reconciler"
#: Where headings are broken.
WIDTH = 100


class Unexpected(Exception):
    """Something did not end as the script says; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command line, and the exit code that it has to end with."""

    command: str
    exit: int = 0
    #: gives what it reads from standard input
    given: Callable[[World], str] | None = None
    #: name of a new file that its standard output goes to, which nobody else may read
    into: str = ""

    @property
    def shown(self) -> str:
        """The line as a user would type it."""
        return f"{PROGRAM} {self.command}" + (f" > {self.into}" if self.into else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One sentence about what is shown, and the command lines that show it."""

    title: str
    lines: tuple[Line, ...]
    #: what happens in the world before them
    before: tuple[Callable[[World], None], ...] = ()
    #: gives a sentence about what the world saw; raises `Unexpected`
    after: Callable[[World], str] | None = None


def _count_logins_at_impostor(seen: World) -> str:
    bastion = seen.bastion
    if not bastion.connections or bastion.logins:
        raise Unexpected(
            f"whoever posed as the bastion got {bastion.logins} logins in {bastion.connections} "
            "connections, where one connection without a login was expected"
        )
    return "Whoever poses as the SSH server counted 0 logins: neither user name nor key was sent."


def _count_refusals(seen: World) -> str:
    refused = seen.apis["crm"].refused_logins
    if refused != 5:
        raise Unexpected(f"the CRM refused {refused} logins where the budget allows exactly 5")
    return "The CRM itself counted 5 refused logins: the sixth command sent nothing."


_SET_CLIENT_SECRET = Line(
    command="secret set campaigns-client", given=lambda seen: seen.client_secret
)

SHOW = (
    Step(
        title="Validate: every file is checked, without network, state or secrets.",
        lines=(Line(command="validate manifests/"),),
    ),
    Step(
        title="Plan: what apply would change; nothing is written, no secret is read.",
        lines=(Line(command="plan manifests/"),),
    ),
    Step(
        title="Secrets stay where they are: in the environment and in files. Where there is no "
        "better place the state keeps them encrypted, under the key of RECONCILER_KEY_FILE; the "
        "value comes from standard input.",
        lines=(Line(command="secret keygen", into=project.KEY), _SET_CLIENT_SECRET),
    ),
    Step(
        title="Apply: the state changes in one transaction, then every new connection is tried. "
        "The sample API `flaky` fails on purpose, so this ends with exit 11.",
        lines=(Line(command="apply manifests/", exit=UNHEALTHY),),
    ),
    Step(
        title="Describe: the warehouse is behind an SSH server, and every stage on the way to its "
        "answer has its time.",
        lines=(Line(command="describe logistics/warehouse"),),
    ),
    Step(
        title="Three things go wrong: the CRM revokes our token, the token server of the campaigns "
        "replaces the secret of our client, and somebody else answers for the SSH server. One pass "
        "finds all three, and `flaky` has failed twice. Describe tells the whole reason and the "
        "stage.",
        before=(World.revoke_crm_token, World.rotate_client_secret, World.pose_as_bastion),
        lines=(
            Line(command="health", exit=UNHEALTHY),
            Line(command="describe marketing/campaigns"),
        ),
        after=_count_logins_at_impostor,
    ),
    Step(
        title="Two are mended. The new client secret is stored, and apply tries what changed; the "
        "SSH server is itself again.",
        before=(World.bring_bastion_back,),
        lines=(
            _SET_CLIENT_SECRET,
            Line(command="apply manifests/"),
            Line(command="health logistics/warehouse"),
        ),
    ),
    Step(
        title="The CRM is not. After the fifth failure in a row its checks stop, before it locks "
        "the account; asked once more, nothing is sent.",
        lines=(Line(command="health sales/crm", exit=UNHEALTHY),) * 5,
        after=_count_refusals,
    ),
    Step(
        title="Status: where every connection stands, the worst first.",
        lines=(Line(command="status"),),
    ),
    Step(
        title="The CRM accepts the token again. Neither secret nor manifest changed, so the checks "
        "stay stopped until a person resumes them.",
        before=(World.accept_crm_token_again,),
        lines=(Line(command="resume sales/crm"),),
    ),
    Step(
        title="History keeps what was applied, and events everything that happened.",
        lines=(Line(command="history sales/crm"), Line(command="events sales/crm")),
    ),
    Step(
        title="Apply again: the manifests have not changed, so nothing is written or checked.",
        lines=(Line(command="apply manifests/"),),
    ),
)


def main() -> int:
    """Runs the show and returns its exit code; the servers are stopped however it ends."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        with project.alone():
            _perform()
    except Unexpected as error:
        return _fail(f"the show did not go as its script says: {error}")
    except BrokenPipeError:
        # Else the interpreter flushes once more when it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _perform() -> None:
    secrets = project.Secrets()
    with world.serving(secrets) as seen:
        project.make(dict(seen.ports.values()), world.files(seen, secrets))
        _say(
            "Sample connections in demo/.state: six APIs and a database behind SSH on 127.0.0.1, "
            "two\ndatabases in files"
        )
        for name, (wanted, port) in seen.ports.items():
            if port != wanted:
                _say(
                    f"Port {wanted} is taken, so `{name}` is served on {port}, and the copy of its "
                    "manifest says so."
                )
        for number, step in enumerate(SHOW, start=1):
            _say(f"\n{_bold(textwrap.fill(f'{number}. {step.title}', width=WIDTH))}")
            for change in step.before:
                change(seen)
            for line in step.lines:
                _run(line, seen, secrets.environment())
            if step.after:
                _say(f"\n{step.after(seen)}")
    _say(f"\n{_bold('That was all of it; the sample servers have stopped.')}\n{_next_steps()}")


def _run(line: Line, seen: World, environment: Mapping[str, str]) -> None:
    _say(f"\n$ {_bold(line.shown)}")
    with ExitStack() as stack:
        output = stack.enter_context(_new(project.FOLDER / line.into)) if line.into else None
        ended = subprocess.run(
            [sys.executable, "-m", PROGRAM, *shlex.split(line.command)],
            cwd=project.FOLDER,
            # Both streams go to one file; unbuffered, they keep their order there.
            env={**environment, "PYTHONUNBUFFERED": "1"},
            input=line.given(seen).encode() if line.given else b"",
            stdout=output,
            stderr=sys.stdout.fileno(),
            check=False,
            # Ctrl-C is for the show, which then ends the command, however far it has come.
            process_group=0,
        )
    if ended.returncode != line.exit:
        raise Unexpected(f"`{line.shown}` ended with {ended.returncode}, expected {line.exit}")


def _new(file: Path) -> BinaryIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _next_steps() -> str:
    program = os.path.relpath(Path(sys.executable).with_name(PROGRAM), project.FOLDER)
    return (
        "Its state is kept until the next run. What to try next:\n"
        f"  cd {os.path.relpath(project.FOLDER)}\n"
        f"  export RECONCILER_KEY_FILE={project.KEY}\n"
        f"  {program} status -o wide\n"
        f"  {program} secret list\n"
        f"  {program} events --since 1h\n"
        f"  {program} plan manifests/       # after a change to a file there\n"
        f"  {program} --help"
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _bold(text: str) -> str:
    own = os.environ  # noqa: TID251 - a program of its own
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in own else text


def _fail(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
