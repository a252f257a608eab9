"""A scene as a folder: written with its manifest last, checked and read back."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import cv2
import msgspec
import numpy as np
from jaxtyping import UInt8

from worldloom.cameras import CameraTrajectory, load_trajectory, save_trajectory
from worldloom.errors import ExportError, InputError
from worldloom.export._files import sha256_of, write_atomically
from worldloom.export._gltf import mesh_glb
from worldloom.export._manifest import (
    MANIFEST_FILE,
    FileRecord,
    Manifest,
    ViewRecord,
    load_manifest,
    save_manifest,
)
from worldloom.export._obj import mesh_obj
from worldloom.export._ply import cloud_ply, mesh_ply, read_cloud_ply, read_mesh_ply
from worldloom.scene import Mesh, PointCloud, ReconstructedScene

MeshFormat = Literal["ply", "glb", "obj"]
MESH_FORMATS: tuple[MeshFormat, ...] = ("ply", "glb", "obj")
CLOUD_FILE = "point_cloud.ply"
CAMERA_FILE = "cameras.json"
PREVIEW_FILE = "preview.png"
_ENCODERS = {"ply": mesh_ply, "glb": mesh_glb, "obj": mesh_obj}


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Writes a mesh in the format of the file's suffix: .ply, .glb or .obj.

    Raises:
        ExportError: the suffix is none of these, the mesh has no faces, or the file cannot be
            written.
    """
    encode = _ENCODERS.get(path.suffix.lower().removeprefix("."))
    if encode is None:
        raise ExportError(
            f"no mesh format has the suffix {path.suffix!r}; use .ply, .glb or .obj",
            path=str(path),
            format=path.suffix,
        )
    write_atomically(path, encode(mesh))


def write_cloud(cloud: PointCloud, path: Path) -> None:
    """Writes a point cloud as .ply.

    Raises:
        ExportError: the suffix is another, the cloud has no points, or the file cannot be written.
    """
    if path.suffix.lower() != ".ply":
        raise ExportError(
            f"no point cloud format has the suffix {path.suffix!r}; use .ply",
            path=str(path),
            format=path.suffix,
        )
    write_atomically(path, cloud_ply(cloud))


def export_scene(
    scene: ReconstructedScene,
    folder: Path,
    manifest: Manifest,
    preview: UInt8[np.ndarray, "h w 3"] | None = None,
    formats: Sequence[MeshFormat] = MESH_FORMATS,
) -> Manifest:
    """Writes a scene into a folder, its manifest last: where `scene.json` is, the scene is whole.

    Args:
        scene: Mesh, cloud and cameras.
        folder: Made where it does not exist; files of the same names are replaced.
        manifest: All but `counts` and `files`, which are filled in here.
        preview: Contact sheet, sRGB.
        formats: Mesh formats, `mesh.<format>`; ply is always written, as it is what is read back.

    Returns:
        The manifest as written.

    Raises:
        ExportError: the mesh or the cloud is empty, views and cameras differ in number, or a file
            cannot be written.
    """
    if len(manifest.views) != len(scene.cameras):
        raise ExportError(
            f"the manifest lists {len(manifest.views)} views but there are {len(scene.cameras)} "
            "cameras; give one record a camera",
            path=str(folder),
        )
    encoders = {f"mesh.{name}": _ENCODERS[name] for name in dict.fromkeys(("ply", *formats))}
    _require_content(scene)
    _forget(folder / MANIFEST_FILE)
    # One after the other: each may be as large as what is left of the memory.
    for name, encode in encoders.items():
        write_atomically(folder / name, encode(scene.mesh))
    write_atomically(folder / CLOUD_FILE, cloud_ply(scene.point_cloud))
    kinds = {name: "mesh" for name in encoders} | {CLOUD_FILE: "point_cloud"}
    if preview is not None:
        png = cv2.imencode(".png", cv2.cvtColor(preview, cv2.COLOR_RGB2BGR))[1].tobytes()
        write_atomically(folder / PREVIEW_FILE, png)
        kinds[PREVIEW_FILE] = "preview"
    save_trajectory(scene.cameras, folder / CAMERA_FILE, format="worldstereo")
    kinds[CAMERA_FILE] = "cameras"
    written = replace(
        manifest,
        counts={
            "views": len(scene.cameras),
            "points": len(scene.point_cloud),
            "vertices": len(scene.mesh.vertices_in_world),
            "faces": len(scene.mesh.faces),
        },
        files=tuple(_record(folder, name, kind) for name, kind in sorted(kinds.items())),
    )
    save_manifest(written, folder)
    return written


def _require_content(scene: ReconstructedScene) -> None:
    """Refuses a scene that some writer would refuse, before a file of an earlier one is touched."""
    if not len(scene.mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write")
    if not len(scene.point_cloud):
        raise ExportError("the point cloud has no points; there is nothing to write")


def load_scene(folder: Path, verify: bool = True) -> ReconstructedScene:
    """Reads a scene folder back.

    Args:
        folder: Where `export_scene` wrote.
        verify: Compare the files with their checksums.

    Returns:
        The scene; `metadata` is the manifest as plain JSON values.

    Raises:
        InputError: there is no finished scene, or a file is missing, changed or damaged.
    """
    manifest = load_manifest(folder)
    for record in manifest.files:
        _check(folder, record, verify)
    return ReconstructedScene(
        mesh=read_mesh_ply(folder / "mesh.ply"),
        point_cloud=read_cloud_ply(folder / CLOUD_FILE),
        cameras=_cameras(folder / CAMERA_FILE, manifest.views),
        metadata=cast("dict[str, object]", msgspec.to_builtins(manifest)),
    )


def _cameras(path: Path, views: tuple[ViewRecord, ...]) -> CameraTrajectory:
    """Reads the cameras, whose file holds no image sizes: those are in the manifest."""
    trajectory = load_trajectory(path, format="worldstereo")
    if len(trajectory) != len(views):
        raise InputError(
            f"{path} holds {len(trajectory)} cameras but the manifest {len(views)} views; export "
            "the scene again",
            path=str(path),
        )
    cameras = tuple(
        replace(
            camera,
            intrinsics=replace(camera.intrinsics, width_px=view.width_px, height_px=view.height_px),
        )
        for camera, view in zip(trajectory, views, strict=True)
    )
    names = tuple(view.name for view in views)
    return CameraTrajectory(cameras, tuple(range(len(views))), names, name="scene")


def _record(folder: Path, name: str, kind: str) -> FileRecord:
    path = folder / name
    return FileRecord(name, kind, path.stat().st_size, sha256_of(path))


def _check(folder: Path, record: FileRecord, verify: bool) -> None:
    path = folder / record.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"the manifest names {record.path}, outside of {folder}", path=str(path))
    if not path.is_file():
        raise InputError(
            f"{path} is missing, though the manifest lists it; export the scene again",
            path=str(path),
        )
    if verify and (path.stat().st_size != record.bytes or sha256_of(path) != record.sha256):
        raise InputError(
            f"{path} has changed since it was written; export the scene again, or load it without "
            "verification",
            path=str(path),
        )


def _forget(path: Path) -> None:
    """Removes the manifest of an earlier scene, whose files are about to be replaced."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot replace {path}: {error.strerror or error}; choose another folder",
            path=str(path),
        ) from error
