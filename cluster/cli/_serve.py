"""`worldloom serve`: the gateway."""

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import tyro

from worldloom.errors import ConfigError, RunnerError

if TYPE_CHECKING:
    from cluster.gateway.config import GatewayConfig
    from cluster.gateway.core import LauncherFactory
    from cluster.gateway.imports import ImportRoot
    from cluster.gateway.server import Face, Gateway

DATABASE_VARIABLE = "WORLDLOOM_DATABASE_URL"
_GIB = 1 << 30


@dataclass(frozen=True)
class Shares:
    """What each caller may use."""

    quota_gib: int = 100
    """Assets and uploads of each caller, GiB."""
    quota_jobs: int = 100
    """Jobs of each caller that have not ended."""
    quota_gpu_minutes: float = 10_000.0
    """GPU time of each caller in 30 days, minutes."""
    quota_calls: int = 64
    """Calls of each caller at a time."""
    quota_watches: int = 256
    """Streams of each caller at a time."""


@dataclass(frozen=True)
class JobLimits:
    """What each job may use."""

    job_memory_mib: int | None = None
    """Data memory of a job's process, MiB; None: no bound."""
    job_hours: float | None = 48.0
    """Time of one try of a job, hours; None: no bound."""
    decoder_mib: int = 4096
    """Address space of the process that opens the media of a job first, MiB."""
    decoder_s: float = 900.0
    """Time of that process, seconds."""
    max_pixels: int = 64_000_000
    """Pixels of a frame that a job takes."""
    max_frames: int = 20_000
    """Frames of one source that a job takes."""
    max_video_s: float = 14_400.0
    """Length of one video that a job takes, seconds."""
    max_archive_ratio: float = 200.0
    """Unpacked over packed size of an archive that a job takes."""


@dataclass(frozen=True)
class Serve:
    """Runs the gateway: uploads, jobs, exports over gRPC (docs/service.md)."""

    data: Path
    """Folder of everything that lasts; jobs on a cluster must see it under the same path."""
    address: str = "127.0.0.1:50051"
    """`host:port` of gRPC; port 0 takes a free one."""
    http: str | None = None
    """`host:port` of the pages, /healthz, /readyz and /metrics; None: off."""
    open_metrics: bool = False
    """Answer /metrics without a token: for networks where only Prometheus comes."""
    ray_address: str | None = None
    """Job server of Ray, http://HEAD:8265; None: jobs are processes of this machine."""
    runner: Literal["ray", "inline"] = "ray"
    """What jobs run on."""
    workers: int | None = None
    """Most Ray workers of a kind in a job; None: all that the cluster carries."""
    database: str | None = None
    """SQLAlchemy URL, for several gateways; None: WORLDLOOM_DATABASE_URL, or SQLite in the
    folder."""
    store: str | None = None
    """Root of the artifact store: a folder, s3:// or gs://; None: a folder in each scene."""
    tls_cert: Path | None = None
    """PEM of the certificate."""
    tls_key: Path | None = None
    """PEM of its key."""
    client_ca: Path | None = None
    """PEM of the authority of client certificates; with it clients must show one."""
    plaintext: bool = False
    """Allow an address beyond loopback without TLS, behind a proxy that does it."""
    auth: bool = True
    """Ask for tokens; without on loopback only."""
    import_root: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=PLACE ...")] = ()
    """Folders, s3:// and gs:// places that assets may be imported from, by name."""
    max_running: int = 1
    """Jobs that run at a time."""
    max_attempts: int = 3
    """Times that the process of a job is started before the job has failed."""
    job_gpus: float = 0.0
    """GPUs that a reconstruction is charged for."""
    asset_days: float = 30.0
    """Days that an asset is kept."""
    drain_s: float = 20.0
    """How long calls may take to end after SIGTERM, seconds."""
    traces: bool = False
    """Send OpenTelemetry traces to where OTEL_EXPORTER_OTLP_ENDPOINT says; needs the extra otel."""
    json: bool = False
    """Write the address as one JSON object to stdout when it listens."""
    shares: Annotated[Shares, tyro.conf.arg(name="")] = field(default_factory=Shares)
    limits: Annotated[JobLimits, tyro.conf.arg(name="")] = field(default_factory=JobLimits)

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("--tls-cert and --tls-key go together; give both", field="tls_cert")
        if self.client_ca is not None and self.tls_cert is None:
            raise ConfigError("--client-ca needs --tls-cert and --tls-key", field="client_ca")

    def run(self, stdout: TextIO) -> None:
        """Runs the command, until SIGTERM or SIGINT.

        Raises:
            WorldloomError: it cannot be started, or its queue broke.
        """
        # Other commands need not wait for gRPC and the database.
        from cluster.gateway import interpreter, redaction
        from cluster.gateway.core import open_core
        from cluster.gateway.server import Gateway

        redaction.install()
        logging.getLogger("cluster").setLevel(logging.INFO)
        face = self._face()
        core = open_core(self._config(), self._launcher())
        interpreter.run(_served(Gateway(core, face), face, stdout, self.json))

    def _face(self) -> "Face":
        from cluster.gateway.config import Tls
        from cluster.gateway.server import Face
        from cluster.tracing import exporting

        tls = None
        if self.tls_cert is not None and self.tls_key is not None:
            tls = Tls(self.tls_cert, self.tls_key, self.client_ca)
        return Face(
            self.address,
            self.http,
            open_metrics=self.open_metrics,
            tls=tls,
            plaintext=self.plaintext,
            auth=self.auth,
            drain_s=self.drain_s,
            traces=exporting("worldloom-gateway") if self.traces else None,
        )

    def _config(self) -> "GatewayConfig":
        from cluster.gateway.config import GatewayConfig, Quotas
        from cluster.worker.task import Bounds

        shares, limits = self.shares, self.limits
        return GatewayConfig(
            data=self.data.resolve(),
            database_url=self.database or os.environ.get(DATABASE_VARIABLE) or None,
            max_running=self.max_running,
            max_attempts=self.max_attempts,
            runner=self.runner,
            ray_workers=self.workers,
            job_gpus=self.job_gpus,
            store_uri=self.store,
            asset_lifetime_s=self.asset_days * 86_400,
            import_roots=dict(_root(text) for text in self.import_root),
            quotas=Quotas(
                shares.quota_gib * _GIB,
                shares.quota_jobs,
                shares.quota_gpu_minutes,
                shares.quota_calls,
                shares.quota_watches,
            ),
            bounds=Bounds(
                memory_mib=limits.job_memory_mib,
                duration_s=None if limits.job_hours is None else limits.job_hours * 3600,
                decoder_mib=limits.decoder_mib,
                decoder_s=limits.decoder_s,
                max_pixels=limits.max_pixels,
                max_frames=limits.max_frames,
                max_video_s=limits.max_video_s,
                max_archive_ratio=limits.max_archive_ratio,
            ),
        )

    def _launcher(self) -> "LauncherFactory":
        if self.ray_address is not None:
            from cluster.gateway.ray_jobs import RayLauncher

            address = self.ray_address
            return lambda _folders: RayLauncher(address)
        from cluster.gateway.local_processes import LocalProcesses

        return lambda folders: LocalProcesses(folders.job)


async def _served(gateway: "Gateway", face: "Face", stdout: TextIO, as_json: bool) -> None:
    from cluster.cli._terminal import write_json

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        port = await gateway.start()
        address = f"{face.address.rpartition(':')[0]}:{port}"
        if as_json:
            write_json(stdout, {"address": address, "http": face.http})
            stdout.flush()
        sys.stderr.write(f"serve: gRPC on {address}{'' if face.tls else ', without TLS'}\n")
        queue = asyncio.create_task(gateway.wait())
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait((queue, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if queue.done() and not ended.is_set():
            error = queue.exception()
            raise RunnerError(f"the queue of the gateway broke: {error}; see the log") from error
    finally:
        sys.stderr.write("serve: draining; jobs go on\n")
        await gateway.drain()


def _root(text: str) -> "tuple[str, ImportRoot]":
    from cluster.gateway.imports import Bucket

    name, equals, place = text.partition("=")
    if name and equals and "://" in place:
        return name, Bucket(place)
    folder = Path(place)
    if not (name and equals and place and folder.is_dir()):
        raise ConfigError(
            f"--import-root {name}=... must be NAME=PLACE: a folder that is there, "
            "s3://BUCKET/PREFIX or gs://BUCKET/PREFIX",
            field="import_root",
        )
    return name, folder.resolve()
