"""The tables of the state store, the same on SQLite and PostgreSQL.

Every value is text, integer or float, so both databases keep the same thing: moments are RFC 3339
text of fixed width in UTC (`texts.py`), which sorts as time does, and nested values are JSON text.
`REVISIONS` is the history of these tables, known here so that opening a store needs no Alembic;
tests hold the tables, this list and `migrations/` equal. The version table has a name of its own
because an application's Alembic may live in the same PostgreSQL schema.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

#: Every version that the tables have had, oldest first; the last is the one below.
REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]
VERSION_TABLE = "reconciler_version"

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_name)s_unique",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

#: 64 bits on PostgreSQL; on SQLite only `INTEGER` is the row id itself.
_Counter = BigInteger().with_variant(Integer(), "sqlite")


def _required(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


#: Required columns come first: `rows.py` looks for NULL in one slice.
connections = Table(
    "connections",
    METADATA,
    Column("uid", Text, primary_key=True),
    _required("kind"),
    _required("namespace"),
    _required("name"),
    _required("ref_key"),
    _required("text"),
    _required("digest"),
    _required("access_digest"),
    _number("generation"),
    _number("revision"),
    _number("version"),
    _required("source_path"),
    _number("source_line"),
    _required("stack"),
    _required("deletion_policy"),
    _required("phase"),
    _required("reason"),
    _required("message"),
    _number("consecutive_failures"),
    _number("consecutive_successes"),
    _required("last_error"),
    _required("since_at"),
    _required("fingerprints"),
    _required("created_at"),
    _required("updated_at"),
    Column("suspended_by", Text),
    Column("checked_at", Text),
    Column("succeeded_at", Text),
    Column("last_outcome", Text),
    Column("latency_s", Float),
    Column("hold", Text),
)
#: A live ref is unique over the store; archived rows keep theirs.
Index(
    "connections_live_ref",
    connections.c.ref_key,
    unique=True,
    sqlite_where=text("phase != 'ARCHIVED'"),
    postgresql_where=text("phase != 'ARCHIVED'"),
)

revisions = Table(
    "revisions",
    METADATA,
    Column("uid", Text, ForeignKey("connections.uid", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _required("kind"),
    _required("namespace"),
    _required("name"),
    _required("text"),
    _required("digest"),
    _required("action"),
    _required("actor"),
    _required("run_id"),
    _required("source_path"),
    _number("source_line"),
    _required("at"),
    Column("git", Text),
)

#: Append-only, and with no foreign key: the events of a deleted row are its tombstone.
events = Table(
    "events",
    METADATA,
    Column("id", _Counter, primary_key=True),
    _required("at"),
    _required("uid"),
    _required("kind"),
    _required("namespace"),
    _required("name"),
    _required("ref_key"),
    _required("type"),
    _required("reason"),
    _required("message"),
    _required("actor"),
    _required("run_id"),
    Column("source", Text),
    Column("target", Text),
    Column("status", Text),
)
Index("events_by_uid", events.c.uid, events.c.id)
Index("events_by_ref", events.c.ref_key, events.c.id)

observations = Table(
    "observations",
    METADATA,
    Column("id", _Counter, primary_key=True),
    Column("uid", Text, ForeignKey("connections.uid", ondelete="CASCADE"), nullable=False),
    _number("generation"),
    _required("outcome"),
    _required("reason"),
    _required("message"),
    _required("hint"),
    _required("stages"),
    Column("latency_s", Float, nullable=False),
    _required("observed_at"),
)
Index("observations_by_uid", observations.c.uid, observations.c.id)

#: One row per login that was begun and has not been forgiven; no foreign key, since a credential
#: outlives the connection that used it.
login_attempts = Table(
    "login_attempts",
    METADATA,
    Column("id", _Counter, primary_key=True),
    _required("credential_key"),
    _required("uid"),
    _required("state"),
    _required("deadline_at"),
)
Index("login_attempts_by_credential", login_attempts.c.credential_key)
Index("login_attempts_by_uid", login_attempts.c.uid)

runs = Table(
    "runs",
    METADATA,
    Column("number", _Counter, primary_key=True),
    Column("id", Text, unique=True, nullable=False),
    _required("at"),
    _required("command"),
    _required("actor"),
    _required("stack"),
    _required("plan_digest"),
    _required("counts"),
    Column("git", Text),
)

#: Secrets and tokens, sealed (`sealing.py`); tokens bear the uid of their connection.
sealed = Table(
    "sealed",
    METADATA,
    Column("space", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _number("version"),
    _required("key_id"),
    _required("ciphertext"),
    _required("updated_at"),
    Column("expires_at", Text),
)

#: Who may do something now that only one process may do.
leases = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    _required("holder"),
    _required("until_at"),
)

#: When applications used connections; apart from these, whose version it does not change.
uses = Table(
    "uses",
    METADATA,
    Column("uid", Text, ForeignKey("connections.uid", ondelete="CASCADE"), primary_key=True),
    _required("used_at"),
)

meta = Table(
    "meta",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True),
    _required("lineage"),
    #: hex, or wrapped (`fingerprint_key.py`)
    _required("fingerprint_key"),
    _required("key_id"),
    _required("created_at"),
)

#: What Alembic writes; outside METADATA because Alembic makes it by itself.
version = Table(VERSION_TABLE, MetaData(), Column("version_num", Text, primary_key=True))

#: Tables whose rows get their number from the database, and that number.
COUNTERS = {
    "events": events.c.id,
    "observations": observations.c.id,
    "login_attempts": login_attempts.c.id,
    "runs": runs.c.number,
}
