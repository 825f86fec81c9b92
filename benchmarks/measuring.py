"""Runs processes and compares what they cost; what one line of the table is.

Whole processes are compared, since that is what a user waits for. Two are run alternately, A B A B,
and the median of the ratios counts, so a neighbour's burst spoils one pair and not the result.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

#: What a measured process may know: nothing of the shell that started the benchmark.
_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "HOME": "/", "LC_ALL": "C.UTF-8"}
_KIB_PER_MIB = 1024
#: Starts a process and tells what it took. On Linux a process's peak begins with the memory of the
#: one that started it, so that a benchmark of its size would measure itself; this one is small.
_STARTER = """
import json, os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
began = time.perf_counter()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
took = time.perf_counter() - began
code = os.waitstatus_to_exitcode(status)
cost = code, took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss
os.write(report, json.dumps(cost).encode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    wall_s: float
    #: user and system time, children included
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Limits of a figure; `is_floor` where more is better."""

    at_least: float
    aim: float
    is_floor: bool = False

    def verdict(self, value: float) -> str:
        """Returns `aim`, `ok` or `short`."""
        reached = (value >= g if self.is_floor else value <= g for g in (self.aim, self.at_least))
        return next(
            (word for word, is_so in zip(("aim", "ok"), reached, strict=True) if is_so), "short"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table."""

    work: str
    #: None where it could not be measured; `detail` says why
    value: float | None
    unit: str
    #: the absolute figures behind a ratio
    detail: str = ""
    goal: Goal | None = None
    #: what keeps it from the goal, where that is known
    cause: str = ""

    @property
    def verdict(self) -> str:
        """Returns `aim`, `ok`, `short`, or nothing where there is no goal."""
        return self.goal.verdict(self.value) if self.goal and self.value is not None else ""


def program(*arguments: str) -> list[str]:
    """Returns the command line that runs our program from this environment."""
    return [str(Path(sys.executable).parent / "reconciler"), *arguments]


def python(code: str, *arguments: str) -> list[str]:
    """Returns the command line that runs `code` in a bare interpreter with our libraries."""
    return [sys.executable, "-c", code, *arguments]


def run(command: Sequence[str], cwd: Path, *, expected: int = 0) -> Cost:
    """Runs a process to its end.

    Raises:
        RuntimeError: it ended with another code than `expected`; says what it printed last.
    """
    with TemporaryFile() as output, TemporaryFile() as report:
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(report.fileno()), *command]
        subprocess.run(
            starter,
            cwd=cwd,
            env=dict(_ENVIRONMENT),
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(report.fileno(),),
            check=True,
        )
        report.seek(0)
        code, took_s, cpu_s, peak = json.load(report)
        if code != expected:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{command} ended with {code}:\n{said}")
    peak_mib = peak / (_KIB_PER_MIB**2 if sys.platform == "darwin" else _KIB_PER_MIB)
    return Cost(wall_s=took_s, cpu_s=cpu_s, peak_mib=peak_mib)


def compare(
    work: str,
    ours: Callable[[], float],
    floor: Callable[[], float],
    *,
    rounds: int,
    goal: Goal | None = None,
    unit: str = "x",
) -> Line:
    """Returns ours / floor: the median over `rounds` of the ratio of neighbouring seconds."""
    pairs = [(ours(), floor()) for _ in range(rounds)]
    ratio = statistics.median(mine / least for mine, least in pairs)
    mine, least = (statistics.median(side) for side in zip(*pairs, strict=True))
    detail = f"{_time(mine)} against {_time(least)}"
    return Line(work=work, value=ratio, unit=unit, detail=detail, goal=goal)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(lines: Sequence[Line]) -> str:
    """Returns the lines as one table, with the goals beside what was measured."""
    head = ("work", "measured", "at least", "aim", "", "figures")
    body = [
        (
            line.work,
            "-" if line.value is None else f"{line.value:.2f} {line.unit}",
            _limit(line.goal, "at_least"),
            _limit(line.goal, "aim"),
            line.verdict,
            line.detail,
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rows = [head, tuple("-" * width for width in widths), *body]
    texts = (zip(row, widths, strict=True) for row in rows)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in row).rstrip() for row in texts)


def shortfall(lines: Sequence[Line]) -> str:
    """Returns which figures do not reach what is required, and why where that is known."""
    short = [line for line in lines if line.verdict == "short"]
    if not short:
        return "nothing is short of what is required"
    texts = [f"  {line.work}" + (f": {line.cause}" if line.cause else "") for line in short]
    return "\n".join([f"short of what is required: {len(short)}", *texts])


def _limit(goal: Goal | None, name: str) -> str:
    if goal is None:
        return ""
    return f"{'>=' if goal.is_floor else '<='} {getattr(goal, name):g}"
