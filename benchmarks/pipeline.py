"""The whole program on many files: validate, first apply, no-op apply, memory, growth.

Floors: a bare interpreter, one that hashes the files, one that lets libyaml parse them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import manifests
from benchmarks.measuring import Cost, Goal, Line, compare, program, python, run

_NOTHING = "pass"
_HASHES = """
import hashlib, os
for folder, _, names in os.walk("manifests"):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            hashlib.sha256(file.read()).digest()
"""
_EVENTS = """
import os
from yaml._yaml import CParser
from yaml.events import StreamEndEvent
for folder, _, names in os.walk("manifests"):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            get_event = CParser(file.read()).get_event
            while type(get_event()) is not StreamEndEvent:
                pass
"""
#: An import of 10,000 connections into Airflow 2.10 took so long on two cores of a quiet machine.
_AIRFLOW_S = 63.0
_APPLY = program("apply", "--health", "none")


def project(folder: Path, count: int, *, per_file: int = 1) -> Path:
    """Returns a new project with `count` manifests and no state."""
    folder.mkdir()
    (folder / "reconciler.toml").touch()
    manifests.write(folder / "manifests", count, per_file=per_file)
    return folder


def startup(scratch: Path, rounds: int) -> Iterator[Line]:
    """Measures what a user waits for whatever the command does."""
    one = project(scratch / "one", 1)
    yield compare(
        "--version, against bare python",
        lambda: run(program("--version"), one).wall_s,
        lambda: run(python(_NOTHING), one).wall_s,
        rounds=4 * rounds,
        goal=Goal(at_least=3, aim=2),
    )
    costs = [run(program("validate"), one) for _ in range(2 * rounds)]
    yield Line(
        work="validate of one file",
        value=median(cost.wall_s for cost in costs) * 1000,
        unit="ms",
        detail=f"{median(cost.cpu_s for cost in costs) * 1000:.0f} ms CPU",
        goal=Goal(at_least=200, aim=120),
    )


def many(scratch: Path, count: int, rounds: int) -> Iterator[Line]:
    """Measures validate, plan and apply of `count` files."""
    folder = project(scratch / "many", count)
    yield compare(
        f"validate of {count:,}, against libyaml's events",
        lambda: run(program("validate"), folder).wall_s,
        lambda: run(python(_EVENTS), folder).wall_s,
        rounds=rounds,
    )
    firsts = [_first_apply(folder) for _ in range(rounds)]
    first_s = median(cost.wall_s for cost in firsts)
    yield Line(
        work=f"first apply of {count:,}, times faster than {_AIRFLOW_S:g} s per 10,000",
        value=_AIRFLOW_S * count / 10_000 / first_s,
        unit="x",
        detail=f"{first_s:.2f} s, {median(cost.cpu_s for cost in firsts):.2f} s CPU",
        goal=Goal(at_least=30, aim=60, is_floor=True),
    )
    yield compare(
        f"no-op apply of {count:,}, against hashing the files",
        lambda: run(_APPLY, folder).wall_s,
        lambda: run(python(_HASHES), folder).wall_s,
        rounds=rounds,
        goal=Goal(at_least=6, aim=4),
    )
    peak = run(program("plan"), folder).peak_mib
    goal = Goal(at_least=400, aim=250)
    yield Line(work=f"peak memory, {count:,} planned", value=peak, unit="MiB", goal=goal)


def failing_pass(scratch: Path, count: int) -> Iterator[Line]:
    """Measures a health pass over `count` targets that nobody listens on."""
    folder = scratch / "failing"
    folder.mkdir()
    (folder / "reconciler.toml").touch()
    documents = (_refusing(number) for number in range(count))
    (folder / "manifests").mkdir()
    for number, document in enumerate(documents):
        (folder / "manifests" / f"m{number:06d}.yaml").write_text(document)
    run(_APPLY, folder)
    cost = run(program("health", "--allow-unhealthy"), folder)
    yield Line(
        work=f"peak memory, a pass of {count:,} failing targets",
        value=cost.peak_mib,
        unit="MiB",
        detail=f"{count / cost.wall_s:.0f} targets/s",
        goal=Goal(at_least=300, aim=200),
    )


def growth(scratch: Path, sizes: tuple[int, ...]) -> Iterator[Line]:
    """Measures how CPU time grows from each size to the next, start-up included."""
    costs: dict[int, tuple[Cost, Cost]] = {}
    for size in sizes:
        folder = project(scratch / f"growth-{size}", size, per_file=50)
        costs[size] = (_first_apply(folder), run(program("plan"), folder))
        shutil.rmtree(folder)
    for smaller, larger in pairwise(sizes):
        for index, work in enumerate(("first apply", "plan")):
            before, after = costs[smaller][index], costs[larger][index]
            factor = larger / smaller
            yield Line(
                work=f"growth of {work}, {smaller:,} to {larger:,}",
                value=after.cpu_s / before.cpu_s,
                unit="x",
                detail=f"{before.cpu_s:.2f} s to {after.cpu_s:.2f} s, {after.peak_mib:.0f} MiB",
                goal=Goal(at_least=1.1 * factor, aim=factor),
            )


def _first_apply(folder: Path) -> Cost:
    shutil.rmtree(folder / ".reconciler", ignore_errors=True)
    return run(_APPLY, folder)


def _refusing(number: int) -> str:
    # Nothing listens on port 1, and each target is another host to the limits per host.
    host = f"127.{number // 65536 + 1}.{number // 256 % 256}.{number % 254 + 1}"
    return (
        "apiVersion: reconciler/v1\nkind: ApiConnection\n"
        f"metadata: {{name: refusing-{number}}}\n"
        f"spec: {{baseUrl: 'http://{host}:1', auth: {{method: none}}}}\n"
    )
