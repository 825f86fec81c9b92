"""Secrets cannot be printed, and what leaks in another form is found by value."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.redact import MASK, Redactor, Secret, escape

VALUE = "pä s/w+rd\"'@:%"


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda secret: f"{secret}", id="format"),
        pytest.param(lambda secret: f"{secret:>20}", id="format with a width"),
        pytest.param(lambda secret: repr([secret]), id="in a list"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
    ],
)
def test_secret_shows_nothing(show: Callable[[Secret], str]) -> None:
    assert VALUE not in show(Secret(VALUE))


@pytest.mark.parametrize(
    "misuse",
    [
        pytest.param(lambda secret: secret == VALUE, id="compare"),
        pytest.param(hash, id="hash"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(vars, id="vars"),
    ],
)
def test_secret_refuses(misuse: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        misuse(Secret(VALUE))
    assert VALUE not in str(caught.value)


def test_secret_is_revealed_to_who_asks() -> None:
    assert Secret(VALUE).reveal() == VALUE


def redactor() -> Redactor:
    made = Redactor()
    made.add(VALUE, "report")
    return made


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(VALUE, id="as it is"),
        pytest.param(quote(VALUE, safe=""), id="url-quoted"),
        pytest.param(quote(VALUE), id="url-quoted, slash kept"),
        pytest.param(quote_plus(VALUE), id="plus-quoted"),
        pytest.param(json.dumps(VALUE)[1:-1], id="JSON"),
        pytest.param(json.dumps(VALUE, ensure_ascii=False)[1:-1], id="JSON with umlauts"),
        pytest.param(repr(VALUE)[1:-1], id="repr"),
        pytest.param(repr(f'"{VALUE}')[2:-1], id="repr with another quote"),
        pytest.param(repr(VALUE.encode())[2:-1], id="repr as bytes"),
        pytest.param(VALUE.encode().hex(), id="hex"),
        pytest.param(base64.b64encode(VALUE.encode()).decode(), id="base64"),
        pytest.param(base64.b64encode(f"report:{VALUE}".encode()).decode(), id="Basic header"),
    ],
)
def test_form_of_a_known_secret_is_masked(form: str) -> None:
    assert redactor().redact(f"before {form} after") == f"before {MASK} after"


@given(prefix=st.binary(max_size=8), suffix=st.binary(max_size=8))
def test_base64_of_a_longer_text_around_a_secret_does_not_give_it_away(
    prefix: bytes, suffix: bytes
) -> None:
    known = Redactor()
    known.add("canary-4711-secret")
    shown = known.redact(base64.b64encode(prefix + b"canary-4711-secret" + suffix).decode())
    assert MASK in shown


def test_short_value_is_not_looked_for() -> None:
    known = Redactor()
    known.add("on")
    assert known.redact("connection") == "connection"


def test_short_secret_has_no_partial_base64_forms() -> None:
    known = Redactor()
    known.add("abcde")
    assert known.redact("abcde YWJjZGU= fine") == f"{MASK} {MASK} fine"


def test_lines_of_a_secret_are_masked_one_by_one() -> None:
    known = Redactor()
    known.add("first-line\nsecond-line")
    assert known.redact("a second-line b") == f"a {MASK} b"


def test_text_without_secrets_stays() -> None:
    assert Redactor().redact("plain") == "plain"
    assert redactor().redact("plain") == "plain"


def test_foreign_text_is_redacted_before_it_is_cut() -> None:
    shown = redactor().clean("x" * 990 + VALUE + "y" * 100)
    assert shown == "x" * 990 + MASK + "y" * 6 + "…"


def test_foreign_text_becomes_one_escaped_line() -> None:
    assert redactor().clean("a\r\nb\x1b[31m\u202ec") == r"a\r b\x1b[31m\u202ec"


def test_lone_surrogate_is_escaped() -> None:
    assert escape("\udc80") == r"\udc80"


@pytest.mark.parametrize(
    "value", ["it's\\back", 'say "so"\\', "both ' and \"", "\\'\\'", "tab\there's"]
)
@pytest.mark.parametrize("beside", ["", "'", '"', "'\""])
def test_repr_of_a_text_around_a_secret_shows_it_nowhere(value: str, beside: str) -> None:
    """Which quotes a repr escapes depends on the whole text, and so on what stands beside."""
    redactor = Redactor()
    redactor.add(value)
    for text in (repr(f"{beside}|{value}|"), repr(f"{beside}|{value}|".encode())):
        assert redactor.redact(text).split("|")[1] == MASK


def test_secret_that_is_told_twice_is_still_masked() -> None:
    redactor = Redactor()
    redactor.add("TOPSECRET")
    assert redactor.redact("a TOPSECRET b") == "a *** b"
    redactor.add("TOPSECRET")
    assert redactor.redact("a TOPSECRET b") == "a *** b"


def test_secret_told_in_one_thread_is_masked_by_all_others_at_once() -> None:
    redactor, told = Redactor(), [f"TOPSECRET-{number}" for number in range(200)]

    def tell_and_print(secret: str) -> str:
        redactor.add(secret)
        return redactor.redact(secret)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(tell_and_print, told)) == {"***"}


def test_secrets_that_come_between_texts_are_found_in_the_next_one() -> None:
    redactor = Redactor()
    values = [f"secret-number-{number:04d}-of-many" for number in range(300)]
    for value in values:
        assert redactor.redact(f"{value} and more") == f"{value} and more"
        redactor.add(value)
        assert redactor.redact("nothing to hide") == "nothing to hide"
    assert redactor.redact(" ".join(values)) == " ".join([MASK] * 300)


def test_longer_secret_that_comes_later_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.add("hunter2")
    assert redactor.redact("hunter2hunter3") == f"{MASK}hunter3"
    redactor.add("hunter2hunter3")
    assert redactor.redact("hunter2hunter3") == MASK
