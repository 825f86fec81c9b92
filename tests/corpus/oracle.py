"""What must hold of every run on a bad input, whichever it is: returned as a list of complaints."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.corpus import canary
from tests.corpus.cases import CANARY, Case
from tests.corpus.zygote import PEAK_MIB, Ended

#: More than a screen of anybody's patience, less than a log that fills a disk.
_LONGEST_OUTPUT_BYTES = 256 * 1024
#: CPU seconds; the promise is 2 of them on an idle machine.
_LONGEST_S = 5.0
_HASHED_BYTES = 4 << 20
_REPOSITORY = Path(__file__).parents[2]
#: Where Python and this program keep themselves, and what a process without input is given.
_OWN = (sys.prefix, sys.base_prefix, str(_REPOSITORY / "reconciler"), str(_REPOSITORY / "schemas"))
_NOTHING = "/dev/null"
#: Parts of the program that reach out, or that read secrets.
_REACHING_OUT = ("reconciler.clients", "reconciler.probes.", "reconciler.secret_sources.")

Snapshot = Mapping[str, tuple[int, int, str]]


def snapshot(folder: Path, *, without_state: bool = False) -> Snapshot:
    """Returns mode, size and content of everything beneath `folder`, by relative path."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top, name)
            facts = path.lstat()
            size = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_size
            found[str(path.relative_to(folder))] = (facts.st_mode, size, _content(path, facts))
    if without_state:
        return {path: entry for path, entry in found.items() if not path.startswith(".reconciler")}
    return found


def _content(path: Path, facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        return str(path.readlink())
    if not stat.S_ISREG(facts.st_mode):
        return ""
    if facts.st_size > _HASHED_BYTES:
        return str(facts.st_mtime_ns)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def complaints(case: Case, ended: Ended, folder: Path) -> list[str]:
    """Returns what is wrong with how a case ended, its effects on `folder` aside."""
    found = []
    if ended.code != case.exit:
        found.append(f"exit {ended.code}, not {case.exit}")
    if case.says not in ended.text:
        found.append(f"does not say {case.says!r}")
    if "Traceback" in ended.text or "Exception ignored" in ended.text:
        found.append("shows a traceback")
    if len(ended.stdout + ended.stderr) > _LONGEST_OUTPUT_BYTES:
        found.append(f"prints {len(ended.stdout + ended.stderr)} bytes")
    if ended.cpu_s > _LONGEST_S:
        found.append(f"takes {ended.cpu_s:.1f} s")
    if ended.peak_mib > PEAK_MIB:
        found.append(f"takes {ended.peak_mib:.0f} MiB")
    if any(byte < 0x20 and byte != 0x0A for byte in ended.stdout + ended.stderr):
        found.append("prints control characters")
    found += canary.leaks({"the canary": CANARY}, {"stdout": ended.stdout, "stderr": ended.stderr})
    return found + intrusions(ended, folder, case.argv)


def intrusions(ended: Ended, folder: Path, argv: Sequence[str]) -> list[str]:
    """Returns what a watched run did to the world that a run on a pull request must not do.

    Which variables it may look at, `test_p14_inert` says.
    """
    given = {os.path.dirname(word) for word in argv if word.startswith("/")}
    allowed = (*_OWN, str(folder), *given)
    found = [f"loads {name}" for name in sorted(ended.modules) if name.startswith(_REACHING_OUT)]
    for event, *arguments in ended.events:
        match event:
            case "open":
                is_harmless = _may_open(arguments, allowed)
            case "sqlite3.connect":
                is_harmless = str(folder) in str(arguments[0])
            case "subprocess.Popen":
                is_harmless = _is_git(arguments, argv)
            case _:
                is_harmless = event in ("sqlite3.connect/handle", "environment.read")
        if not is_harmless:
            found.append(f"{event}: {arguments[0]}")
    return found


def _may_open(arguments: Sequence[Any], allowed: Sequence[str]) -> bool:
    path, _, flags = arguments
    if isinstance(path, int) or path == _NOTHING:
        return True
    if not path.startswith("/"):  # beneath a folder that was opened before
        return "/" not in path and path != ".." and bool(flags & os.O_NOFOLLOW)
    return any(path == top or path.startswith(top + "/") for top in allowed if top)


def _is_git(arguments: Sequence[Any], argv: Sequence[str]) -> bool:
    """Whether `plan` asks git for the commit, in a way that runs nothing of the repository."""
    program, words = arguments[0], arguments[1]
    return (
        argv[0] in ("plan", "diff")
        and os.path.basename(program) == "git"
        and "core.fsmonitor=false" in words
        and words[words.index("-C") + 2] in ("log", "ls-files", "status")
    )
