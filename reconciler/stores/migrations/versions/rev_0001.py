"""The first tables.

Written out rather than taken from `tables.py`, which describes the newest version only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _optional(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text()) for name in names]


def upgrade() -> None:
    """Makes the tables, their keys and indexes."""
    _make_connections()
    _make_revisions()
    _make_events()
    _make_observations()
    _make_login_attempts()
    _make_runs()
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer(), nullable=False),
        *_text("lineage", "fingerprint_key", "key_id", "created_at"),
        sa.CheckConstraint("id = 1", name=op.f("meta_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("meta_pk")),
    )


def _make_connections() -> None:
    op.create_table(
        "connections",
        *_text("uid", "kind", "namespace", "name", "ref_key", "text", "digest", "access_digest"),
        *_integers("generation", "revision", "version"),
        *_text("source_path"),
        *_integers("source_line"),
        *_text("stack", "deletion_policy", "phase", "reason", "message"),
        *_integers("consecutive_failures", "consecutive_successes"),
        *_text("last_error", "since_at", "fingerprints", "created_at", "updated_at"),
        *_optional("suspended_by", "checked_at", "succeeded_at", "last_outcome"),
        sa.Column("latency_s", sa.Float()),
        *_optional("hold"),
        sa.PrimaryKeyConstraint("uid", name=op.f("connections_pk")),
    )
    op.create_index(
        "connections_live_ref",
        "connections",
        ["ref_key"],
        unique=True,
        sqlite_where=sa.text("phase != 'ARCHIVED'"),
        postgresql_where=sa.text("phase != 'ARCHIVED'"),
    )


def _make_revisions() -> None:
    op.create_table(
        "revisions",
        *_text("uid"),
        *_integers("number"),
        *_text("kind", "namespace", "name", "text", "digest", "action", "actor", "run_id"),
        *_text("source_path"),
        *_integers("source_line"),
        *_text("at"),
        *_optional("git"),
        sa.ForeignKeyConstraint(
            ["uid"], ["connections.uid"], name=op.f("revisions_uid_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uid", "number", name=op.f("revisions_pk")),
    )


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _COUNTER, nullable=False),
        *_text("at", "uid", "kind", "namespace", "name", "ref_key", "type", "reason", "message"),
        *_text("actor", "run_id"),
        *_optional("source", "target", "status"),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pk")),
    )
    op.create_index("events_by_uid", "events", ["uid", "id"])
    op.create_index("events_by_ref", "events", ["ref_key", "id"])


def _make_observations() -> None:
    op.create_table(
        "observations",
        sa.Column("id", _COUNTER, nullable=False),
        *_text("uid"),
        *_integers("generation"),
        *_text("outcome", "reason", "message", "hint", "stages"),
        sa.Column("latency_s", sa.Float(), nullable=False),
        *_text("observed_at"),
        sa.ForeignKeyConstraint(
            ["uid"], ["connections.uid"], name=op.f("observations_uid_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("observations_pk")),
    )
    op.create_index("observations_by_uid", "observations", ["uid", "id"])


def _make_login_attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("id", _COUNTER, nullable=False),
        *_text("credential_key", "uid", "state", "deadline_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("login_attempts_pk")),
    )
    op.create_index("login_attempts_by_credential", "login_attempts", ["credential_key"])
    op.create_index("login_attempts_by_uid", "login_attempts", ["uid"])


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", _COUNTER, nullable=False),
        *_text("id", "at", "command", "actor", "stack", "plan_digest", "counts"),
        *_optional("git"),
        sa.PrimaryKeyConstraint("number", name=op.f("runs_pk")),
        sa.UniqueConstraint("id", name=op.f("runs_id_unique")),
    )
