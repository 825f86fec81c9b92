"""Thousands of files are shared among the processors; nothing of that may be seen.

Every kind of mistake that is told apart only by looking at two files stands here with one of them
at the beginning and the other at the end, so that two processes read them.
"""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.e2e.command import Ended, Run

FILES = 1200
#: Runs the command with one processor, so with no other process.
ALONE = """
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.execv(sys.argv[1], sys.argv[1:])
"""
REST = ("plan", "ask git", "report", "total")
COMMAND = os.path.join(os.path.dirname(sys.executable), "reconciler")

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the system cannot take processors away"
)


def manifest(number: int, *, name: str = "", more: str = "", url: str = "https://h.example") -> str:
    return (
        "apiVersion: reconciler/v1\nkind: ApiConnection\n"
        f"metadata: {{name: {name or f'c{number}'}{more}}}\n"
        f"spec: {{baseUrl: '{url}', auth: {{method: none}}}}\n"
    )


def fill(run: Run, changes: dict[int, str]) -> None:
    for number in range(FILES):
        run.write(f"manifests/{number:04d}.yaml", changes.get(number, manifest(number)))


def shared_and_alone(run: Run, *arguments: str) -> tuple[Ended, Ended]:
    return run(*arguments), run.python(ALONE, COMMAND, *arguments)


def test_valid_files_are_all_found(run: Run) -> None:
    fill(run, {})
    shared, alone = shared_and_alone(run, "validate", "-q")
    assert (shared, alone) == (alone, Ended(code=0, stdout="", stderr=""))


def test_mistakes_are_the_same_whoever_reads_the_file(run: Run) -> None:
    fill(
        run,
        {
            3: manifest(3, url="ftp://h.example"),
            1100: manifest(1100, url="ftp://h.example"),
            1101: "a: [\n",
            1102: "",
            # a name that an earlier and a name that a later file has
            1103: manifest(1103, name="c5"),
            7: manifest(7, name="c1105"),
            # a previous name that is still borne, by a file of the other process
            9: manifest(9, more=", previousNames: [c1107]"),
            1109: manifest(1109, more=", previousNames: [c11]"),
            1111: manifest(1111) + "---\n" + manifest(0, name="c1112"),
        },
    )
    shared, alone = shared_and_alone(run, "validate", "-o", "concise", "--all", "-q")
    assert shared == alone
    assert [
        line[: line.index(" ", line.index(": ") + 2)] for line in shared.stdout.splitlines()
    ] == [
        "manifests/0003.yaml:4:17: E115",
        "manifests/0009.yaml:3:38: E202",
        "manifests/1100.yaml:4:17: E115",
        "manifests/1101.yaml:2:1: E005",
        "manifests/1102.yaml:1:1: E007",
        "manifests/1103.yaml:3:18: E201",
        "manifests/1105.yaml:3:18: E201",
        "manifests/1109.yaml:3:41: E202",
        "manifests/1112.yaml:3:18: E201",
    ]


def test_plan_is_the_same_whoever_reads_the_file(run: Run) -> None:
    fill(run, {})
    shared, alone = shared_and_alone(run, "plan", "-o", "json")
    assert shared.code == 0
    assert shared.stdout.count('"create"') >= FILES
    assert _without_time(shared) == _without_time(alone)


def test_profile_says_on_standard_error_how_long_each_stage_took(run: Run) -> None:
    run.write("manifests/one.yaml", manifest(1))
    ended = run("plan", "--profile", "-o", "json")
    json.loads(ended.stdout)
    stages = [line.split("  ")[0] for line in ended.stderr.splitlines()]
    assert stages == ["start-up", "recall", "read and validate", "open the state store", *REST]


def _without_time(ended: Ended) -> list[str]:
    return [line for line in ended.stdout.splitlines() if '"at"' not in line]
