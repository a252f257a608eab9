"""The interactive model of a page: a light mesh, a thinned cloud, the cameras."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer

from worldloom.cameras import Camera, CameraTrajectory
from worldloom.display import Surroundings, cloud_within, jpeg_uri, shrunk
from worldloom.report._config import ReportConfig
from worldloom.report._packing import (
    STEPS,
    Columns,
    Packed,
    color_columns,
    packed,
    point_columns,
    quantised,
)
from worldloom.scene import Mesh, PointCloud, ReconstructedScene, Texture, UnwrappedMesh

_PAGES_AT_FULL_SIZE = 2
_FRUSTUM_SHARE = 0.025


@dataclass(frozen=True)
class Model:
    """What a page needs to show a scene in 3D."""

    about: dict[str, Any]
    """Numbers for the script, plain JSON values."""
    mesh: Packed
    cloud: Packed | None
    pages: tuple[str, ...]
    """Textures as data URIs; empty where vertices have colours."""
    note: str
    """What was left out to keep the page small, for people."""


def model_of(
    scene: ReconstructedScene, light: Mesh, around: Surroundings, config: ReportConfig
) -> Model | None:
    """Returns the model of a scene; None where its mesh has no faces.

    Args:
        scene: Textured where it has an unwrapped mesh of at most `config.max_textured_faces` and
            its albedo; else the light mesh with vertex colours.
        light: Its mesh within `config.max_faces`.
        around: Its surroundings; the origin of the page is their centre.
        config: Budgets.
    """
    albedo = scene.textures.get("albedo")
    unwrapped = scene.unwrapped
    pages: tuple[str, ...] = ()
    if unwrapped is not None and albedo is not None and _fits(unwrapped, config):
        about_mesh, mesh = _textured(unwrapped, around)
        pages = _texture_uris(albedo, config)
        note = f"{len(unwrapped.mesh.faces):,} textured faces."
    else:
        if not len(light.faces):
            return None
        about_mesh, mesh = _colored(light, around)
        note = f"{len(light.faces):,} of {len(scene.mesh.faces):,} faces."
    cloud = _cloud(scene.point_cloud, around, config)
    if cloud is not None:
        note += f" {cloud[0]['layout'][0]['count']:,} of {len(scene.point_cloud):,} points."
    about: dict[str, Any] = {
        "up": around.up.tolist(),
        "target": [0.0, 0.0, 0.0],
        "outwards": around.outwards.tolist(),
        "radius": around.radius,
        "range": {"near": 0.002 * around.radius, "far": 40 * around.radius},
        "frustum": 2 * _FRUSTUM_SHARE * around.radius,
        "cameras": _cameras(scene.cameras, around),
        "mesh": about_mesh,
        "cloud": None if cloud is None else cloud[0],
    }
    return Model(about, mesh, None if cloud is None else cloud[1], pages, note)


def _fits(unwrapped: UnwrappedMesh, config: ReportConfig) -> bool:
    """Whether a textured mesh can be shown as it is: it cannot be decimated without its charts."""
    return 0 < len(unwrapped.mesh.faces) <= config.max_textured_faces


def _colored(mesh: Mesh, around: Surroundings) -> tuple[dict[str, Any], Packed]:
    order, faces = _by_first_use(mesh.faces)
    places = quantised(mesh.vertices_in_world[order], around.centre)
    columns = point_columns(places)
    if mesh.colors is not None:
        columns |= color_columns(mesh.colors[order])
    done = packed(columns | _face_columns(faces))
    return _about(done, places.low, places.step, []), done


def _textured(unwrapped: UnwrappedMesh, around: Surroundings) -> tuple[dict[str, Any], Packed]:
    """Faces page by page; a vertex for each place on the map that a vertex of the mesh has."""
    by_page = np.argsort(unwrapped.page, kind="stable")
    steps = np.rint(np.clip(unwrapped.uv[by_page], 0, 1) * STEPS).astype(np.int64)
    corners = unwrapped.mesh.faces[by_page].astype(np.int64)
    names = np.stack([corners, steps[..., 0], steps[..., 1]], axis=-1).reshape(-1, 3)
    unique, number = np.unique(names, axis=0, return_inverse=True)
    order, faces = _by_first_use(number.reshape(-1, 3))
    kept = unique[order]
    places = quantised(unwrapped.mesh.vertices_in_world[kept[:, 0]], around.centre)
    places_on_map: Columns = {"u": (kept[:, 1], 2), "v": (kept[:, 2], 2)}
    columns = point_columns(places) | places_on_map
    done = packed(columns | _face_columns(faces))
    counts = np.bincount(unwrapped.page, minlength=1)
    starts = np.cumsum(counts) - counts
    groups = [
        {"id": f"page-{page}", "first": first, "count": count}
        for page, (first, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True))
    ]
    return _about(done, places.low, places.step, groups), done


def _about(
    done: Packed, low: tuple[float, ...], step: float, pages: list[dict[str, Any]]
) -> dict[str, Any]:
    layout = [asdict(column) for column in done.layout]
    return {"layout": layout, "low": low, "step": step, "pages": pages}


def _by_first_use(
    faces: Integer[np.ndarray, "f 3"],
) -> tuple[Integer[np.ndarray, "n"], Integer[np.ndarray, "f 3"]]:
    """Returns used vertices in the order in which faces come to them, and the faces in it."""
    used, first, number = np.unique(faces, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty(len(used), np.int64)
    place[order] = np.arange(len(used))
    return used[order], place[number].reshape(-1, 3)


def _face_columns(
    faces: Integer[np.ndarray, "f 3"],
) -> Columns:
    """Returns the first corner, and how far the other two lie from it."""
    a, b, c = faces.astype(np.int64).T
    return {"first": (a, 4), "second": (b - a, 4), "third": (c - a, 4)}


def _texture_uris(albedo: Texture, config: ReportConfig) -> tuple[str, ...]:
    side = config.max_texture_px
    if len(albedo.pages) > _PAGES_AT_FULL_SIZE:
        side //= 2
    return tuple(jpeg_uri(shrunk(page, side), quality=86) for page in albedo.pages)


def _cloud(
    cloud: PointCloud, around: Surroundings, config: ReportConfig
) -> tuple[dict[str, Any], Packed] | None:
    if not len(cloud) or config.max_points == 0:
        return None
    few = cloud_within(cloud, config.max_points)
    places = quantised(few.points_in_world, around.centre)
    done = packed(point_columns(places) | color_columns(few.colors))
    size = 1.6 * around.radius / np.sqrt(max(len(few), 1))
    return _about(done, places.low, places.step, []) | {"size": float(size)}, done


def _cameras(cameras: CameraTrajectory, around: Surroundings) -> list[dict[str, Any]]:
    names = cameras.frame_names or tuple(str(index) for index in cameras.frame_indices)
    return [_camera(camera, name, around) for camera, name in zip(cameras, names, strict=True)]


def _camera(camera: Camera, name: str, around: Surroundings) -> dict[str, Any]:
    lens = camera.intrinsics
    right, down, forward = camera.world_from_cam[:3, :3].T
    to_centre = around.centre - camera.centre_in_world
    return {
        "name": name,
        "path": name.rpartition("/")[0],
        "centre": np.round(-to_centre, 6).tolist(),
        "right": np.round(right, 6).tolist(),
        "down": np.round(down, 6).tolist(),
        "forward": np.round(forward, 6).tolist(),
        "halfWidth": lens.width_px / (2 * lens.fx),
        "halfHeight": lens.height_px / (2 * lens.fy),
        "depth": float(np.clip(to_centre @ forward, 0.2 * around.radius, 2 * around.radius)),
    }
