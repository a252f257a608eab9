"""A scene as a folder: written with its manifest last, checked and read back."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import msgspec
import numpy as np
from jaxtyping import UInt8

from worldloom.cameras import CameraTrajectory, load_trajectory, save_trajectory
from worldloom.errors import ExportError, InputError
from worldloom.export._baked import load_baked, save_baked
from worldloom.export._files import sha256_of, write_atomically
from worldloom.export._manifest import (
    MANIFEST_FILE,
    FileRecord,
    Manifest,
    ViewRecord,
    load_manifest,
    save_manifest,
)
from worldloom.export._meshes import MeshFormat, export_mesh
from worldloom.export._ply import write_cloud, write_mesh
from worldloom.export._ply_reader import read_cloud_ply, read_mesh_ply
from worldloom.export._splat_ply import read_splat_ply, write_splats
from worldloom.scene import ReconstructedScene

SCENE_FORMATS: tuple[MeshFormat, ...] = ("obj", "glb", "ply")
MESH_FILE = "mesh.ply"
TEXTURED_FILE = "textured.glb"
CLOUD_FILE = "point_cloud.ply"
SPLAT_FILE = "splats.ply"
CAMERA_FILE = "cameras.json"
PREVIEW_FILE = "preview.png"


def export_scene(
    scene: ReconstructedScene,
    folder: Path,
    manifest: Manifest,
    preview: UInt8[np.ndarray, "h w 3"] | None = None,
    formats: Sequence[MeshFormat] = SCENE_FORMATS,
) -> Manifest:
    """Writes a scene into a folder, its manifest last: where `scene.json` is, the scene is whole.

    Args:
        scene: Mesh, cloud, cameras, and where there are some, the unwrapped mesh and its textures:
            `textured.glb` to look at, `unwrapped.npz` and PNG files to read back. Splats, where
            there are some, become `splats.ply`.
        folder: Made where it does not exist; files of the same names are replaced.
        manifest: All but `counts` and `files`, which are filled in here.
        preview: Contact sheet, sRGB.
        formats: Formats of the full mesh with vertex colours, `mesh.<format>`; ply is always
            written, as it is what is read back.

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
    _require_content(scene)
    _forget(folder / MANIFEST_FILE)
    writers = _writers(scene, folder, preview, formats)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="export") as pool:
        try:
            kinds: dict[str, str] = {}
            for kinds_of_some in pool.map(lambda write: write(), writers):
                kinds |= kinds_of_some
            records = pool.map(lambda item: _record(folder, *item), sorted(kinds.items()))
            written = replace(manifest, counts=_counts(scene), files=tuple(records))
        except ExportError:
            pool.shutdown(cancel_futures=True)
            raise
    save_manifest(written, folder)
    return written


def _writers(
    scene: ReconstructedScene,
    folder: Path,
    preview: UInt8[np.ndarray, "h w 3"] | None,
    formats: Sequence[MeshFormat],
) -> list[Callable[[], dict[str, str]]]:
    """What writes the files of a scene, the slowest first; each returns their kinds by name."""
    found = [partial(save_baked, scene, folder)]

    def add(name: str, kind: str, write: Callable[[Path], object]) -> None:
        found.append(partial(_written, folder / name, kind, write))

    if scene.unwrapped is not None and scene.textures:
        add(TEXTURED_FILE, "textured_mesh", partial(export_mesh, scene))
    for name in dict.fromkeys(formats):
        if name != "ply":
            add(f"mesh.{name}", "mesh", partial(export_mesh, scene, include_textures=False))
    add(MESH_FILE, "mesh", partial(write_mesh, scene.mesh))
    add(CLOUD_FILE, "point_cloud", partial(write_cloud, scene.point_cloud))
    if scene.splats is not None:
        add(SPLAT_FILE, "splats", partial(write_splats, scene.splats))
    if preview is not None:
        add(PREVIEW_FILE, "preview", partial(_write_png, preview))
    add(CAMERA_FILE, "cameras", partial(save_trajectory, scene.cameras, format="worldstereo"))
    return found


def _written(path: Path, kind: str, write: Callable[[Path], object]) -> dict[str, str]:
    write(path)
    return {path.name: kind}


def _write_png(image: UInt8[np.ndarray, "h w 3"], path: Path) -> None:
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    write_atomically(path, png)


def _counts(scene: ReconstructedScene) -> dict[str, int]:
    counts = {
        "views": len(scene.cameras),
        "points": len(scene.point_cloud),
        "vertices": len(scene.mesh.vertices_in_world),
        "faces": len(scene.mesh.faces),
    }
    if scene.unwrapped is not None:
        counts["unwrapped_faces"] = len(scene.unwrapped.mesh.faces)
    if scene.splats is not None:
        counts["splats"] = len(scene.splats)
    return counts


def _require_content(scene: ReconstructedScene) -> None:
    """Refuses a scene that some writer would refuse, before a file of an earlier one is touched."""
    if not len(scene.mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write")
    if not len(scene.point_cloud):
        raise ExportError("the point cloud has no points; there is nothing to write")
    if scene.splats is not None and not len(scene.splats):
        raise ExportError("the scene has splats, but none in number; leave them out")


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
    written = {record.path for record in manifest.files}
    unwrapped, textures = load_baked(folder, written)
    return ReconstructedScene(
        mesh=read_mesh_ply(folder / MESH_FILE),
        point_cloud=read_cloud_ply(folder / CLOUD_FILE),
        cameras=_cameras(folder / CAMERA_FILE, manifest.views),
        unwrapped=unwrapped,
        textures=textures,
        metadata=cast("dict[str, object]", msgspec.to_builtins(manifest)),
        splats=read_splat_ply(folder / SPLAT_FILE) if SPLAT_FILE in written else None,
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
