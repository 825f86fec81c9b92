"""The source of `{store: NAME}`: what it gives out, what it warns of, what it refuses."""

from __future__ import annotations

import pytest

from reconciler.errors import SecretError
from reconciler.redact import Redactor, Secret
from reconciler.secret_sources import Secrets
from reconciler.secret_sources.store import Stored, StoreSource
from reconciler.settings import SecretPolicy
from tests.factories import NOW, later

DAY = 86400
POLICY = SecretPolicy(root="/project")


def make_source(**stored: Stored) -> StoreSource:
    return StoreSource(stored.get, lambda: NOW, 14 * DAY)


def make_stored(expires_s: float | None = None) -> Stored:
    at = None if expires_s is None else later(expires_s)
    return Stored(value=Secret("correct horse"), expires_at=at)


@pytest.mark.parametrize(
    ("expires_s", "warnings"),
    [
        pytest.param(None, (), id="never"),
        pytest.param(14 * DAY + 1, (), id="later"),
        pytest.param(
            14 * DAY,
            ("the stored secret `a` expires at 2026-03-15T12:00:00Z, in 14 days",),
            id="within the time of warning",
        ),
        pytest.param(
            1, ("the stored secret `a` expires at 2026-03-01T12:00:01Z, in 1 day",), id="at once"
        ),
    ],
)
def test_secret_is_given_out_until_it_expires(
    expires_s: float | None, warnings: tuple[str, ...]
) -> None:
    source = make_source(a=make_stored(expires_s))
    assert source.read("a", public=False) == "correct horse"
    assert source.warnings == warnings


def test_secret_is_not_given_out_from_the_moment_it_expires() -> None:
    source = make_source(a=make_stored(0))
    with pytest.raises(SecretError) as raised:
        source.read("a", public=False)
    assert raised.value.message == "the stored secret `a` expired at 2026-03-01T12:00:00Z"
    assert raised.value.hint == "`reconciler secret set a` stores its successor"
    assert source.warnings == ()


def test_secret_that_is_not_there_says_what_stores_it() -> None:
    with pytest.raises(SecretError) as raised:
        make_source().read("a", public=False)
    assert raised.value.message == "there is no stored secret `a`"
    assert raised.value.hint == "`reconciler secret set a` stores it"


def test_resolver_reads_each_stored_secret_once() -> None:
    redactor = Redactor()
    source = make_source(a=make_stored(1))
    secrets = Secrets(POLICY, {}, redactor, clock=lambda: NOW, sources={"store": source})
    assert [secrets.resolve({"store": "a"}).reveal() for _ in range(2)] == ["correct horse"] * 2
    assert len(secrets.warnings) == 1
    assert redactor.redact("a correct horse") == "a ***"


def test_resolver_without_a_store_refuses() -> None:
    with pytest.raises(SecretError) as raised:
        Secrets(POLICY, {}, Redactor(), clock=lambda: NOW).resolve({"store": "a"})
    assert raised.value.message == "store a cannot be read here"
