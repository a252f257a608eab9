"""What one job does, as its process reads it; and what it leaves behind."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from worldloom.cameras import TrajectoryFormat
from worldloom.codec import from_json, to_json
from worldloom.config import Density, Method, ReconstructionConfig
from worldloom.errors import InputError
from worldloom.export import Axes, CloudFormat, MeshFormat, SplatFormat
from worldloom.texture import TextureConfig

TASK_FILE = "task.json"
EVENTS_FILE = "events.jsonl"
RESULT_FILE = "result.json"
LOCK_FILE = "worker.lock"
LOG_FILE = "worker.log"


class JobKind(StrEnum):
    """What a job does."""

    RECONSTRUCT = "reconstruct"
    EXPORT_MESH = "export_mesh"
    EXPORT_POINT_CLOUD = "export_point_cloud"
    EXPORT_SPLATS = "export_splats"
    EXPORT_CAMERAS = "export_cameras"
    REFINE_MESH = "refine_mesh"
    OPTIMIZE_TEXTURES = "optimize_textures"
    RENDER_VIEWS = "render_views"


@dataclass(frozen=True)
class InputSpec:
    """One source of views, by ids of assets."""

    media: str
    trajectory: str | None = None


@dataclass(frozen=True)
class ReconstructSpec:
    """A reconstruction as a caller asked for it."""

    inputs: tuple[InputSpec, ...]
    title: str = ""
    method: Method = "mvs"
    resolution_px: int = 640
    point_density: Density = "medium"
    refine_depth: bool = True
    refine_poses: bool = False
    holdout_views: int = 0
    voxel_m: float | None = None
    frame_step: int = 1
    textures: bool = True
    texture_resolution_px: int = 4096
    max_texture_faces: int = 200_000

    def config(self) -> ReconstructionConfig:
        """Returns the settings as the API takes them.

        Raises:
            ConfigError: they cannot work.
        """
        return ReconstructionConfig(
            method=self.method,
            resolution=self.resolution_px,
            depth_estimation=self.refine_depth,
            refine_poses=self.refine_poses,
            point_cloud_density=self.point_density,
            voxel_m=self.voxel_m,
            holdout=self.holdout_views,
            texture=TextureConfig(
                textures=self.textures,
                texture_resolution=self.texture_resolution_px,
                max_texture_faces=self.max_texture_faces,
            ),
        )


@dataclass(frozen=True)
class MeshSpec:
    """A mesh to write."""

    format: MeshFormat
    include_textures: bool = True
    texture_resolution_px: int | None = None
    axes: Axes = "format"
    unit_m: float = 1.0


@dataclass(frozen=True)
class CloudSpec:
    """A point cloud to write."""

    format: CloudFormat
    include_colors: bool = True
    include_normals: bool = True
    axes: Axes = "format"


@dataclass(frozen=True)
class SplatSpec:
    """Splats to write."""

    format: SplatFormat
    axes: Axes = "format"
    unit_m: float = 1.0


@dataclass(frozen=True)
class CameraSpec:
    """Cameras to write."""

    format: TrajectoryFormat
    axes: Axes = "format"


@dataclass(frozen=True)
class RefineSpec:
    """A mesh to refine."""

    format: MeshFormat = "glb"
    remove_outliers: bool = True
    smooth: bool = True
    fill_holes: bool = True
    simplify_share: float | None = None


@dataclass(frozen=True)
class OptimizeSpec:
    """Textures to make sharper."""

    iterations: int = 8


@dataclass(frozen=True)
class RenderSpec:
    """Views to render."""

    view_indices: tuple[int, ...] = ()
    resolution_px: int | None = None
    include_textures: bool = True


@dataclass(frozen=True)
class FileSpec:
    """A file of a caller on the disk of the service."""

    path: str
    name: str
    """As its owner calls it, without folders."""


@dataclass(frozen=True)
class Bounds:
    """What a job may use."""

    memory_mib: int | None = None
    """Data memory of the process; None: no bound."""
    duration_s: float | None = None
    """Time of one attempt; the process ends itself after it."""
    decoder_mib: int = 4096
    """Address space of the process that looks at the media first."""
    decoder_s: float = 900.0
    """Time of that process."""
    max_pixels: int = 64_000_000
    """Pixels of a frame."""
    max_frames: int = 20_000
    """Frames of one source."""
    max_video_s: float = 14_400.0
    """Length of one video."""
    max_archive_entries: int = 100_000
    """Files of an archive."""
    max_archive_mib: int = 65_536
    """Unpacked size of an archive."""
    max_archive_ratio: float = 200.0
    """Unpacked over packed size, of each file and of the archive."""


@dataclass(frozen=True)
class Task:
    """All that the process of a job needs to know."""

    job: str
    kind: JobKind
    scene_folder: str
    """Folder of the scene: written by a reconstruction, read by all others."""
    files: dict[str, FileSpec] = field(default_factory=dict[str, FileSpec])
    """By the id of the asset."""
    reconstruct: ReconstructSpec | None = None
    mesh: MeshSpec | None = None
    cloud: CloudSpec | None = None
    splats: SplatSpec | None = None
    cameras: CameraSpec | None = None
    refine: RefineSpec | None = None
    optimize: OptimizeSpec | None = None
    render: RenderSpec | None = None
    runner: str = "inline"
    """inline or ray."""
    ray_workers: int | None = None
    store_uri: str | None = None
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class TaskError:
    """Why a job came to nothing."""

    kind: str
    """Class of the error: InputError, ..."""
    message: str
    ids: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Output:
    """A file that a job made, in its folder."""

    path: str
    """Relative to the folder of the job."""
    name: str
    """As its owner shall call it."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Outcome:
    """The end of a job that ended by itself."""

    error: TaskError | None = None
    output: Output | None = None
    degraded: bool = False


def save_task(task: Task, folder: Path) -> None:
    """Writes what a job does into its folder, whole or not at all."""
    write_whole(folder / TASK_FILE, to_json(task))


def load_task(folder: Path) -> Task:
    """Reads what a job does.

    Raises:
        InputError: it is not there, or of another version.
    """
    try:
        return from_json((folder / TASK_FILE).read_bytes(), Task)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{folder} holds no task ({error}); it was made by another version of the service, or "
            "not at all",
            path=str(folder),
        ) from error


def save_outcome(outcome: Outcome, folder: Path) -> None:
    """Writes the end of a job into its folder, whole or not at all."""
    write_whole(folder / RESULT_FILE, to_json(outcome))


def load_outcome(folder: Path) -> Outcome | None:
    """Reads the end of a job; None where it has not come, or cannot be read."""
    try:
        return from_json((folder / RESULT_FILE).read_bytes(), Outcome)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name and renames it, so that nobody sees half of it."""
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_bytes(content)
    draft.replace(path)
