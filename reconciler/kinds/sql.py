"""`SqlConnection`, as the pure stages know it: what its schema cannot say, and where it connects.

Free of pydantic; the model is named, not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from reconciler import kinds
from reconciler.kinds import addresses, hops, limits, sql_access
from reconciler.kinds.engine_traits import Engine
from reconciler.kinds.engines import ENGINES
from reconciler.model import Endpoint, JsonObject


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


#: Pattern that a health query must not match -> why. The words that change something inside a WITH
#: or behind a SELECT (`into`, `for update`) are looked for everywhere, in literals too: a reader of
#: quotes can be tricked, and a check has no need of them.
_QUERY_RULES: Final = (
    (
        _rule(r"\A(?!\s*(?:select|values|show|with)\b)"),
        "does not begin with SELECT, VALUES, SHOW or WITH",
    ),
    (_rule(";"), "has a `;`: it is one statement"),
    (_rule(r"/\*"), "has a comment in `/* */`, which some servers execute"),
    (_rule(r"\x00"), "has a NUL character"),
    (
        _rule(r"\b(?:insert|update|delete|merge|into)\b"),
        "has the word INSERT, UPDATE, DELETE, MERGE or INTO: a check changes nothing",
    ),
)
_WORD_END: Final = re.compile(r"\W")
#: Pattern that the path of a database file must not match -> why, and what to do.
_FILE_RULES: Final = (
    (_rule(r"\A:"), "a database in memory is empty whenever it is opened", "name a file"),
    (
        _rule(r"\A[a-z][a-z0-9+.-]*:|\?"),
        "the database is a URL",
        "write the path of the file alone, relative to the project root",
    ),
    (_rule(r"[\x00-\x1f\x7f]"), "the path has a control character", "write a path without it"),
    (
        _rule(r"\A[/~]|(?:\A|/)\.\.(?:/|\Z)"),
        "the file is outside the project root",
        "write a path relative to the project root",
    ),
    (_rule(r"(?:\A|/)\.reconciler(?:/|\Z)"), "the file belongs to this tool", "name another file"),
    (_rule(r"/\Z|(?:\A|/)\.\Z"), "the path names a folder", "name the file in it"),
)
#: Pattern of a wrong host -> what it is, and what to do; where none fits, its first problem stands.
_HOST_RULES: Final = (
    (_rule(r"://|@"), "the host is a URL", "write host, port, database and auth as fields"),
    (_rule("/"), "the host is a path", "a socket in the file system is `socket: PATH`"),
    (
        _rule(r"\\"),
        "the host names an instance of SQL Server",
        "write the TCP port of the instance into `port`, and the host alone",
    ),
    (_rule(","), "the host is a list", "write one manifest for each host"),
)
#: Whether the driver speaks TLS over a socket -> modes that can be written beside one. libpq does
#: not ("SSL Support"). The default, `verify-full`, means none here: there is no host whose name a
#: certificate could bear, and whoever may serve the socket is decided by the file system.
_SOCKET_TLS: Final = {
    True: (None, "verify-full", "disable", "require", "verify-ca"),
    False: (None, "verify-full", "disable"),
}
#: `host:port`, and the `tcp:host,port` of SQL Server's connection strings.
_WITH_PORT: Final = re.compile(r"(?:tcp:)?[^:,/@\s]+[:,]([0-9]{1,5})")


def checks(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with a `spec` that is valid by the schema; nothing repeats a value."""
    if ENGINES[spec["engine"]].is_file:
        yield from _file_findings(spec["database"])
    else:
        yield from _server_findings(spec)
        yield from hops.findings(spec)
    query = spec.get("health", {}).get("query")
    if query is not None:
        yield from _query_findings(query, ENGINES[spec["engine"]])
    yield from limits.duration_findings(spec)


def endpoint(spec: JsonObject) -> Endpoint:
    """Returns where, how and as whom a normal `spec` connects."""
    engine = spec["engine"]
    if ENGINES[engine].is_file:
        return Endpoint(
            scheme=engine, host="", port=None, text=f"{engine}:{spec['database']}", method="none"
        )
    auth, socket = spec["auth"], spec.get("socket", "")
    host = "" if socket else spec.get("host", "")
    port = None if socket else spec["port"]
    username = auth.get("username", "")
    login = f"{username}@" if username else ""
    place = socket or f"{f'[{host}]' if ':' in host else host}:{port}"
    return Endpoint(
        scheme=engine,
        host=host.lower(),
        port=port,
        text=f"{engine}://{login}{place}/{spec['database']}",
        method=auth["method"],
        username=username,
        socket=socket,
        via=hops.via(spec),
    )


def _server_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    wrong = tuple(sql_access.findings(spec))
    yield from wrong
    engine = ENGINES[spec["engine"]]
    if engine.database_form and not re.fullmatch(engine.database_form, spec["database"]):
        yield kinds.Finding(
            code="E109",
            path=("database",),
            message="`spec.database` has the wrong form",
            hint=engine.database_words,
        )
    if "socket" in spec:
        yield from _socket_findings(spec)
    elif "host" not in spec:
        yield kinds.Finding(
            code="E103",
            path=("host",),
            message="`host` is required",
            hint="name the server, or its `socket` in the file system",
        )
    else:
        host = tuple(_host_findings(spec["host"]))
        yield from host
        if not (host or wrong or addresses.is_loopback(spec["host"])):
            yield from _warnings(spec)


def _socket_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what does not go with `socket`; its path itself is judged by `hops.findings`."""
    engine = ENGINES[spec["engine"]]
    # Defaults may stand there: a manifest that this tool prints has all of them.
    for field, default in (("host", None), ("port", engine.default_port)):
        if spec.get(field, default) != default:
            yield kinds.Finding(
                code="E141",
                path=(field,),
                message=f"`{field}` and `socket` exclude each other",
                hint="keep one of them",
            )
    if not engine.has_socket:
        names = ", ".join(f"`{name}`" for name, row in ENGINES.items() if row.has_socket)
        yield kinds.Finding(
            code="E113",
            path=("socket",),
            message=f"`socket` belongs to engine {names}",
            hint="use `host` and `port`",
        )
    elif not re.search(engine.socket_form, spec["socket"]):
        yield kinds.Finding(
            code="E142",
            path=("socket",),
            message="a socket of PostgreSQL is called `.s.PGSQL.` and a port",
            hint="write its whole path, such as `/run/postgresql/.s.PGSQL.5432`",
        )
    mode = spec.get("tls", {}).get("mode")
    if mode not in _SOCKET_TLS[engine.has_socket_tls]:
        yield kinds.Finding(
            code="E141",
            path=("tls", "mode"),
            message="this TLS mode and `socket` exclude each other",
            hint="remove `tls`: whoever may serve the socket is decided by the file system",
        )


def _host_findings(host: str) -> Iterator[kinds.Finding]:
    problem = addresses.host_problem(host)
    if problem is None:
        return
    message, hint = problem.message, problem.hint
    with_port = _WITH_PORT.fullmatch(host)
    if with_port:
        message, hint = "the host has a port behind it", f"write `port: {with_port[1]}`"
    else:
        better = (rule[1:] for rule in _HOST_RULES if rule[0].search(host))
        message, hint = next(better, (message, hint))
    yield kinds.Finding(code="E117", path=("host",), message=message, hint=hint)


def _file_findings(database: str) -> Iterator[kinds.Finding]:
    for pattern, message, hint in _FILE_RULES:
        if pattern.search(database):
            yield kinds.Finding(code="E120", path=("database",), message=message, hint=hint)
            return


def query_problem(query: str) -> str:
    """Returns why `query` is not one statement that only reads, as a predicate, or `""`."""
    return next((why for pattern, why in _QUERY_RULES if pattern.search(query)), "")


def word_problem(query: str, words: tuple[str, ...]) -> str:
    """Returns which of an engine's `query_words` stands in `query`, as a predicate, or `""`.

    A word may begin right behind a number (`1exec`), and is found in literals and comments too.
    """
    found = _words(words).search(query) if words else None
    if not found:
        return ""
    return f"has the word {_WORD_END.split(found[1])[0].upper()}: a check changes nothing"


@lru_cache
def _words(words: tuple[str, ...]) -> re.Pattern[str]:
    number = r"(?<![\w@#])(?:0x[0-9a-f]*|[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]*)?)"
    return _rule(rf"(?:(?<![\w@#$])|{number})({'|'.join(words)})(?![\w@#$])")


def _query_findings(query: str, engine: Engine) -> Iterator[kinds.Finding]:
    why = query_problem(query) or word_problem(query, engine.query_words)
    if why:
        yield kinds.Finding(
            code="E119",
            path=("health", "query"),
            message=f"the query {why}",
            hint=f"a check such as `{engine.query}` reads one row",
        )


def _warnings(spec: JsonObject) -> Iterator[kinds.Finding]:
    if not ENGINES[spec["engine"]].has_tls:
        return
    mode = spec.get("tls", {}).get("mode")
    if mode == "disable" and spec.get("auth", {}).get("method", "none") != "none":
        yield kinds.Finding(
            code="W202",
            path=("tls", "mode"),
            message="a credential is sent over an unencrypted connection",
            hint="use `mode: verify-full`",
        )
    elif mode in ("disable", "require"):
        yield kinds.Finding(
            code="W201",
            path=("tls", "mode"),
            message="the server's certificate is not verified: anybody on the way can pose as it",
            hint="use `mode: verify-full`, with `ca` where the authority is your own",
        )


KIND: Final = kinds.Kind(
    name="SqlConnection",
    alias="sql",
    access_fields=(
        frozenset({"engine", "host", "port", "database", "auth", "tls", "options"})
        | hops.ACCESS_FIELDS
    ),
    model="reconciler.kinds.sql_spec:SqlConnection",
    checks=checks,
    endpoint=endpoint,
)
