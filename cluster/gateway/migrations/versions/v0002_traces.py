"""Jobs know the trace of the call that created them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("jobs", sa.Column("trace", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("jobs", "trace")
