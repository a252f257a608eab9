"""The tables of the gateway. Changes go through `migrations/` as well."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
"""Times are seconds since 1970, UTC. Ids begin with their time, so that their order is that of
creation."""

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("principal", String(64), nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("note", String(200), nullable=False),
    Column("create_s", Float(53), nullable=False),
    Column("expire_s", Float(53)),
    Column("revoke_s", Float(53)),
)

ASSETS = Table(
    "assets",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("principal", String(64), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("create_s", Float(53), nullable=False),
    Column("expire_s", Float(53)),
    Column("request_id", String(64)),
    UniqueConstraint("principal", "request_id", name="assets_request"),
    Index("assets_principal", "principal", "id"),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("principal", String(64), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("create_s", Float(53), nullable=False),
    Column("expire_s", Float(53), nullable=False),
    Column("lifetime_s", Float(53)),
    Column("request_id", String(64)),
    Column("asset_id", String(32)),
    UniqueConstraint("principal", "request_id", name="uploads_request"),
)

PARTS = Table(
    "upload_parts",
    METADATA,
    Column("upload_id", ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("start_bytes", BigInteger, primary_key=True),
    Column("end_bytes", BigInteger, primary_key=True),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("principal", String(64), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("request_id", String(64)),
    Column("request_digest", String(64), nullable=False),
    Column("create_s", Float(53), nullable=False),
    Column("start_s", Float(53)),
    Column("attempt_s", Float(53)),
    Column("end_s", Float(53)),
    Column("attempts", Integer, nullable=False),
    Column("gpus", Float(53), nullable=False),
    Column("gpu_s", Float(53), nullable=False),
    Column("scene_id", String(32)),
    Column("asset_id", String(32)),
    Column("degraded", Boolean, nullable=False),
    Column("error", Text),
    Column("progress", Text),
    Column("last_sequence", BigInteger, nullable=False),
    Column("events_offset", BigInteger, nullable=False),
    Column("gateway", String(64)),
    Column("lease_s", Float(53)),
    Column("trace", String(64)),
    UniqueConstraint("principal", "request_id", name="jobs_request"),
    Index("jobs_principal", "principal", "id"),
    Index("jobs_state", "state", "id"),
)

JOB_ASSETS = Table(
    "job_assets",
    METADATA,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("asset_id", String(32), primary_key=True),
    Index("job_assets_asset", "asset_id"),
)

EVENTS = Table(
    "job_events",
    METADATA,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("time_s", Float(53), nullable=False),
    Column("content", Text, nullable=False),
)

SCENES = Table(
    "scenes",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("principal", String(64), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("job_id", String(32), nullable=False),
    Column("create_s", Float(53), nullable=False),
    Column("views", Integer, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("faces", BigInteger, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Index("scenes_principal", "principal", "id"),
)

GPU_USAGE = Table(
    "gpu_usage",
    METADATA,
    Column("principal", String(64), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("gpu_s", Float(53), nullable=False),
)
