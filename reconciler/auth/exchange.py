"""What authentication talks in: our own request and response, and how a secret enters a request.

No HTTP library is named here, so that every client can run the same flow and a test needs no
network. A flow is a generator (the protocol of httpx's `Auth.auth_flow`): it yields the request to
send, is sent its response, and may yield another; when it returns, the last response stands.

A flow is pure: `flow(request, secrets, moment)` is given the time and its random numbers in a
`Moment`, one for each flow, made by whoever runs it. What it finds out of the ordinary it raises:
`SecretError` where a secret cannot be sent, `ConnectionFailed` where there is nothing to send it to
(no login is asked for in a form that it knows) or nothing to make it with (a library is missing).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Final, NoReturn, TypeAlias
from urllib.parse import quote, urlsplit

from reconciler.errors import SecretError
from reconciler.redact import Secret
from reconciler.values import dataclass

#: What no header value may hold: controls other than tab (RFC 9110, section 5.5).
_NOT_IN_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_LATIN_1: Final = re.compile(r"[^\x00-\xff]")
#: What no cookie value may hold (RFC 6265, section 4.1.1).
_NOT_IN_COOKIE: Final = re.compile(r'[\s",;\\]')
#: A request target that can be sent as it is: visible ASCII but `#`.
_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; authentication adds to `headers` and `url`, and may send others of its own.

    Each of them may then hold a secret, so none is printed.
    """

    method: str
    url: str = field(repr=False)
    #: in the order sent; names as written, repeated ones allowed
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: its length is sent by the transport; its type is one of `headers`
    body: bytes = field(default=b"", repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a request may hold a secret and is not pickled or copied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a flow may know of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: at most what the transport reads of a body
    body: bytes = field(default=b"", repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a response may repeat a secret and is not pickled or copied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a flow runs, and numbers that nobody can guess."""

    #: aware, UTC; when the flow began
    now: datetime
    #: a new text at each call: 128 random bits or more, letters, digits, `-` and `_` only
    nonce: Callable[[], str]


Flow: TypeAlias = Generator[Request, Response, None]
#: Secrets by the JSON pointer of their reference inside `spec`: `/auth/token`.
Secrets: TypeAlias = Mapping[str, Secret]


def target(url: str) -> str:
    """Returns path and query of `url` as they are sent (RFC 9112, section 3.2.1).

    The transport sends this very text, so that a signature made over it fits.
    """
    parts = urlsplit(url)
    written = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _TARGET.fullmatch(written):
        return written
    return quote(written, safe="/?:@!$&'()*+,;=%~-._[]")


def with_header(request: Request, name: str, value: str) -> Request:
    """Returns `request` with this one header of that name, whatever case it was written in."""
    others = tuple(header for header in request.headers if header[0].lower() != name.lower())
    return replace(request, headers=(*others, (name, value)))


def headers_named(response: Response, name: str) -> tuple[str, ...]:
    """Returns the values of every header of `response` called `name`, in lower case, in order."""
    return tuple(value for key, value in response.headers if key.lower() == name)


def header_value(secrets: Secrets, pointer: str) -> str:
    """Returns the secret at `pointer` as text that is safe in a header.

    HTTP libraries raise with the whole value in the text when it is not, so it is judged first.

    Raises:
        SecretError: it has a control character or one outside Latin-1, or was not resolved; names
            the pointer.
    """
    value = revealed(secrets, pointer)
    if _NOT_IN_HEADER.search(value):
        raise SecretError(
            f"the secret at {pointer} has a control character, which no header can carry",
            "a value with a line break is often a file with more than one line",
        )
    if _NOT_LATIN_1.search(value):
        raise SecretError(
            f"the secret at {pointer} has a character outside Latin-1, which no header can carry",
            "check that the reference names the secret and not something that describes it",
        )
    return value


def cookie_value(secrets: Secrets, pointer: str) -> str:
    """Returns the secret at `pointer` as text that is safe in a cookie.

    Raises:
        SecretError: it is not; names the pointer.
    """
    value = header_value(secrets, pointer)
    if _NOT_IN_COOKIE.search(value) or not value.isascii():
        raise SecretError(
            f"the secret at {pointer} has a character that no cookie can carry",
            "a cookie value is ASCII without space, comma, semicolon, quote and backslash",
        )
    return value


def revealed(secrets: Secrets, pointer: str) -> str:
    """Returns the value of the secret at `pointer`.

    Raises:
        SecretError: it was not resolved.
    """
    if pointer not in secrets:
        raise SecretError(f"the secret at {pointer} was not resolved")
    return secrets[pointer].reveal()
