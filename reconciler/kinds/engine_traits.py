"""What a row of the engine catalogue is made of, and the parts that several rows share.

Apart from `engines`, so that the table reads as a table; what `spec.options` may hold is in
`engine_options`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from reconciler.model import Json, JsonObject
from reconciler.values import dataclass

#: What an option's value may be.
Value: TypeAlias = str | bool
#: JSON Schema type of an option -> Python's
_TYPES: Final = {"string": str, "boolean": bool}


class Tested(Enum):
    """How far the tests of this project have tried an engine."""

    #: the database itself
    REAL = "real server"
    #: something that speaks its protocol
    PEER = "protocol peer"
    NOT = "not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key that `spec.options` may have."""

    #: camelCase, as all fields of manifests
    name: str
    #: what the driver calls it
    parameter: str
    #: JSON Schema of the value; one plain type, never a union
    schema: JsonObject
    #: how text is handed to the driver; `{}` is the value
    form: str = "{}"
    is_required: bool = False

    def accepts(self, given: Json) -> bool:
        """Returns whether `given` fits `schema`: what a validator of JSON Schema would say."""
        kind: str = self.schema["type"]
        if not isinstance(given, _TYPES[kind]) or isinstance(given, bool) != (kind == "boolean"):
            return False
        if "enum" in self.schema:
            return given in self.schema["enum"]
        return re.search(self.schema.get("pattern", ""), str(given)) is not None

    def value(self, given: Value) -> Value:
        """Returns `given` as the driver takes it."""
        return self.form.format(given) if isinstance(given, str) else given


#: Of a server that speaks a protocol of its own.
USUAL_METHODS: Final = ("none", "password", "ldap", "clientCertificate")
#: What Amazon RDS has as well takes its tokens.
RDS_METHODS: Final = (*USUAL_METHODS, "awsIam")
PASSWORD_METHODS: Final = ("none", "password", "ldap")
#: Where a password is sent as it is whoever checks it, there is nothing that `ldap` could add.
HTTP_METHODS: Final = ("none", "password", "clientCertificate")
#: `auth.SqlHeaderAuth`: every request carries the credential in a header.
HEADER_METHODS: Final = ("accessToken", "keyPair", "serviceAccount")
#: What is sent is made for each login (`clients.sql_token`).
MADE_METHODS: Final = (*HEADER_METHODS, "awsIam")
#: Modes of `tls` in which a server must prove who it is.
VERIFIED_MODES: Final = ("verify-full", "verify-ca")
#: Method -> what of it is sent as it is, so that only a verified server may have it.
SENT_AS_IS: Final[Mapping[str, str]] = {
    "ldap": "the password",
    **dict.fromkeys(MADE_METHODS, "its token"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One SQL engine, as users name it in `spec.engine`."""

    name: str
    #: as its makers write it
    title: str
    #: what people and other systems call it, in lower case
    aliases: tuple[str, ...]
    #: what speaks to it, a key of the driver table in `clients`
    driver: str
    #: the driver's name as people know it
    library: str
    #: extra of this package that installs the driver; empty when Python brings it
    extra: str
    #: TCP port when the manifest names none; None for a database in a file, which has no server
    default_port: int | None
    #: SQLAlchemy's dialect and driver; empty where there is none: checked, not given to programs
    dialect: str
    #: what `database` must look like where its driver or server would read more into it; or empty
    database_form: str = ""
    #: in words, beside it
    database_words: str = ""
    #: `health.query` where the manifest has none; reads one row and needs no permission
    query: str = "select 1"
    #: words that a query must not have, beside those that no engine's may
    query_words: tuple[str, ...] = ()
    #: values of `auth.method`; empty for a file
    methods: tuple[str, ...] = USUAL_METHODS
    #: what `spec.options` may hold; anything else is an error
    options: tuple[Option, ...] = ()
    #: whether the driver can connect to a socket in the file system
    has_socket: bool = False
    #: what the end of its path must look like, or empty
    socket_form: str = ""
    #: whether the driver speaks TLS over one
    has_socket_tls: bool = False
    #: whether it speaks TLS; else `tls.mode` is `disable`, and its own protocol hides the password
    has_tls: bool = True
    #: whether `tls.clientCertificate` may stand beside any of them
    has_client_certificate: bool = True
    #: newest version of TLS that the driver's protocol can carry; empty for any
    newest_tls: str = ""
    tested: Tested
    #: for the support table: `tested_on` a real server
    tested_on: str

    @property
    def is_file(self) -> bool:
        """Whether the database is a file: no host, port, TLS or login exist then."""
        return self.default_port is None

    def parameters(self, options: Mapping[str, Value]) -> dict[str, Value]:
        """Returns `options` of a valid manifest by the driver's own names."""
        known = {option.name: option for option in self.options}
        return {known[name].parameter: known[name].value(given) for name, given in options.items()}


#: How libpq names a socket (PostgreSQL, "Connection Strings": the port is its extension).
POSTGRESQL_SOCKET: Final = r"/\.s\.PGSQL\.[1-9][0-9]{0,4}\Z"
#: Takes a number from a sequence, quotes, space and comments between or not. Read-only transactions
#: let sequences go on in Oracle, Firebird and Vertica (whose manual, "BEGIN", says that they do not
#: prevent all writing), and Snowflake has none.
NEXT_NUMBER_WORDS: Final = ("nextval",)
_NEXT_VALUE: Final = r"next\b[\s\S]*\bvalue"
FIREBIRD_WORDS: Final = ("gen_id", _NEXT_VALUE)
#: SQL Server has no read-only transaction and takes further statements without a `;` between. A
#: transaction that is rolled back undoes nearly all that a statement can do; these words end it, or
#: do what it does not undo (Transact-SQL reference, "Statements", and the functions for row sets).
TRANSACT_SQL_WORDS: Final = (
    *("alter", "backup", "bulk", "checkpoint", "commit", "create", "dbcc", "deny", "drop", "exec"),
    *("execute", "grant", "kill", "opendatasource", "openquery", "openrowset", "raiserror"),
    *("reconfigure", "restore", "revoke", "rollback", "setuser", "shutdown", "truncate"),
    *("updatetext", "waitfor", "writetext", _NEXT_VALUE),
)
