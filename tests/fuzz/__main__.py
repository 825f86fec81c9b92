"""`make fuzz`: every target in turn, with new inputs each time, until the time is over.

FUZZ_SECONDS says how long (an hour), FUZZ_SEED repeats a run. The seed of every round is printed
before it begins; a failure prints the smallest input that fails and ends with 1. Such an input
belongs into `found` of its target.
"""

from __future__ import annotations

import os
import secrets
from time import monotonic

from tests.fuzz.targets import TARGETS
from tests.fuzz.trying import fuzz

INPUTS_A_ROUND = 500


def main() -> None:
    """Fuzzes until the time is over; an input that fails ends it with its traceback."""
    environment = os.environ  # noqa: TID251 - of the tests
    until = monotonic() + float(environment.get("FUZZ_SECONDS", "3600"))
    number = int(environment.get("FUZZ_SEED", "") or secrets.randbelow(2**32))
    tried = 0
    while monotonic() < until:
        for target in TARGETS:
            print(f"FUZZ_SEED={number}  {target.name}, {tried:,} inputs so far", flush=True)  # noqa: T201
            tried += fuzz(target, inputs=INPUTS_A_ROUND, number=number)
            if monotonic() > until:
                break
        number += 1
    print(f"{tried:,} inputs, none without a documented outcome")  # noqa: T201


if __name__ == "__main__":
    main()
