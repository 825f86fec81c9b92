"""Bounds the memory that a library takes which asks nobody: DuckDB makes one value of any size.

While a block runs, the process may take so much more memory than it has, and no more; what asks for
more gets an error of its allocator. The limit is that of the whole process (setrlimit(2),
RLIMIT_DATA), so that blocks in several threads share one, and it is generous: the stacks of threads
that are started meanwhile count as well. It is put back when the last block ends. Linux alone keeps
such a limit; elsewhere there is none.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: What the process may take on top of what it has.
HEADROOM_BYTES = 512 * 1024 * 1024

_PLACE = Path("/proc/self/statm")
#: Of its fields: what is written and not shared, in pages (proc(5)).
_DATA = 5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Bound:
    """The one limit of this process, and how many blocks want it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def enter(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks > 1:
                return
            self._before = resource.getrlimit(resource.RLIMIT_DATA)
            soft, hard = self._before
            pages = int(_PLACE.read_text(encoding="ascii").split()[_DATA])
            limit = pages * _PAGE_BYTES + HEADROOM_BYTES
            narrower = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *narrower]), hard))

    def leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                resource.setrlimit(resource.RLIMIT_DATA, self._before)


_BOUND = _Bound()


@contextmanager
def bounded() -> Iterator[None]:
    """Lets the process take `HEADROOM_BYTES` more at most while the block runs."""
    if not sys.platform.startswith("linux"):
        yield
        return
    _BOUND.enter()
    try:
        yield
    finally:
        with suppress(ValueError, OSError):  # somebody has lowered the hard limit meanwhile
            _BOUND.leave()
