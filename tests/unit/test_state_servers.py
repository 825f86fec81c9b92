from __future__ import annotations

import pytest

from reconciler import state_servers
from reconciler.network import StateServer


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("sqlite:///state.db", ()),
        ("postgresql://u:p@db.internal/state", (StateServer(host="db.internal", port=5432),)),
        ("postgresql+psycopg://db:6432/s", (StateServer(host="db", port=6432),)),
        ("postgresql://[::1]:6432/s", (StateServer(host="::1", port=6432),)),
        (
            "postgresql:///s?host=/run/postgresql/&port=6432",
            (StateServer(socket="/run/postgresql/.s.PGSQL.6432"),),
        ),
        (
            "postgresql:///s?host=a:1,b&hostaddr=10.0.0.1",
            (
                StateServer(host="a", port=1),
                StateServer(host="b", port=5432),
                StateServer(host="10.0.0.1", port=5432),
            ),
        ),
        ("postgresql://db:port/s", ()),
    ],
)
def test_servers_of_a_state_are_found(url: str, servers: tuple[StateServer, ...]) -> None:
    assert state_servers.named(url) == servers
