"""Measures everything and prints one table; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import blackbox, http_probe, peers, pipeline, sql_probe, store, warm_token
from benchmarks.measuring import Line, shortfall, table

_Part = Callable[[], Iterable[Line]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, fewer rounds")
    parser.add_argument("--peers", action="store_true", help="install and compare with peers")
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        parts = _parts(Path(folder), quick=asked.quick)
        if not asked.peers and "peers" not in asked.parts:
            del parts["peers"]
        unknown = set(asked.parts) - set(parts)
        if unknown:
            parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {list(parts)}")
        lines: list[Line] = []
        for name in asked.parts or parts:
            print(f"measuring: {name}", file=sys.stderr)
            lines += parts[name]()
    print(table(lines))
    print(shortfall(lines))
    return 0


def _parts(scratch: Path, *, quick: bool) -> dict[str, _Part]:
    size, rounds = (1_000, 3) if quick else (10_000, 5)
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    return {
        "startup": lambda: pipeline.startup(scratch, rounds),
        "many": lambda: pipeline.many(scratch, size, rounds),
        "growth": lambda: pipeline.growth(scratch, sizes),
        "store": lambda: store.changed_rows(scratch, size, rounds),
        "failing": lambda: pipeline.failing_pass(scratch, size),
        "http": http_probe.lines,
        "token": lambda: warm_token.lines(scratch),
        "blackbox": blackbox.lines,
        "sql": sql_probe.lines,
        "peers": lambda: peers.validators(scratch, size),
    }


if __name__ == "__main__":
    sys.exit(main())
