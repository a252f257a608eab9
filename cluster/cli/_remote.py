"""`worldloom remote`: the service from the command line."""

import os
import sys
from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO, cast

import tyro

from cluster.cli._progress import duration_text
from cluster.cli._summary import size_text
from cluster.cli._terminal import write_json
from worldloom.config import Density, Method
from worldloom.errors import ConfigError, ReconstructionError

if TYPE_CHECKING:
    from cluster.client import Client, JobRecord, WatchedEvent

ADDRESS_VARIABLE, TOKEN_VARIABLE = "WORLDLOOM_ADDRESS", "WORLDLOOM_TOKEN"
MeshName = Literal["obj", "ply", "gltf", "glb", "fbx", "usda", "usdc", "usdz"]
CloudName = Literal["ply", "pcd", "pcd-ascii", "xyz", "las", "laz", "e57"]


@dataclass(frozen=True)
class Service:
    """Which service, and how to reach it. The token comes from WORLDLOOM_TOKEN or a file."""

    address: str | None = None
    """`host:port`; None: WORLDLOOM_ADDRESS, or 127.0.0.1:50051."""
    token_file: Path | None = None
    """File that holds the token; None: WORLDLOOM_TOKEN, which no process list shows either."""
    tls: bool = False
    """Use TLS with the authorities of the system."""
    server_ca: Path | None = None
    """PEM of the authority of the service; with it TLS is used."""
    client_cert: Path | None = None
    """PEM of our own certificate, where the service asks for one."""
    client_key: Path | None = None
    """PEM of its key."""
    plaintext: bool = False
    """Allow the token to go to another machine without TLS."""

    @contextmanager
    def client(self) -> "Generator[Client]":
        """Yields a client that is connected.

        Raises:
            ConfigError: the token cannot be read, or would go to another machine in the clear.
        """
        # gRPC takes a moment to import, which other commands need not wait for.
        from cluster.client import Client, ClientTls

        try:
            token = self.token_file.read_text().strip() if self.token_file else None
        except OSError as error:
            raise ConfigError(
                f"{self.token_file} cannot be read: {error.strerror}", field="token_file"
            ) from error
        tls = None
        if self.tls or self.server_ca or self.client_cert:
            tls = ClientTls(self.server_ca, self.client_cert, self.client_key)
        with Client(
            self.address or os.environ.get(ADDRESS_VARIABLE) or "127.0.0.1:50051",
            token or os.environ.get(TOKEN_VARIABLE) or None,
            tls=tls,
            plaintext=self.plaintext,
        ) as client:
            yield client


@dataclass(frozen=True)
class _RemoteCommand:
    """What all have in common."""

    json: bool = False
    """Write JSON to stdout, and nothing else."""
    service: Annotated[Service, tyro.conf.arg(name="")] = field(default_factory=Service)

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: as the service said it.
        """
        with self.service.client() as client:
            self.act(client, stdout)

    @abstractmethod
    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it, connected."""

    def tell(self, stdout: TextIO, content: Mapping[str, object], text: str) -> None:
        """Writes the answer in the form asked for."""
        if self.json:
            write_json(stdout, content)
        else:
            stdout.write(text + "\n")


@dataclass(frozen=True, kw_only=True)
class RemoteUpload(_RemoteCommand):
    """Uploads files; one that was cut off goes on where it was."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Videos, camera files, zips of image folders or scene folders."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        for path in self.files:
            asset = client.upload(path, on_progress=_Bar(path.name))
            content = {"asset": asset.id, "name": asset.display_name, "bytes": asset.size_bytes}
            self.tell(stdout, content, f"{asset.id}  {path.name}  {size_text(asset.size_bytes)}")


@dataclass(frozen=True, kw_only=True)
class RemoteCreate(_RemoteCommand):
    """Uploads a video with its trajectory and queues its reconstruction."""

    video: Annotated[Path, tyro.conf.Positional]
    """Video, or zip of an image folder or scene folder."""
    trajectory: Path | None = None
    """Camera file; None where a scene folder holds its own."""
    title: str = ""
    """Name of the scene; empty: that of the file."""
    method: Method = "mvs"
    """How chunks are reconstructed: mvs, splat, hybrid or neural."""
    resolution: int = 640
    """Longer image side used for depth, pixels."""
    density: Density = "medium"
    """Spacing of the point cloud."""
    every: int = 1
    """Use every n-th frame."""
    textures: bool = True
    """Make textures."""
    refine_poses: bool = False
    """Correct poses within bounds."""
    priority: Literal["low", "normal", "high"] = "normal"
    """Place in the queue."""
    request_id: str | None = None
    """Makes a repeated command harmless; None: each command makes a job."""
    validate_only: bool = False
    """Check, and queue nothing."""
    watch: bool = False
    """Follow the job to its end."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        from cluster.client import InputSpec, Priority, ReconstructSpec

        media = client.upload(self.video, on_progress=_Bar(self.video.name))
        cameras = None
        if self.trajectory is not None:
            name = self.trajectory.name
            cameras = client.upload(self.trajectory, on_progress=_Bar(name))
        spec = ReconstructSpec(
            (InputSpec(media.id, cameras and cameras.id),),
            title=self.title or self.video.stem,
            method=self.method,
            resolution_px=self.resolution,
            point_density=self.density,
            frame_step=self.every,
            textures=self.textures,
            refine_poses=self.refine_poses,
        )
        job = client.create_job(
            spec,
            priority=Priority[self.priority.upper()],
            request_id=self.request_id,
            validate_only=self.validate_only,
        )
        if self.validate_only:
            self.tell(stdout, {"valid": True}, "valid; nothing is queued")
            return
        self.tell(stdout, _plain(job), job.id)
        if self.watch:
            _follow(client, job.id, 0, stdout, self.json)


@dataclass(frozen=True, kw_only=True)
class RemoteWatch(_RemoteCommand):
    """Follows a job to its end, over restarts of the service."""

    job: Annotated[str, tyro.conf.Positional]
    """Id of the job."""
    after: int = 0
    """Begin after this sequence."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        _follow(client, self.job, self.after, stdout, self.json)


@dataclass(frozen=True, kw_only=True)
class RemoteGet(_RemoteCommand):
    """Shows a job."""

    job: Annotated[str, tyro.conf.Positional]
    """Id of the job."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        job = client.get_job(self.job)
        self.tell(stdout, _plain(job), _line(job))


@dataclass(frozen=True, kw_only=True)
class RemoteList(_RemoteCommand):
    """Lists jobs, newest first."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        jobs = client.list_jobs()
        if self.json:
            write_json(stdout, {"jobs": [_plain(job) for job in jobs]})
            return
        for job in jobs:
            stdout.write(_line(job) + "\n")


@dataclass(frozen=True, kw_only=True)
class RemoteCancel(_RemoteCommand):
    """Asks a job to stop."""

    job: Annotated[str, tyro.conf.Positional]
    """Id of the job."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        job = client.cancel_job(self.job)
        self.tell(stdout, _plain(job), _line(job))


@dataclass(frozen=True, kw_only=True)
class RemoteExport(_RemoteCommand):
    """Exports the mesh or the point cloud of a scene and downloads it."""

    scene: Annotated[str, tyro.conf.Positional]
    """Id of the scene."""
    out: Path
    """File or folder to write to."""
    mesh: MeshName | None = None
    """Format of the mesh."""
    points: CloudName | None = None
    """Format of the point cloud."""

    def __post_init__(self) -> None:
        if (self.mesh is None) == (self.points is None):
            raise ConfigError("give --mesh FORMAT or --points FORMAT", field="mesh")

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        from cluster.client import CloudSpec, MeshSpec

        if self.mesh is not None:
            begun = client.export_mesh(self.scene, MeshSpec(self.mesh))
        else:
            begun = client.export_point_cloud(self.scene, CloudSpec(self.points or "ply"))
        done = client.wait_operation(begun.id)
        _require_success(done)
        path = client.download(str(done.asset_id), self.out, _Bar(self.out.name))
        self.tell(stdout, {"asset": done.asset_id, "file": str(path.resolve())}, str(path))


@dataclass(frozen=True, kw_only=True)
class RemoteDownload(_RemoteCommand):
    """Downloads an asset; one that was cut off goes on where it was."""

    asset: Annotated[str, tyro.conf.Positional]
    """Id of the asset."""
    out: Path
    """File or folder to write to."""

    def act(self, client: "Client", stdout: TextIO) -> None:
        """Does it."""
        path = client.download(self.asset, self.out, _Bar(self.out.name))
        self.tell(stdout, {"file": str(path.resolve())}, str(path))


RemoteCommands = (
    Annotated[RemoteUpload, tyro.conf.subcommand("upload")]
    | Annotated[RemoteCreate, tyro.conf.subcommand("create")]
    | Annotated[RemoteWatch, tyro.conf.subcommand("watch")]
    | Annotated[RemoteGet, tyro.conf.subcommand("get")]
    | Annotated[RemoteList, tyro.conf.subcommand("list")]
    | Annotated[RemoteCancel, tyro.conf.subcommand("cancel")]
    | Annotated[RemoteExport, tyro.conf.subcommand("export")]
    | Annotated[RemoteDownload, tyro.conf.subcommand("download")]
)


@dataclass(frozen=True)
class Remote:
    """Works with a service: upload, create, watch, get, list, cancel, export, download."""

    command: Annotated[RemoteCommands, tyro.conf.arg(name="")]

    @property
    def json(self) -> bool:
        """Whether the answer is JSON."""
        return self.command.json

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: as the service said it.
        """
        self.command.run(stdout)


def _follow(client: "Client", job_id: str, after: int, stdout: TextIO, as_json: bool) -> None:
    for event in client.watch_job(job_id, after):
        if as_json:
            write_json(stdout, cast("dict[str, object]", asdict(event)))
        else:
            stdout.write(_event_line(event) + "\n")
        stdout.flush()
    _require_success(client.get_job(job_id))


def _event_line(event: "WatchedEvent") -> str:
    if event.state is not None:
        return f"{event.sequence}  {event.state.state}"
    if event.progress is not None:
        mark = event.progress
        left = "" if not mark.remaining_s else f", {duration_text(mark.remaining_s)} left"
        return f"{event.sequence}  {mark.stage}: {mark.done}/{mark.total}{left}"
    return f"{event.sequence}  warning: {event.warning}"


def _require_success(job: "JobRecord") -> None:
    if job.fault is not None:
        raise ReconstructionError(f"{job.id} failed: {job.fault.message}", stage=job.id)
    if job.state != "succeeded":
        raise ReconstructionError(f"{job.id} was {job.state}", stage=job.id)


def _line(job: "JobRecord") -> str:
    scene = f"  scene {job.scene_id}" if job.scene_id else ""
    fault = f"  {job.fault.message}" if job.fault else ""
    return f"{job.id}  {job.state}  {job.display_name}{scene}{fault}"


def _plain(job: "JobRecord") -> dict[str, object]:
    plain = cast("dict[str, object]", asdict(job))
    for name in ("principal", "spec"):
        plain.pop(name)
    return plain


class _Bar:
    """A line of progress on stderr, about once for each tenth."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = -1

    def __call__(self, done: int, total: int) -> None:
        """Tells how far it is."""
        tenth = 10 * done // max(total, 1)
        if tenth > self._told:
            self._told = tenth
            sys.stderr.write(f"{self._name}: {size_text(done)} of {size_text(total)}\n")
