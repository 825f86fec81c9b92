from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import addresses
from reconciler.kinds.addresses import Problem, Url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.example.com/v2", Url(scheme="https", host="api.example.com", port=443)),
        ("HTTP://API.example.com", Url(scheme="http", host="api.example.com", port=80)),
        ("http://127.0.0.1:8461/", Url(scheme="http", host="127.0.0.1", port=8461)),
        ("https://[2001:DB8::1]:8443/a", Url(scheme="https", host="2001:db8::1", port=8443)),
        ("https://[::1]", Url(scheme="https", host="::1", port=443)),
        (
            "https://my_service.local./x%20y",
            Url(scheme="https", host="my_service.local.", port=443),
        ),
    ],
)
def test_a_sound_url_is_split(text: str, url: Url) -> None:
    assert addresses.url_problem(text) is None
    assert addresses.split_url(text) == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("127.0.0.1:80/x", "E115", id="no-scheme"),
        pytest.param("//api.example.com", "E115", id="no-scheme-but-slashes"),
        pytest.param("https:/api.example.com", "E115", id="one-slash"),
        pytest.param("ftp://api.example.com", "E115", id="ftp"),
        pytest.param("file:///etc/hosts", "E115", id="file"),
        pytest.param("gopher://api.example.com", "E115", id="gopher"),
        pytest.param("javascript:alert(1)", "E115", id="javascript"),
        pytest.param("https://", "E117", id="no-host"),
        pytest.param("https:///path", "E117", id="no-host-but-path"),
        pytest.param("https://:443", "E117", id="no-host-but-port"),
        pytest.param("https://api.example.com:99999/", "E115", id="port-too-large"),
        pytest.param("https://api.example.com:0", "E115", id="port-zero"),
        pytest.param("https://api.example.com:abc", "E115", id="port-of-letters"),
        pytest.param("https://api.example.com:", "E115", id="port-empty"),
        pytest.param("https://api.example.com:\u0664\u0664", "E115", id="port-of-arabic-digits"),
        pytest.param("https://api.example.com\r\nX: y", "E115", id="line-break"),
        pytest.param("https://api.example.com/a\tb", "E115", id="tab"),
        pytest.param("https://api.example.com/a\0b", "E115", id="nul"),
        pytest.param("https://api.example.com/a b", "E115", id="space"),
        pytest.param("https://api.example.com\\x", "E115", id="backslash"),
        pytest.param("https://api.example.com/\u00e9", "E115", id="path-outside-ascii"),
        pytest.param("https://api.example.com/#part", "E115", id="fragment"),
        pytest.param("https://good.example#@evil.example", "E115", id="fragment-before-at"),
        pytest.param("https://good.example\\@evil.example", "E116", id="backslash-before-at"),
        pytest.param("https://user:hunter2@api.example.com", "E116", id="user-info"),
        pytest.param("https://api.example.com/?page=1", "E116", id="query"),
        pytest.param("https://api.example.com?", "E116", id="empty-query"),
        pytest.param("https://api.example.com/?api_key=hunter2", "E305", id="secret-parameter"),
        pytest.param("https://u:p@api.example.com/?a=1&Token=x", "E305", id="secret-comes-first"),
        pytest.param("ftp://h/?x-api-key=hunter2", "E305", id="secret-whatever-the-scheme"),
        pytest.param("https://b\u00fccher.example", "E117", id="foreign-letter"),
        pytest.param("https://127\u30020\u30020\u30021/", "E117", id="foreign-dots"),
        pytest.param("https://[::g]", "E117", id="not-an-ipv6-address"),
        pytest.param("https://[fe80::1%25eth0]", "E117", id="ipv6-zone"),
        pytest.param("https://[::1", "E117", id="open-bracket"),
        pytest.param("https://::1/", "E117", id="ipv6-without-brackets"),
        pytest.param("https://a..b", "E117", id="empty-label"),
        pytest.param("https://-a.example", "E117", id="label-begins-with-hyphen"),
        pytest.param(f"https://{'a' * 64}.example", "E117", id="label-too-long"),
        pytest.param(f"https://{'a.' * 130}example", "E117", id="name-too-long"),
    ],
)
def test_an_unsound_url_is_refused_and_never_repeated(text: str, code: str) -> None:
    problem = addresses.url_problem(text)
    assert problem is not None
    assert problem.code == code
    assert "hunter2" not in problem.message + problem.hint


def test_a_foreign_host_is_shown_as_it_is_looked_up() -> None:
    assert addresses.url_problem("https://p\u0430ypal.example") == Problem(
        code="E117",
        message="the host has a character outside ASCII; its ASCII form is `xn--pypal-4ve.example`",
        hint="write the ASCII form if that is the host you mean: letters of two scripts look alike",
    )


def test_a_foreign_host_without_an_ascii_form_is_refused_too() -> None:
    assert addresses.host_problem("\u00fc" * 70) == Problem(
        code="E117",
        message="the host has a character outside ASCII",
        hint="write its ASCII form",
    )


def test_an_unsafe_character_is_named_with_its_position() -> None:
    assert addresses.url_problem("https://h/a\x1bb") == Problem(
        code="E115",
        message=r"the URL has a `\x1b` at position 12",
        hint="in a path such a character is written with % and two hexadecimal digits",
    )


@given(
    st.sampled_from(["http", "https"]),
    st.lists(st.from_regex(r"\A[a-z0-9-]{1,4}\Z"), max_size=7).map(".".join),
    st.sampled_from(["", ":80", ":0", ":65536", ":"]),
    st.sampled_from(["", "/", "/a-b/c~d", "/a?b", "/a b", "#"]),
)
def test_the_short_cut_accepts_only_what_the_rules_accept(
    scheme: str, host: str, port: str, path: str
) -> None:
    # no URL with an upper-case scheme is ordinary, so the rules judge that one
    text = f"{scheme}://{host}{port}{path}"
    by_rules = addresses.url_problem(text.replace(scheme, scheme.upper(), 1))
    assert (addresses.url_problem(text) is None) == (by_rules is None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("127.example.com", False),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_told_by_its_usual_spellings(host: str, expected: bool) -> None:
    assert addresses.is_loopback(host) is expected


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("a=1&api_key=x", "api_key"),
        ("a=1;access_token=x", "access_token"),
        ("ApiKey", "ApiKey"),
        ("client_secret=", "client_secret"),
        ("password=x", "password"),
        ("sig=x", "sig"),
        ("monkey=1&tokens=2&code=3&author=4", ""),
        ("", ""),
    ],
)
def test_parameters_that_carry_credentials_are_known(query: str, name: str) -> None:
    assert addresses.secret_parameter(query) == name


@pytest.mark.parametrize(
    ("host", "is_address"),
    [("10.0.0.7", True), ("::1", True), ("db-7.internal", False), ("db7", False), ("", False)],
)
def test_an_address_is_told_from_a_name(host: str, is_address: bool) -> None:
    assert addresses.is_address(host) is is_address
