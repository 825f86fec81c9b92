r"""Hosts and URLs, judged by one strict reading; what two parsers read differently is refused.

Pure, for the `checks` of every kind. Not `urllib.parse`, which drops tabs and line breaks, lets any
port through and splits `https://good.example\@evil.example` otherwise than browsers do; the split
is the expression of RFC 3986, appendix B, on text that was freed of every ambiguous character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from reconciler.redact import escape
from reconciler.values import dataclass

# What few manifests have is looked for with a text, which is compiled when one does.

#: Names of query parameters that carry credentials; case makes no difference.
_SECRET_PARAMETER: Final = (
    r"(?:x-)?(?:access|api|auth|private|refresh|secret|subscription|id|client)?[-_]?"
    r"(?:key|token|secret|auth|passw(?:or)?d|pass|pwd|credentials?)|authorization|jwt|sig(?:nature)?"
)

_URL: Final = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
#: Nearly every URL; what this accepts, the rules below accept too, at ten times the cost.
_ORDINARY_URL: Final = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?){0,5}"
    r"(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9._~/-]*)?"
)
_BRACKETED: Final = r"(\[[^\]]*\])(?::(.*))?"
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_UNSAFE: Final = r'[\x00-\x20\x7f\\"<>^`{|}]'
#: Full stops of other scripts, which the domain name rules map to "." (RFC 3490, section 3.1).
_FOREIGN_DOTS: Final = "[\u3002\uff0e\uff61]"
_LONGEST_HOST: Final = 253
_LAST_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with an address; holds nothing of it that could be a credential."""

    #: which rule, by the code of its diagnostic
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """The parts of a base URL that was found sound."""

    scheme: str
    #: lower case, an IPv6 address without brackets
    host: str
    port: int


def url_problem(text: str) -> Problem | None:
    """Returns the first thing wrong with `text` as a base URL, or None (E115, E116, E117, E305)."""
    return None if _ORDINARY_URL.fullmatch(text) else next(_url_problems(text), None)


def split_url(text: str) -> Url:
    """Returns the parts of a sound base URL."""
    match = _URL.fullmatch(text)
    assert match is not None
    scheme = match["scheme"].lower()
    host, port = _host_and_port(match["authority"])
    return Url(
        scheme=scheme,
        host=host.strip("[]").lower(),
        port=int(port) if port else _DEFAULT_PORTS[scheme],
    )


def host_problem(host: str) -> Problem | None:
    """Returns what is wrong with `host` as a name, an IPv4 or a bare IPv6 address, or None (E117).

    Names are those of RFC 1123, section 2.1, with underscores, as container networks have them.
    """
    if not host:
        return _host("the host is empty")
    if not host.isascii():
        return _foreign(host)
    if ":" in host:
        return None if _is_ipv6(host) else _host("the host is no valid IPv6 address")
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return _host(
            "the host is neither a name nor an address",
            "a name has letters, digits, `-`, `_` and dots only",
        )
    return None


def is_loopback(host: str) -> bool:
    """Returns whether `host` is written as this machine: nobody is on the way to it.

    Only the usual spellings; an unusual one costs a warning that is not needed, never a silence.
    """
    if host.lower().removesuffix(".") == "localhost":
        return True
    if ":" not in host and not host.startswith("127."):
        return False
    try:
        return (IPv6Address(host) if ":" in host else IPv4Address(host)).is_loopback
    except AddressValueError:
        return False


def is_address(host: str) -> bool:
    """Returns whether a sound `host` is an address and no name."""
    return ":" in host or host.replace(".", "").isdecimal()


def secret_parameter(query: str) -> str:
    """Returns the name of the first parameter of `query` that carries a credential, or `""`."""
    for parameter in re.split("[&;]", query) if query else ():
        name = parameter.partition("=")[0]
        if is_secret_name(name):
            return name
    return ""


def is_secret_name(name: str) -> bool:
    """Returns whether `name` says that its value is a credential: `api_key`, `Token`, `passwd`."""
    return re.fullmatch(_SECRET_PARAMETER, name, re.IGNORECASE) is not None


def _url_problems(text: str) -> Iterator[Problem]:
    # Credentials first: whatever else is wrong, this is what the author has to know.
    match = _URL.fullmatch(text)
    assert match is not None
    query = match["query"]
    name = secret_parameter(query) if query else ""
    if name:
        yield Problem(
            code="E305",
            message=f"the URL carries a credential in its parameter `{name}`",
            hint=f"use `auth: {{method: apiKey, in: query, name: {name}, value: {{env: NAME}}}}`",
        )
    if "@" in (match["authority"] or ""):
        yield Problem(
            code="E116",
            message="the URL has user info before its host",
            hint="use `auth: {method: basic, username: ..., password: {env: NAME}}`",
        )
    unsafe = re.search(_UNSAFE, text)
    if unsafe:
        yield Problem(
            code="E115",
            message=f"the URL has a `{_named(unsafe[0])}` at position {unsafe.start() + 1}",
            hint="in a path such a character is written with % and two hexadecimal digits",
        )
    scheme = (match["scheme"] or "").lower()
    if scheme not in _DEFAULT_PORTS or match["authority"] is None:
        yield Problem(
            code="E115",
            message="the URL does not begin with `https://` or `http://`",
            hint="write the whole URL, such as `https://api.example.com/v2`",
        )
    else:
        yield from _authority_problems(match["authority"])
    if not match["path"].isascii():
        yield Problem(
            code="E115",
            message="the path of the URL has a character outside ASCII",
            hint="write it with % and two hexadecimal digits for each byte of its UTF-8 form",
        )
    if query is not None:
        yield Problem(
            code="E116",
            message="the URL has a query",
            hint="a base URL has none; write what the check needs into `health.path`",
        )
    if match["fragment"] is not None:
        yield Problem(code="E115", message="the URL has a fragment", hint="remove `#` and the rest")


def _authority_problems(authority: str) -> Iterator[Problem]:
    host, port = _host_and_port(authority)
    if host.startswith("[") != (":" in host):
        yield _host("the host is no valid IPv6 address", "in a URL it stands in brackets: `[::1]`")
    problem = host_problem(host.removeprefix("[").removesuffix("]"))
    if problem:
        yield problem
    if port is not None and not _is_port(port):
        yield Problem(code="E115", message="the port of the URL is not a number from 1 to 65535")


def _host_and_port(authority: str) -> tuple[str, str | None]:
    """Returns the host, an IPv6 address in its brackets, and the port as written, if any."""
    bracketed = re.fullmatch(_BRACKETED, authority) if authority.startswith("[") else None
    if bracketed:
        return bracketed[1], bracketed[2]
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon else (authority, None)


def _is_port(text: str) -> bool:
    return bool(re.fullmatch("[1-9][0-9]{0,4}", text)) and int(text) <= _LAST_PORT


def _foreign(host: str) -> Problem:
    if re.search(_FOREIGN_DOTS, host):
        return _host("the host has a full stop of another script", "write it with `.`")
    try:
        ascii_form = host.encode("idna").decode("ascii")
    except UnicodeError:
        return _host("the host has a character outside ASCII", "write its ASCII form")
    return _host(
        f"the host has a character outside ASCII; its ASCII form is `{ascii_form}`",
        "write the ASCII form if that is the host you mean: letters of two scripts look alike",
    )


def _is_ipv6(host: str) -> bool:
    if "%" in host:  # a zone means something on one machine only
        return False
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def _host(message: str, hint: str = "") -> Problem:
    return Problem(code="E117", message=message, hint=hint)


def _named(character: str) -> str:
    return {"\t": r"\t", "\n": r"\n", "\r": r"\r", " ": "space"}.get(character, escape(character))
