"""P3: an apply whose connection is lost, at whatever moment, says truly whether it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import StoreUnavailable
from reconciler.stores import Store
from tests.desired import want
from tests.reliability.cutting_proxy import CuttingProxy, cutting_proxy
from tests.reliability.figures import Record
from tests.reliability.program import Program, row_named
from tests.servers.postgresql import PostgresServer

pytestmark = pytest.mark.server

#: How often every moment is tried in the long version.
SOAK_TIMES = 10
FIRST_PORT = 10_000


def test_apply_whose_connection_is_cut_at_any_moment_says_truly_what_became_of_it(
    postgresql: PostgresServer,
    postgresql_url: str,
    memory_path: Path,
    figure: Record,
    is_soak: bool,
) -> None:
    program = Program(url=postgresql_url, folder=memory_path)
    program.apply(want("a", port=FIRST_PORT - 1))
    cuts = 0
    with cutting_proxy(postgresql.port) as proxy, program.store() as direct:
        url = postgresql_url.replace(f":{postgresql.port}/", f":{proxy.port}/")
        distant = Program(url=url, folder=memory_path, first_id=10**6)
        for _ in range(SOAK_TIMES if is_soak else 1):
            piece = 1
            while is_cut_truly_told(proxy, piece, distant, direct, port=FIRST_PORT + cuts):
                piece += 1
                cuts += 1
        assert direct.check() == ()
    assert cuts > 30
    figure("P3", "cut connections", cuts, "applied twice", 0, "wrongly told", 0)


def is_cut_truly_told(
    proxy: CuttingProxy, piece: int, distant: Program, direct: Store, *, port: int
) -> bool:
    """Applies a new port through the proxy; returns whether the cut came."""
    before = row_named(direct, "a")
    proxy.arm(piece)
    try:
        distant.apply(want("a", port=port))
        is_told_done, told = True, "applied"
    except StoreUnavailable as error:
        is_told_done, told = False, error.message
    was_cut = proxy.disarm()
    revisions = direct.revisions(before.uid)
    is_done = row_named(direct, "a").manifest["spec"]["port"] == port
    assert is_done is is_told_done
    assert "is not known" not in told
    assert len(revisions) == before.revision + is_done
    assert len(direct.runs(limit=10**6)) == len(revisions)
    return was_cut
