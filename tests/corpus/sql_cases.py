"""Databases that must not be opened in the way that the manifest asks for."""

from __future__ import annotations

from tests.corpus.cases import CANARY, SQL, Case, Place, manifest, sql
from tests.servers.sql_peers import sql_peer

_FILE = "apiVersion: reconciler/v1\nkind: SqlConnection\nmetadata: {name: orders}\nspec: {engine: sqlite, database: "

CASES = (
    *(
        Case(row="B166", what=f"engine {engine}", prepare=sql(f"engine: '{engine}'", without="engine"), says="E")
        for engine in ("sqlite+pysqlite", "postgresql+psycopg", "oracle", "POSTGRESQL", "odbc", "")
    ),
    Case(row="B166", what="URL as a database", prepare=manifest(_FILE + "'sqlite:////etc/passwd'}\n"), says="E"),
    *(
        Case(row="B166", what=f"file {path}", prepare=manifest(_FILE + f"'{path}'}}\n"), says="E")
        for path in ("/etc/passwd", "../x.db", "a/../../x.db", "file:x.db?mode=rwc", ":memory:", "x.db?vfs=unix", ".reconciler/state.db")
    ),
    Case(row="B167", what="file that does not exist", prepare=manifest(_FILE + "none.db}\n"), argv=("apply",), exit=11, says="", records=True),
    *(
        Case(row="B169", what=f"option {name}", prepare=sql(f"{name}: {CANARY}"), says="E")
        for name in ("local_infile", "allow_local_infile", "client_flag", "options")
    ),
    *(
        Case(row="B170", what=f"option {name}", prepare=sql(f"{name}: /etc/passwd"), says="E")
        for name in ("read_default_file", "service", "servicefile", "passfile", "sslkey", "sslrootcert", "hostaddr")
    ),
    *(
        Case(row="B173", what=f"host {host}", prepare=sql(f"host: '{host}'", without="host"), says="E")
        for host in ("/var/run/postgresql", "@socket", "a,b", "a b", "db;Server=evil", "a=b", "", "-x", "db:5432", "h{}", "a/b")
    ),
    Case(row="B175", what="conninfo as a database", prepare=sql('database: "host=evil user=x"', without="database"), exit=0, says="1 file valid"),
    *(
        Case(row="B179", what=query, prepare=sql(f'health: {{query: "{query}"}}'), says="E")
        for query in (
            "SELECT 1; DROP TABLE x",
            "COPY x TO PROGRAM 'id'",
            "drop table x",
            "SELECT 1;",
            "",
            "/* */ delete from x",
            "EXPLAIN ANALYZE delete from x",
            "values(1)\\0",
        )
    ),
)
