"""Databases that must not be opened in the way that the manifest asks for."""

from __future__ import annotations

from tests.corpus.cases import CANARY, SQL, Case, manifest, sql

_ORACLE = SQL.replace("postgresql", "oracle") + (
    "  auth: {method: password, username: report, password: {env: ORDERS_PASSWORD}}\n"
)
_DESCRIPTOR = "(DESCRIPTION=(ADDRESS=(HOST=evil.example.com)))"
_FILE = SQL.replace("postgresql", "sqlite").replace("  host: db.example.com\n", "")

CASES = (
    *(
        Case(
            row="B166",
            what=f"engine {engine}",
            prepare=manifest(SQL.replace("postgresql", engine)),
            says="E106]: `spec.engine` does not know",
        )
        for engine in ("sqlite+pysqlite", "postgresql+psycopg", "sybase", "POSTGRESQL", "''")
    ),
    *(
        Case(
            row="B166",
            what=f"file {path}",
            prepare=manifest(_FILE.replace("database: orders", f"database: '{path}'")),
            says=f"E120]: {says}",
        )
        for path, says in (
            ("sqlite:////etc/passwd", "the database is a URL"),
            ("file:x.db?mode=rwc", "the database is a URL"),
            ("x.db?vfs=unix", "the database is a URL"),
            ("/etc/passwd", "the file is outside the project root"),
            ("a/../../x.db", "the file is outside the project root"),
            (":memory:", "a database in memory is empty whenever it is opened"),
            (".reconciler/state.db", "the file belongs to this tool"),
        )
    ),
    Case(
        row="B167",
        what="file that does not exist",
        prepare=manifest(_FILE),
        argv=("apply",),
        exit=11,
        says="the database file does not exist",
        may_record=True,
    ),
    *(
        Case(
            row=row,
            what=f"option {name}",
            prepare=sql(f"{name}: {CANARY}"),
            says=f"E104]: unknown field `{name}`",
        )
        for row, names in (
            ("B169", ("local_infile", "allow_local_infile", "client_flag")),
            ("B170", ("read_default_file",)),
            ("B173", ("service", "servicefile", "passfile", "sslkey", "sslcert", "hostaddr")),
        )
        for name in names
    ),
    *(
        Case(
            row=row,
            what=f"{name} in options",
            prepare=sql(f"options: {{{name}: {CANARY}}}"),
            says=f"E104]: unknown field `{name}`",
        )
        for row, names in (
            ("B169", ("local_infile", "LOCAL_INFILE", "local%5Finfile")),
            ("B170", ("read_default_file", "init_command")),
            ("B173", ("service", "servicefile", "passfile", "sslrootcert", "options", "hostaddr")),
        )
        for name in names
    ),
    Case(
        row="B173",
        what="options as text",
        prepare=sql(f"options: {CANARY}"),
        says="E105]: `spec.options` must be a mapping",
    ),
    *(
        Case(
            row=row,
            what=f"host {host}",
            prepare=manifest(SQL.replace("db.example.com", f"'{host}'")),
            says=f"E117]: the host {says}",
        )
        for row, host, says in (
            ("B173", "/var/run/postgresql", "is a path"),
            ("B173", "a,b", "is a list"),
            ("B173", "db:5432", "has a port behind it"),
            ("B176", "db.example;Server=evil", "is neither a name nor an address"),
            ("B176", "h{}", "is neither a name nor an address"),
            ("B176", "-x", "is neither a name nor an address"),
        )
    ),
    Case(
        row="B175",
        what="connection text as a database",
        prepare=manifest(SQL.replace("orders\n", '"host=evil user=x"\n')),
        exit=0,
        says="1 file valid",
    ),
    *(
        Case(row="B178", what=what, prepare=manifest(text), says=says)
        for what, text, says in (
            (
                "a descriptor for the host",
                _ORACLE.replace("db.example.com", f'"{_DESCRIPTOR}"'),
                "E117]: the host is neither a name nor an address",
            ),
            (
                "a descriptor for the service",
                _ORACLE.replace("database: orders", f'database: "{_DESCRIPTOR}"'),
                "E109]: `spec.database` has the wrong form",
            ),
            *(
                (option, f"{_ORACLE}  options: {{{option}: /etc}}\n", f"unknown field `{option}`")
                for option in ("configDir", "walletLocation", "dsn", "TNS_ADMIN")
            ),
        )
    ),
    *(
        Case(
            row="B179",
            what=query,
            prepare=sql(f'health: {{query: "{query}"}}'),
            says=f"E119]: the query {says}",
        )
        for query, says in (
            ("SELECT 1; DROP TABLE x", "has a `;`"),
            ("COPY x TO PROGRAM 'id'", "does not begin with SELECT"),
            ("/* */ delete from x", "does not begin with SELECT"),
            ("EXPLAIN ANALYZE delete from x", "does not begin with SELECT"),
        )
    ),
)
