"""The jobs that make a file of a finished scene."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cluster.worker.events import EventWriter
from cluster.worker.execution import runner_of
from cluster.worker.task import Outcome, Output, RenderSpec, Task
from worldloom.cameras import Camera
from worldloom.errors import ConfigError, ExportError
from worldloom.export import (
    export_cameras,
    export_mesh,
    export_point_cloud,
    export_splats,
    load_scene,
    sha256_of,
    write_mesh,
)
from worldloom.meshes import refine_mesh
from worldloom.render import MeshRenderer, TexturedRenderer
from worldloom.scene import ReconstructedScene
from worldloom.stage import Progress
from worldloom.texture import optimize_textures

OUTPUT_FOLDER = "output"
_MOST_VIEWS = 1000
_USUAL_SIDE_PX = 1280
_SAMPLES = 4


def product_job(task: Task, folder: Path, events: EventWriter) -> Outcome:
    """Makes one file of a scene.

    Args:
        task: What to do.
        folder: Of the job.
        events: Told what happens.

    Raises:
        WorldloomError: it cannot be made.
    """
    stage = task.kind.value
    events(Progress(stage, 0, 1, 0, 0))
    target = folder / OUTPUT_FOLDER
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    scene = load_scene(Path(task.scene_folder))
    made = _make(task, scene, target, events)
    file = made if made.is_file() and _is_alone(made) else _packed(target, made.stem)
    events(Progress(stage, 1, 1, 0, 0))
    place = file.relative_to(folder).as_posix()
    return Outcome(output=Output(place, file.name, file.stat().st_size, sha256_of(file)))


def _make(task: Task, scene: ReconstructedScene, target: Path, events: EventWriter) -> Path:
    match task:
        case Task(mesh=spec) if spec is not None:
            return export_mesh(
                scene,
                target / f"mesh.{spec.format}",
                spec.format,
                spec.include_textures,
                spec.texture_resolution_px,
                axes=spec.axes,
                unit_m=spec.unit_m,
                store_uri=task.store_uri,
            )
        case Task(cloud=spec) if spec is not None:
            return export_point_cloud(
                scene,
                target / f"points.{spec.format.partition('-')[0]}",
                spec.format,
                spec.include_colors,
                spec.include_normals,
                axes=spec.axes,
            )
        case Task(cameras=spec) if spec is not None:
            is_folder = spec.format.startswith("colmap")
            name = "colmap" if is_folder else f"cameras{_CAMERA_SUFFIXES.get(spec.format, '.json')}"
            return export_cameras(scene, target / name, spec.format, axes=spec.axes)
        case Task(refine=spec) if spec is not None:
            return _refined(task, scene, target)
        case Task(optimize=spec) if spec is not None:
            better = optimize_textures(
                scene,
                iterations=spec.iterations,
                store_uri=task.store_uri,
                runner=runner_of(task),
                on_progress=events,
            )
            return export_mesh(better, target / "textured.glb")
        case Task(render=spec) if spec is not None:
            return _rendered(spec, scene, target, events)
        case Task(splats=spec) if spec is not None:
            return export_splats(
                scene,
                target / f"splats.{spec.format}",
                spec.format,
                axes=spec.axes,
                unit_m=spec.unit_m,
            )
        case _:
            raise ConfigError(f"a job of the kind {task.kind} needs its part of the task")


_CAMERA_SUFFIXES = {"opencv": ".yaml", "tum": ".txt"}


def _refined(task: Task, scene: ReconstructedScene, target: Path) -> Path:
    spec = task.refine
    if spec is None:
        raise ConfigError("a refinement needs its part of the task")
    mesh = refine_mesh(
        scene.mesh, spec.remove_outliers, spec.smooth, spec.fill_holes, spec.simplify_share
    )
    if spec.format == "ply":
        write_mesh(mesh, target / "refined.ply")
        return target / "refined.ply"
    path = target / f"refined.{spec.format}"
    return export_mesh(replace(scene, mesh=mesh), path, include_textures=False)


def _rendered(
    spec: RenderSpec, scene: ReconstructedScene, target: Path, events: EventWriter
) -> Path:
    count = len(scene.cameras)
    views = spec.view_indices or tuple(range(0, count, -(-count // _MOST_VIEWS)))
    if max(views) >= count:
        raise ConfigError(
            f"view {max(views)} is none of the {count} of the scene; count from 0",
            field="view_indices",
        )
    albedo = scene.textures.get("albedo")
    if spec.include_textures and albedo is not None and scene.unwrapped is not None:
        renderer = TexturedRenderer(scene.unwrapped, albedo)
    else:
        renderer = MeshRenderer(scene.mesh)
    folder = target / "views"
    folder.mkdir()
    events(Progress("render", 0, len(views), 0, 0))
    for done, view in enumerate(views, 1):
        camera = _sized(scene.cameras[view], spec.resolution_px)
        image = renderer.render(camera, _SAMPLES).image
        _write_png(folder / f"view_{view:05}.png", image)
        events(Progress("render", done, len(views), 0, 0))
    return folder


def _sized(camera: Camera, side_px: int | None) -> Camera:
    width, height = camera.intrinsics.width_px, camera.intrinsics.height_px
    longer = max(width, height)
    scale = (side_px or min(longer, _USUAL_SIDE_PX)) / longer
    return camera.resized(max(1, round(width * scale)), max(1, round(height * scale)))


def _write_png(path: Path, image: np.ndarray) -> None:
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ExportError(f"{path.name} could not be encoded", path=path.name, format="png")
    path.write_bytes(data.tobytes())


def _is_alone(file: Path) -> bool:
    return [entry for entry in file.parent.iterdir()] == [file]


def _packed(folder: Path, stem: str) -> Path:
    """All files of a folder in one zip, in the order of their names, without their times."""
    path = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for file in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())
    shutil.rmtree(folder)
    folder.mkdir()
    return path.rename(folder / f"{stem}.zip")
