"""Notes which environment variables a watched command looks at, as events of its audit hook.

`PRELUDE` runs in the process that becomes the command. Copying the environment as a whole, which
`config.take_environment` does once, looks at nothing; every look at the copy, and at what `os` has,
is noted by name.
"""

from __future__ import annotations

from tests.corpus.zygote import Ended

PRELUDE = """
import os, sys
from collections.abc import Mapping
from reconciler import config

class Noted(Mapping):
    def __init__(self, held):
        self.held = held
    def __getitem__(self, name):
        sys.audit("environment.read", name)
        return self.held[name]
    def __iter__(self):
        return iter(self.held)
    def __len__(self):
        return len(self.held)

plain, take = type(os.environ), config.take_environment

class NotedByOs(plain):
    def __getitem__(self, name):
        sys.audit("environment.read", name)
        return plain.__getitem__(self, name)

def take_unnoted():
    os.environ.__class__ = plain
    held = take()
    os.environ.__class__ = NotedByOs
    return Noted(held)

os.environ.__class__ = NotedByOs
config.take_environment = take_unnoted
"""


def looked_at(ended: Ended) -> frozenset[str]:
    """Returns the names of the variables that a run with `PRELUDE` looked at."""
    return frozenset(event[1] for event in ended.events if event[0] == "environment.read")
