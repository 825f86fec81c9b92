"""The limit of a process is put back, whoever leaves last."""

from __future__ import annotations

import resource
import sys

import pytest

from reconciler.clients import memory

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="Linux alone keeps such a limit"
)


def test_limit_holds_while_any_block_runs_and_is_put_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.bounded():
        with memory.bounded():
            inside = resource.getrlimit(resource.RLIMIT_DATA)
        assert resource.getrlimit(resource.RLIMIT_DATA) == inside != before
        with pytest.raises(MemoryError):
            bytearray(2 * memory.HEADROOM_BYTES)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(1024)) == 1024
