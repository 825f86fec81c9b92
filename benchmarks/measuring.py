"""Runs processes and compares what they cost; what one line of the table is.

Whole processes are compared, since that is what a user waits for. Two are run alternately, A B A B,
and the median of the ratios counts, so a neighbour's burst spoils one pair and not the result.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

#: What a measured process may know: nothing of the shell that started the benchmark.
_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "HOME": "/", "LC_ALL": "C.UTF-8"}
_KIB_PER_MIB = 1024


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
    value: float
    unit: str
    #: the absolute figures behind a ratio
    detail: str = ""
    goal: Goal | None = None


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
    with TemporaryFile() as output:
        began = perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(_ENVIRONMENT), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        took_s = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != expected:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{said}")
    peak = usage.ru_maxrss / (_KIB_PER_MIB**2 if sys.platform == "darwin" else _KIB_PER_MIB)
    return Cost(wall_s=took_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=peak)


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
            f"{line.value:.2f} {line.unit}",
            _limit(line.goal, "at_least"),
            _limit(line.goal, "aim"),
            line.goal.verdict(line.value) if line.goal else "",
            line.detail,
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rows = [head, tuple("-" * width for width in widths), *body]
    texts = (zip(row, widths, strict=True) for row in rows)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in row).rstrip() for row in texts)


def _limit(goal: Goal | None, name: str) -> str:
    if goal is None:
        return ""
    return f"{'>=' if goal.is_floor else '<='} {getattr(goal, name):g}"
