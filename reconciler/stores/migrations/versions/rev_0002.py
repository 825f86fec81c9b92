"""Sealed secrets and tokens, leases, and when a connection was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def upgrade() -> None:
    """Makes three new tables; those that were there stay as they are."""
    op.create_table(
        "sealed",
        *_text("space", "name"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_text("key_id", "ciphertext", "updated_at"),
        sa.Column("expires_at", sa.Text()),
        sa.PrimaryKeyConstraint("space", "name", name=op.f("sealed_pk")),
    )
    op.create_table(
        "leases",
        *_text("name", "holder", "until_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("leases_pk")),
    )
    op.create_table(
        "uses",
        *_text("uid", "used_at"),
        sa.ForeignKeyConstraint(
            ["uid"], ["connections.uid"], name=op.f("uses_uid_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("uses_pk")),
    )
