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
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe

from demo import project, servers

#: A check failed, or a connection is not well: exit code 11 of the command.
UNHEALTHY = 11
#: What the command line of the show calls the product.
PROGRAM = "reconciler"
#: Where headings are broken.
WIDTH = 100

Apis = Mapping[str, servers.SampleServer]


class Unexpected(Exception):
    """Something did not end as the script says; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command line, and the exit code that it has to end with."""

    command: str
    exit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One sentence about what is shown, and the command lines that show it."""

    title: str
    lines: tuple[Line, ...]
    #: what happens in the world before them
    before: Callable[[Apis], None] | None = None
    #: gives a sentence about what the world saw; raises `Unexpected`
    after: Callable[[Apis], str] | None = None


def _revoke_token(apis: Apis) -> None:
    apis["crm"].sample = replace(apis["crm"].sample, credential=project.bearer(token_urlsafe()))


def _accept_token_again(apis: Apis) -> None:
    apis["crm"].sample = apis["crm"].first_sample


def _count_refusals(apis: Apis) -> str:
    refused = apis["crm"].refused_logins
    if refused != 5:
        raise Unexpected(f"the CRM refused {refused} logins where the budget allows exactly 5")
    return "The CRM itself counted 5 refused logins: the sixth command sent nothing."


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
        title="Apply: the state changes in one transaction, then every new connection is tried. "
        "The sample API `flaky` fails on purpose, so this ends with exit 11.",
        lines=(Line(command="apply manifests/", exit=UNHEALTHY),),
    ),
    Step(
        title="Status: where every connection stands, the worst first.",
        lines=(Line(command="status"),),
    ),
    Step(
        title="The CRM now revokes our token. A health pass over everything sees it; `flaky` has "
        "failed twice and becomes FAILED as well.",
        before=_revoke_token,
        lines=(Line(command="health", exit=UNHEALTHY),),
    ),
    Step(
        title="The checks go on. After the fifth failure in a row they stop, before the CRM locks "
        "the account; asked once more, nothing is sent.",
        lines=(Line(command="health sales/crm", exit=UNHEALTHY),) * 5,
        after=_count_refusals,
    ),
    Step(
        title="Status and describe: who stopped it, when and why, with the time of every stage.",
        lines=(Line(command="status"), Line(command="describe sales/crm")),
    ),
    Step(
        title="The CRM accepts the token again. Neither secret nor manifest changed, so the checks "
        "stay stopped until a person resumes them.",
        before=_accept_token_again,
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
    with servers.serving(secrets.samples()) as apis:
        project.make(secrets, apis.values())
        _say(
            "Sample connections: five APIs on 127.0.0.1 and two databases in files, in demo/.state"
        )
        for api in apis.values():
            if api.port != api.sample.port:
                _say(
                    f"Port {api.sample.port} is taken, so `{api.sample.name}` is served on "
                    f"{api.port}, and the copy of its manifest says so."
                )
        for number, step in enumerate(SHOW, start=1):
            _say(f"\n{_bold(textwrap.fill(f'{number}. {step.title}', width=WIDTH))}")
            if step.before:
                step.before(apis)
            for line in step.lines:
                _run(line, secrets.environment())
            if step.after:
                _say(f"\n{step.after(apis)}")
    _say(f"\n{_bold('That was all of it; the sample APIs have stopped.')}\n{_next_steps()}")


def _run(line: Line, environment: Mapping[str, str]) -> None:
    _say(f"\n$ {_bold(f'{PROGRAM} {line.command}')}")
    ended = subprocess.run(
        [sys.executable, "-m", PROGRAM, *shlex.split(line.command)],
        cwd=project.FOLDER,
        # Both streams go to one file; unbuffered, they keep their order there.
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ended.returncode != line.exit:
        raise Unexpected(
            f"`{PROGRAM} {line.command}` ended with {ended.returncode}, expected {line.exit}"
        )


def _next_steps() -> str:
    program = os.path.relpath(Path(sys.executable).with_name(PROGRAM), project.FOLDER)
    return (
        "Its state is kept until the next run. What to try next:\n"
        f"  cd {os.path.relpath(project.FOLDER)}\n"
        f"  {program} status -o wide\n"
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
