"""`query` and `request`: one statement or one request over a stored connection.

For a person who wants to look, or a script: both send what `reconciler.connect` would, and neither
changes anything at the other end unless it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import click

from reconciler import connecting, report
from reconciler.cli import completing
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.cli.workbench import output_option
from reconciler.clients.http_response import Answer
from reconciler.connecting.credentials import Ground
from reconciler.errors import ConfigError, Held
from reconciler.kinds import api as api_kind
from reconciler.kinds import sql as sql_kind
from reconciler.model import Ref
from reconciler.redact import escape
from reconciler.report import formats, layout, views

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Rows are held in memory, and nobody reads more.
_MOST_ROWS = 100_000
#: A body is held in memory; a file of this size can be sent.
_MOST_BYTES = 16 * 1024 * 1024
_READING = ("GET", "HEAD", "OPTIONS")
#: Headers by which servers take another method than the request's; some read `_` as `-`.
_OVERRIDES = frozenset({
    "x-http-method-override", "x-http-method", "x-method-override", "x-original-method",
})  # fmt: skip
_METHODS = (*_READING, "POST", "PUT", "PATCH", "DELETE")
#: The first status that says that something is wrong (RFC 9110, section 15).
_FIRST_ERROR = 400
_FIRST_REDIRECT = 300
_UNHEALTHY = 11
#: What `header_problem` says -> what to do.
_HEADER_HINTS = {
    "carries a credential": (
        "a credential is sent by the manifest's `auth`, and never stands on a command line"
    ),
    "is set by the transport": "leave it out",
    "has a character that none can carry": "write its value on one line, in ASCII",
}

_name = click.argument("name", shell_complete=completing.connections)


def _even_suspended() -> Callable[[_Function], _Function]:
    return click.option(
        "--even-suspended", is_flag=True, help="Also where it is suspended or archived."
    )


@command(
    "query",
    examples=(
        'reconciler query hr/orders "select id, state from orders" --limit 5',
        'reconciler query hr/orders "select * from orders" -o csv',
    ),
)
@_name
@click.argument("statement")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST_ROWS),
    default=20,
    show_default=True,
    help="Rows that are fetched.",
)
@_even_suspended()
@output_option(tuple(formats.QUERY))
@click.pass_obj
def query(
    session: Session, *, name: str, statement: str, limit: int, even_suspended: bool, format_: str
) -> int:
    """Run one statement that reads, and show its first rows.

    It runs read-only and ends after `timeout.query`. STATEMENT begins with SELECT, VALUES, SHOW or
    WITH; `reconciler.connect` is for everything else.
    """
    statement = statement.strip().removesuffix(";").rstrip()
    problem = sql_kind.query_problem(statement).partition(":")[0]
    if problem:
        raise ConfigError(f"the statement {problem}", _hint_of_statement(problem))
    with _opened(session, name, even_suspended=even_suspended) as connection:
        _require(connection.ref, "SqlConnection", "an API", "reconciler request")
        found = connection.database.read(statement, limit)
    view = views.QueryView(columns=found.columns, rows=found.rows, is_cut=found.is_cut)
    session.output.data(report.formatter(formats.QUERY, format_)(view, session.output.style))
    if found.is_cut and format_ != "table":
        session.output.say(f"there are more rows than {limit}: --limit\n")
    return 0


@command(
    "request",
    examples=(
        "reconciler request sales/crm GET /customers?page=2",
        "reconciler request sales/crm POST /customers --write --data @new.json",
    ),
)
@_name
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path", default="")
@click.option(
    "-H",
    "--header",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    help="One more header; never a credential.",
)
@click.option("--data", metavar="@FILE|-", help="A file to send as body, or standard input.")
@click.option(
    "--write",
    is_flag=True,
    help="Allow a body, and methods other than GET, HEAD and OPTIONS.",
)
@click.option("--allow-errors", is_flag=True, help="Exit 0 even where the status is 400 or more.")
@_even_suspended()
@output_option(tuple(formats.REQUEST))
@click.pass_obj
def request(
    session: Session,
    *,
    name: str,
    method: str,
    path: str,
    headers: tuple[str, ...],
    data: str | None,
    write: bool,
    allow_errors: bool,
    even_suspended: bool,
    format_: str,
) -> int:
    """Send one request and show the answer; PATH is appended to `baseUrl`."""
    method = method.upper()
    if method not in _READING and not write:
        raise ConfigError(f"{method} may change something at the server", "say --write")
    problem = api_kind.path_problem(path)
    if problem:
        raise ConfigError(f"the path {problem}", "write it as `health.path`: `/customers?page=2`")
    given = [_header(text) for text in headers]
    if not write:
        _refuse_writing(given, has_body=data is not None)
    body = _body(session, data)
    with _opened(session, name, even_suspended=even_suspended) as connection:
        _require(connection.ref, "ApiConnection", "a database", "reconciler query")
        answer = connection.api.ask(method, path, given, body)
    _show(session, answer, format_)
    return _UNHEALTHY if answer.status >= _FIRST_ERROR and not allow_errors else 0


def _refuse_writing(headers: Sequence[tuple[str, str]], *, has_body: bool) -> None:
    """Refuses what makes another method of one that reads, or goes with such a method alone.

    Raises:
        ConfigError: --write is needed.
    """
    for name, _ in headers:
        if name.lower().replace("_", "-") in _OVERRIDES:
            raise ConfigError(
                f"with the header `{name}` the request may change something at the server",
                "say --write",
            )
    if has_body:
        raise ConfigError("a request with a body may change something at the server", "say --write")


def _show(session: Session, answer: Answer, format_: str) -> None:
    view = views.RequestView(status=answer.status, headers=answer.text_headers(), body=answer.body)
    session.output.data(report.formatter(formats.REQUEST, format_)(view, session.output.style))
    if format_ != "body":
        return
    if answer.status >= _FIRST_ERROR:
        session.output.problem(f"the server answers {answer.status}")
    elif answer.status >= _FIRST_REDIRECT:
        session.output.say(_redirect(answer) + "\n")


def _redirect(answer: Answer) -> str:
    """Returns what an answer says that is no result and no error: mostly, to ask elsewhere."""
    names = {status.value: status.phrase for status in HTTPStatus}
    status = f"{answer.status} {names.get(answer.status, '')}".rstrip()
    places = (value for name, value in answer.text_headers() if name.lower() == "location")
    place = next(places, "")
    return f"{status}, location: {layout.one_line(place)}; not followed" if place else status


def _hint_of_statement(problem: str) -> str:
    """Returns what to do about a statement that is refused; nobody here parses SQL."""
    way_out = "`reconciler.connect` in a program runs any statement"
    if problem.startswith("has "):
        return f"what stands in a text, a name or a comment counts too; {way_out}"
    return way_out


def _require(ref: Ref, kind: str, what: str, instead: str) -> None:
    """Checks the kind of a connection.

    Raises:
        ConfigError: it is `what`, for which another command is made.
    """
    if ref.kind != kind:
        raise ConfigError(f"`{ref}` is {what}", f"use `{instead} {ref}`")


@contextmanager
def _opened(
    session: Session, name: str, *, even_suspended: bool
) -> Iterator[connecting.Connection]:
    ground = Ground(
        settings=session.settings,
        environment=session.environment,
        redactor=session.redactor,
        clock=session.now,
    )
    try:
        opened = connecting.open_connection(ground, name, even_suspended=even_suspended)
    except Held as held:
        raise Held(held.message, f"{held.hint}; --even-suspended does it all the same") from None
    with opened as connection:
        yield connection


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError("a header is written as `NAME: VALUE`")
    name, value = name.strip(), value.strip()
    problem = api_kind.header_problem(name, value)
    if problem:
        raise ConfigError(f"the header `{escape(name)}` {problem}", _HEADER_HINTS[problem])
    return name, value


def _body(session: Session, data: str | None) -> bytes:
    """Returns the body to send.

    Raises:
        ConfigError: it is not named as a file, cannot be read, or is too large.
    """
    if data is None:
        return b""
    if data == "-":
        if session.stdin is None:
            raise ConfigError("there is no standard input")
        body = session.stdin.read(_MOST_BYTES + 1)
    elif data.startswith("@"):
        try:
            with open(data[1:], "rb") as file:
                body = file.read(_MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name holds a NUL"
            raise ConfigError(f"the file of --data cannot be read: {reason.lower()}") from None
    else:
        raise ConfigError(
            "--data is `@FILE`, or `-` for standard input",
            "what stands on a command line, every user of the machine can read",
        )
    if len(body) > _MOST_BYTES:
        raise ConfigError(f"the body is larger than {_MOST_BYTES} bytes")
    return body
