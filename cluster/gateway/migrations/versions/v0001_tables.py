"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    _files()
    _jobs()
    _results()
    _what_belongs_to_them()


def _files() -> None:
    """Assets and uploads."""
    op.create_table(
        "assets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("create_s", sa.Float(precision=53), nullable=False),
        sa.Column("expire_s", sa.Float(precision=53), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("principal", "request_id", name="assets_request"),
    )
    op.create_index("assets_principal", "assets", ["principal", "id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("create_s", sa.Float(precision=53), nullable=False),
        sa.Column("expire_s", sa.Float(precision=53), nullable=False),
        sa.Column("lifetime_s", sa.Float(precision=53), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("asset_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("principal", "request_id", name="uploads_request"),
    )


def _jobs() -> None:
    """Jobs."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("create_s", sa.Float(precision=53), nullable=False),
        sa.Column("start_s", sa.Float(precision=53), nullable=True),
        sa.Column("attempt_s", sa.Float(precision=53), nullable=True),
        sa.Column("end_s", sa.Float(precision=53), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.Float(precision=53), nullable=False),
        sa.Column("gpu_s", sa.Float(precision=53), nullable=False),
        sa.Column("scene_id", sa.String(length=32), nullable=True),
        sa.Column("asset_id", sa.String(length=32), nullable=True),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("events_offset", sa.BigInteger(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("lease_s", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("principal", "request_id", name="jobs_request"),
    )
    op.create_index("jobs_principal", "jobs", ["principal", "id"], unique=False)
    op.create_index("jobs_state", "jobs", ["state", "id"], unique=False)


def _results() -> None:
    """Scenes, tokens and what was used."""
    op.create_table(
        "gpu_usage",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gpu_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("principal", "day"),
    )
    op.create_table(
        "scenes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("create_s", sa.Float(precision=53), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("faces", sa.BigInteger(), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("scenes_principal", "scenes", ["principal", "id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("create_s", sa.Float(precision=53), nullable=False),
        sa.Column("expire_s", sa.Float(precision=53), nullable=True),
        sa.Column("revoke_s", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _what_belongs_to_them() -> None:
    """Tables with keys of the others."""
    op.create_table(
        "job_assets",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("asset_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "asset_id"),
    )
    op.create_index("job_assets_asset", "job_assets", ["asset_id"], unique=False)
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time_s", sa.Float(precision=53), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "sequence"),
    )
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.String(length=32), nullable=False),
        sa.Column("start_bytes", sa.BigInteger(), nullable=False),
        sa.Column("end_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", "start_bytes", "end_bytes"),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("upload_parts")
    op.drop_table("job_events")
    op.drop_index("job_assets_asset", table_name="job_assets")
    op.drop_table("job_assets")
    op.drop_table("uploads")
    op.drop_table("tokens")
    op.drop_index("scenes_principal", table_name="scenes")
    op.drop_table("scenes")
    op.drop_index("jobs_state", table_name="jobs")
    op.drop_index("jobs_principal", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("gpu_usage")
    op.drop_index("assets_principal", table_name="assets")
    op.drop_table("assets")
