"""Settings of the gateway."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from cluster.gateway.imports import ImportRoot
from cluster.worker.task import Bounds
from worldloom.errors import ConfigError


@dataclass(frozen=True)
class Tls:
    """Certificates of the gateway; files that change are taken up by the next connection."""

    certificate: Path
    """PEM: the certificate, and those between it and its authority."""
    key: Path
    """PEM: its key."""
    client_ca: Path | None = None
    """PEM: authority of the certificates that clients must show; None: they show none."""


@dataclass(frozen=True)
class Quotas:
    """Shares of each caller."""

    max_bytes: int = 100 << 30
    """Bytes of assets, and of uploads from their start."""
    max_active_jobs: int = 100
    """Jobs and operations that have not ended."""
    max_gpu_minutes: float = 10_000.0
    """GPU time of the last 30 days, minutes."""
    max_calls: int = 64
    """Calls at a time, streams of Watch apart."""
    max_watches: int = 256
    """Streams of Watch at a time."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not getattr(self, item.name) > 0:
                raise ConfigError(f"{item.name} must be above 0", field=item.name)


@dataclass(frozen=True)
class GatewayConfig:
    """What a gateway is made from."""

    data: Path
    """Folder of everything that lasts."""
    database_url: str | None = None
    """SQLAlchemy URL; None: SQLite in `data`."""
    max_running: int = 1
    """Jobs that run at a time."""
    max_attempts: int = 3
    """Times that the process of a job is started before the job has failed."""
    runner: Literal["ray", "inline"] = "ray"
    """What jobs run on."""
    ray_workers: int | None = None
    """Most Ray workers of a kind that a job uses; None: all that the cluster carries."""
    job_gpus: float = 0.0
    """GPUs that a job is charged for while it runs."""
    store_uri: str | None = None
    """Root of the artifact store; None: a folder in each scene."""
    request_s: float = 120.0
    """How long a request may take to come, seconds: a part, at the slowest."""
    max_part_bytes: int = 4 << 20
    """Greatest part of an upload."""
    max_asset_bytes: int = 32 << 30
    """Greatest asset."""
    upload_lifetime_s: float = 7 * 86_400.0
    """How long an upload is kept after its last part."""
    asset_lifetime_s: float = 30 * 86_400.0
    """How long an asset is kept."""
    import_roots: dict[str, ImportRoot] = field(default_factory=dict[str, ImportRoot])
    """Folders and buckets that assets may be imported from, by the name that callers use."""
    quotas: Quotas = field(default_factory=Quotas)
    bounds: Bounds = field(default_factory=Bounds)
    """Of each job."""

    def __post_init__(self) -> None:
        for name in ("max_running", "max_attempts", "max_part_bytes", "max_asset_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1", field=name)
        if self.max_part_bytes > 64 << 20:
            raise ConfigError("max_part_bytes must be at most 64 MiB", field="max_part_bytes")

    @property
    def jobs_folder(self) -> Path:
        """Where each job has a folder."""
        return self.data / "jobs"

    @property
    def scenes_folder(self) -> Path:
        """Where each scene has a folder."""
        return self.data / "scenes"

    @property
    def assets_folder(self) -> Path:
        """Where the files of callers are."""
        return self.data / "assets"

    @property
    def uploads_folder(self) -> Path:
        """Where files under way are."""
        return self.data / "uploads"

    def asset_path(self, asset_id: str) -> Path:
        """Returns where an asset lies."""
        return self.assets_folder / asset_id[-2:] / asset_id

    def make_folders(self) -> None:
        """Makes all folders, for the user of this process alone."""
        for folder in (
            self.jobs_folder,
            self.scenes_folder,
            self.assets_folder,
            self.uploads_folder,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
