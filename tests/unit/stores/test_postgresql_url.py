"""What a state URL may say: nothing that names files of passwords or services, or loads code."""

from __future__ import annotations

import pytest

from reconciler.errors import ConfigError
from reconciler.stores import postgresql


@pytest.mark.parametrize("option", ["plugin", "passfile", "service", "servicefile", "sslpassword"])
def test_option_that_is_not_on_the_list_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"has the option `{option}`, which is not taken"):
        postgresql.parse_url(f"postgresql://host/db?{option}=x")


def test_known_option_wins_over_the_default() -> None:
    url = postgresql.parse_url("postgresql://host/db?connect_timeout=3&sslmode=verify-full")
    assert (url.query["connect_timeout"], url.query["sslmode"]) == ("3", "verify-full")
    assert url.query["gssencmode"] == "disable"
