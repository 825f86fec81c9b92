"""The installed command in a subprocess, as users run it: clean environment, fresh folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("reconciler"))
#: A hanging command is a failure, not a wait for the CI's own limit.
TIMEOUT_S = 120
#: Becomes the command; a test run in the background of a shell hands down an ignored interrupt.
_INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Runs the command in `folder`."""

    folder: Path

    def __call__(
        self, *args: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None
    ) -> Ended:
        """Returns how `reconciler *args` ended."""
        return self.program(COMMAND, *args, stdin=stdin, env=env)

    def python(self, script: str, *args: str, env: Mapping[str, str] | None = None) -> Ended:
        """Returns how a Python script in the same interpreter ended."""
        return self.program(sys.executable, "-c", script, *args, env=env)

    def program(
        self, *argv: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None
    ) -> Ended:
        """Returns how any program ended, in the same folder and environment."""
        ended = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment(env),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return Ended(
            code=ended.returncode,
            stdout=ended.stdout.decode(errors="surrogateescape"),
            stderr=ended.stderr.decode(errors="surrogateescape"),
        )

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts `reconciler *args` with pipes on all three streams; the caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTIBLE, COMMAND, *args],
            bufsize=0,
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns a clean environment with `changes`; coverage of subprocesses goes on."""
        process = os.environ  # noqa: TID251 - the tests' own environment
        kept = {name: value for name, value in process.items() if name.startswith("COV")}
        clean = {
            "HOME": str(self.folder.parent),
            "LC_ALL": "C.UTF-8",
            "PATH": os.pathsep.join([str(Path(COMMAND).parent), os.defpath]),
        }
        return {**kept, **clean, **(changes or {})}

    def write(self, path: str, text: str) -> Path:
        """Writes a file under the folder and returns its path."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file
