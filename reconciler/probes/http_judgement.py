"""What an HTTP answer says about a connection: a pure function over status, headers and body.

Between `probes/http.py`, which asks, and the `Observation`. Separate because these rules decide
whether an account counts a failed login, and are tested without a network. Nothing that the server
wrote gets into a message: bodies and headers may echo the credential that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

from reconciler.clients import http_request, http_response
from reconciler.model import Json, Reason, StageName, parse_pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with an answer, or that nothing is; without `message`, the status says it."""

    reason: Reason = Reason.OK
    stage: StageName = StageName.QUERY
    message: str = ""
    hint: str = ""


_AUTH_STATUSES = frozenset({401, 407})
_CREDENTIAL_HINT = "check the secret; a changed one is tried at the next `apply`"
_ANONYMOUS_HINT = "say how to authenticate: `auth: {method: bearer, token: {env: NAME}}`"
#: Status -> what it means when it is not expected (RFC 9110, section 15; RFC 6585 for 429).
_UNEXPECTED = {
    403: Verdict(
        reason=Reason.PERMISSION_DENIED,
        hint="grant the account access, or check another one: `health: {path: /...}`",
    ),
    429: Verdict(
        reason=Reason.RATE_LIMITED,
        hint="check less often: `health: {interval: 15m}`",
    ),
    404: Verdict(
        reason=Reason.ASSERTION_FAILED,
        hint="name one that does: `health: {path: /...}`; it is appended to baseUrl",
    ),
    405: Verdict(
        reason=Reason.ASSERTION_FAILED,
        hint="name another: `health: {method: GET}`",
    ),
}
_SERVER_ERROR = Verdict(reason=Reason.SERVER_ERROR)
#: A good answer to a method that waits to be asked: it says nothing about the credential, and as a
#: success it would forgive the failed logins of another connection with the same one.
UNTRIED = Verdict(
    reason=Reason.ASSERTION_FAILED,
    stage=StageName.AUTH,
    message="the server asks for no login there, so the credential was not tried",
    hint="check what needs it: `health: {path: /...}`; if nothing does: `auth: {method: none}`",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a good answer looks like; `health.expect` of the spec."""

    #: codes and ranges of them, `204` or `"200-299"`
    status: Sequence[int | str]
    #: JSON pointer -> the value that must be there
    json: Mapping[str, Json]
    #: what the body must contain, or empty
    text: str


def judge(
    answer: http_response.Answer,
    expect: Expectation,
    *,
    request_url: str,
    is_anonymous: bool,
    refusal: str = "",
) -> Verdict:
    """Returns what `answer` to `request_url` says about the connection.

    With a credential, 401 and 407 are failed logins even where `expect.status` lists them: what
    counts as a login is the server's to say, and a success would forgive the failures before it.
    `refusal` is that of `auth.refusal`.
    """
    status = answer.status
    phrase = _phrase(status)
    is_expected = any(low <= status <= high for low, high in map(_range, expect.status))
    if status in _AUTH_STATUSES and not (is_anonymous and is_expected):
        return Verdict(
            reason=Reason.AUTH_FAILED,
            stage=StageName.AUTH,
            message=f"{phrase}: "
            + ("a credential is asked for" if is_anonymous else "the credential is refused"),
            hint=_ANONYMOUS_HINT if is_anonymous else _CREDENTIAL_HINT,
        )
    if refusal:
        return Verdict(
            reason=Reason.AUTH_FAILED,
            stage=StageName.AUTH,
            message=f"{phrase}: {refusal}",
            hint=_CREDENTIAL_HINT,
        )
    if not is_expected:
        meaning = _meaning(status, request_url, answer)
        return Verdict(
            reason=meaning.reason,
            message=f"{phrase}: {meaning.message}" if meaning.message else phrase,
            hint=meaning.hint,
        )
    return _judge_body(expect, answer) or Verdict(message=phrase)


def _meaning(status: int, request_url: str, answer: http_response.Answer) -> Verdict:
    if status in _UNEXPECTED:
        return _UNEXPECTED[status]
    match status // 100:
        case 3:
            return _redirect(request_url, answer.header("location"))
        case 5:
            return _SERVER_ERROR
        case _:
            return Verdict(
                reason=Reason.ASSERTION_FAILED,
                message="not a status that `health.expect.status` lists",
                hint=f"if it is good, list it: `health: {{expect: {{status: [{status}]}}}}`",
            )


def _redirect(request_url: str, location: str) -> Verdict:
    """Returns where a redirect leads, in our words: the server's own may hold a token."""
    here = http_request.parse(request_url)
    hint = "put the final address into baseUrl, or list the status in `health.expect.status`"
    try:
        there = urlsplit(urljoin(request_url, location))
        port = there.port
    except ValueError:
        there, port = urlsplit(""), None
    if not location or not there.hostname:
        where = "nowhere"
    elif (here.scheme, there.scheme) == ("https", "http"):
        where = "from https to http, where anybody on the way can read along"
    elif there.hostname != here.host:
        where = "to another host"
    elif (here.scheme, there.scheme) == ("http", "https"):
        where, hint = "to https", "write `https://` in baseUrl"
    elif (port or here.port) != here.port:
        where = "to another port"
    else:
        where = "to another path"
    return Verdict(
        reason=Reason.REDIRECT_REFUSED,
        message=f"redirects {where}; this is not followed",
        hint=hint,
    )


def _judge_body(expect: Expectation, answer: http_response.Answer) -> Verdict | None:
    if not (expect.json or expect.text):
        return None
    phrase = _phrase(answer.status)
    if answer.is_compressed:
        return Verdict(
            reason=Reason.PROTOCOL_ERROR,
            message=f"{phrase}: the server compresses the body, which was not asked for",
        )
    has_text = expect.text.encode() in answer.body
    if answer.is_cut and (expect.json or not has_text):
        return Verdict(
            reason=Reason.BODY_TOO_LARGE,
            message=f"{phrase}: the body is larger than {len(answer.body)} bytes",
            hint="name a path with a small answer: `health: {path: /...}`",
        )
    if not has_text:
        return _unmet(phrase, "the body does not contain `health.expect.text`")
    complaint = _json_complaint(expect.json, answer.body) if expect.json else ""
    return _unmet(phrase, complaint) if complaint else None


def _unmet(phrase: str, complaint: str) -> Verdict:
    return Verdict(reason=Reason.ASSERTION_FAILED, message=f"{phrase}: {complaint}")


def _json_complaint(wanted: Mapping[str, Json], body: bytes) -> str:
    try:
        data = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # also not UTF-8, or a number of 5000 digits
        return "the body is not JSON"
    for pointer, value in wanted.items():
        where = f"`{pointer}`" if pointer else "the document"
        try:
            found = _look_up(data, pointer)
        except LookupError:
            return f"the body has no {where}"
        if not _is_equal(found, value):
            return f"{where} in the body is not what `health.expect.json` says"
    return ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _look_up(data: Json, pointer: str) -> Json:
    """Returns the value at `pointer` (RFC 6901, section 4); raises LookupError."""
    for part in parse_pointer(pointer):
        if isinstance(data, list):
            if not (part.isascii() and part.isdigit()) or (part[0] == "0" and part != "0"):
                raise LookupError
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data[part]
        else:
            raise LookupError  # noqa: TRY004 -- a scalar has no members: nothing is there
    return data


def _is_equal(found: Json, wanted: Json) -> bool:
    """Whether two JSON values are equal; in Python alone, `True == 1`."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            _is_equal(found[key], wanted[key]) for key in wanted
        )
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_is_equal, found, wanted))
    return bool(found == wanted)


@lru_cache(maxsize=1024)
def _range(entry: int | str) -> tuple[int, int]:
    low, _, high = str(entry).partition("-")
    return int(low), int(high or low)


@lru_cache(maxsize=1024)
def _phrase(status: int) -> str:
    """Returns `404 Not Found`, the words from the registry and never from the server.

    A status that is not registered is `HTTP 599`, for it has to say by itself what it is.
    """
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
