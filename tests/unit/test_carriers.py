"""What carries secrets on their way shows none of them and is not pickled or copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from reconciler.auth import aws_sigv4
from reconciler.auth.exchange import Request, Response
from reconciler.clients import http_request
from reconciler.config import Environment
from reconciler.redact import Redactor
from reconciler.settings import SecretPolicy, Settings

SECRET = "sesame-open-9"


def make_redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET)
    return redactor


CARRIERS = [
    pytest.param(
        Request(
            method="GET",
            url=f"https://a.example/?key={SECRET}",
            headers=(("X-Key", SECRET),),
            body=SECRET.encode(),
        ),
        id="request",
    ),
    pytest.param(
        Response(status=200, headers=(("X-Echo", SECRET),), body=SECRET.encode()), id="response"
    ),
    pytest.param(aws_sigv4.Keys(access_key=SECRET, secret_key=SECRET), id="keys of AWS"),
    pytest.param(http_request.parse(f"https://a.example/?key={SECRET}"), id="origin"),
    pytest.param(make_redactor(), id="redactor"),
    pytest.param(Environment({"TOKEN": SECRET}), id="environment"),
    pytest.param(
        Settings(
            root="/",
            state_url=f"postgresql://u:{SECRET}@h/d",
            is_default_state=False,
            keys=(SECRET.encode(),),
            secrets=SecretPolicy(root="/", credentials_directory=""),
        ),
        id="settings",
    ),
]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_carrier_does_not_show_its_secret(carrier: object) -> None:
    assert SECRET not in f"{carrier!r} {carrier}"


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy], ids=["pickle", "copy"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_carrier_is_not_pickled_or_copied(
    carrier: object, take: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match="not pickled or copied"):
        take(carrier)


@pytest.mark.parametrize("carrier", [make_redactor(), Environment({"TOKEN": SECRET})], ids=type)
def test_carrier_cannot_be_unpacked(carrier: object) -> None:
    with pytest.raises(TypeError):
        vars(carrier)


def test_environment_is_a_mapping_of_names() -> None:
    environment = Environment({"A": "1", "B": "2"})
    assert (dict(environment), len(environment)) == ({"A": "1", "B": "2"}, 2)
    assert repr(environment) == "Environment(<2 variables>)"
