"""The manifest of a scene folder: what was made from what, how, and the files that hold it."""

import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from worldloom.codec import from_json, to_json
from worldloom.errors import InputError
from worldloom.export._files import write_atomically
from worldloom.stage import Failure, StageReport

MANIFEST_FILE = "scene.json"
MANIFEST_VERSION = 1
_PACKAGES = (
    "worldloom",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "open3d",
    "numba",
    "torch",
    "transformers",
    "av",
)


@dataclass(frozen=True)
class Conventions:
    """How to read the numbers of a scene."""

    camera_axes: str = "OpenCV: x right, y down, z forward"
    pixel_centre: str = "the centre of the top-left pixel is (0.5, 0.5)"
    world: str = "frame, scale and orientation of the input; cameras.json holds cam_from_world"
    faces: str = "counter-clockwise seen from outside"
    axes: str = "mesh.ply, point_cloud.ply and splats.ply: the world; others: docs/formats.md"
    colors: str = "sRGB, 8 bits; at the vertices of a .glb linear, as glTF demands"
    textures: str = "uv from the bottom left; normal maps in tangent space, +y up (OpenGL)"
    quaternions: str = "wxyz"


@dataclass(frozen=True)
class InputRecord:
    """One source of views."""

    path: str
    """Video or folder, as given."""
    trajectory: str
    """Name of its trajectory."""
    trajectory_path: str | None
    """File of its cameras."""
    frames: int
    """Frames in the source."""
    used: int
    """Frames used as views."""


@dataclass(frozen=True)
class ViewRecord:
    """One view, in the order of `cameras.json`."""

    view_id: int
    name: str
    trajectory: str
    index: int
    """Frame number in its source."""
    width_px: int
    height_px: int


@dataclass(frozen=True)
class FileRecord:
    """One file of the scene."""

    path: str
    """Relative to the manifest, with forward slashes."""
    kind: str
    """mesh, point_cloud, splats, cameras, preview, textured_mesh, unwrapped, texture or report."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The manifest of a scene, `scene.json`."""

    parameters: dict[str, Any]
    """Settings of the reconstruction, plain JSON values."""
    views: tuple[ViewRecord, ...]
    inputs: tuple[InputRecord, ...] = ()
    timings: tuple[StageReport, ...] = ()
    metrics: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Quality, by name; None where it could not be measured."""
    quality: dict[str, Any] = field(default_factory=dict[str, Any])
    """A `QualityReport` as plain JSON values: completeness, geometric_consistency, texture_quality
    and view_consistency, 0 to 1, of the scene and of its parts; empty where nobody measured it."""
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])
    """What decisions rest on, plain JSON values: depth ranges, partners, residuals of views."""
    failures: tuple[Failure, ...] = ()
    """Work that could not be made; the scene lacks it."""
    warnings: tuple[str, ...] = ()
    """What was passed over or assumed on the way."""
    degraded: bool = False
    """True where something failed."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """Views, points, vertices, faces, where there are some splats, and of a textured scene
    unwrapped_faces."""
    software: dict[str, str] = field(default_factory=dict[str, str])
    """Versions."""
    created: str = ""
    """Time of the export, ISO 8601, UTC."""
    files: tuple[FileRecord, ...] = ()
    conventions: Conventions = field(default_factory=Conventions)
    format: str = "worldloom-scene"
    version: int = MANIFEST_VERSION


def software_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Writes `scene.json`, whole or not at all.

    Raises:
        ExportError: it cannot be written.
    """
    write_atomically(folder / MANIFEST_FILE, to_json(manifest, indent=2) + b"\n")


def load_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a scene folder.

    Raises:
        InputError: there is none, or it is damaged, or of a later version.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = from_json(path.read_bytes(), Manifest)
    except OSError as error:
        raise InputError(
            f"{folder} holds no finished scene ({MANIFEST_FILE}: {error.strerror or error}); give "
            "the output folder of a reconstruction",
            path=str(path),
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path} is no manifest of a scene ({error}); export the scene again", path=str(path)
        ) from error
    if manifest.format != "worldloom-scene" or manifest.version > MANIFEST_VERSION:
        raise InputError(
            f"{path} is {manifest.format} version {manifest.version}, this release reads "
            f"worldloom-scene up to version {MANIFEST_VERSION}; use a newer release",
            path=str(path),
        )
    return manifest
