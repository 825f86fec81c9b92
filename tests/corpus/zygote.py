"""Runs the command some hundred times in the time that a few starts of it take.

Most of a start is imports, which are the same each time. A warmed-up process is kept, and every run
is a fork of it: a process of its own, with its own environment, streams and limits, and an exit
status and a peak memory that the kernel reports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.command import Run

_PROGRAM = Path(__file__).with_name("zygote_process.py")
#: Kept by the kernel for every run: far above what one needs, far below what a bomb takes.
CPU_S, DEADLINE_S, PEAK_MIB = 10, 60, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended."""

    #: exit code, or minus the number of the signal that ended it
    code: int
    stdout: bytes
    stderr: bytes
    cpu_s: float
    peak_mib: float
    #: of a watched run: audit events, each its name and its arguments
    events: tuple[tuple[Any, ...], ...] = ()
    #: of a watched run: modules that it loaded
    modules: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return (self.stdout + b"\n" + self.stderr).decode(errors="backslashreplace")


class Zygote:
    """A warmed-up process; call it to run the command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self,
        *argv: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        prelude: str = "",
        is_watched: bool = False,
    ) -> Ended:
        """Returns how `reconciler *argv` ended in `folder`, in a clean environment with `env`.

        `prelude` is Python that runs in the process before the command does.
        """
        with tempfile.TemporaryDirectory(prefix="run-") as name:
            place = Path(name)
            (place / "stdin").write_bytes(stdin)
            job = {
                "argv": argv,
                "folder": str(folder),
                "env": Run(folder=folder).environment(env),
                "prelude": prelude,
                "cpu_s": CPU_S,
                "deadline_s": DEADLINE_S,
                "watched": str(place / "watched") if is_watched else "",
                **{stream: str(place / stream) for stream in ("stdin", "stdout", "stderr")},
            }
            ended = self._ask(job)
            seen = json.loads((place / "watched").read_text()) if is_watched else {}
            return Ended(
                **ended,
                stdout=(place / "stdout").read_bytes(),
                stderr=(place / "stderr").read_bytes(),
                events=tuple(map(tuple, seen.get("events", ()))),
                modules=frozenset(seen.get("modules", ())),
            )

    def _ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def zygote() -> Iterator[Zygote]:
    """Starts a warmed-up process and ends it after the block."""
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=Run(folder=_PROGRAM.parent).environment(),
    ) as process:
        try:
            yield Zygote(process)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:  # somebody holds a copy of the pipe
                process.kill()
