"""What files were read as."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes a new, empty table; those that were there stay as they are."""
    op.create_table(
        "readings",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("stack", "path", "fact")),
        sa.PrimaryKeyConstraint("stack", "path", name=op.f("readings_pk")),
    )
