"""A turntable: the scene rendered from all sides, as one strip of pictures."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.display import Surroundings
from worldloom.render import RayCaster, RayHits, camera_rays, face_normals
from worldloom.report._config import ReportConfig
from worldloom.scene import Mesh

COLUMNS = 6
_ASPECT = 4 / 3
_VIEW_DEG = 40.0
_DISTANCE = 3.0
"""Of the camera from the middle, in radii."""
_PAPER = (226, 229, 233)
_PLAIN = 176
_LAYERS = 6
"""Faces seen from behind that a ray may pass before it is given up."""


@dataclass(frozen=True, eq=False)
class Turntable:
    """Pictures round a scene, row by row in one image."""

    strip: UInt8[np.ndarray, "_ _ 3"]
    frames: int
    columns: int
    rows: int


def turntable(mesh: Mesh, around: Surroundings, config: ReportConfig) -> Turntable | None:
    """Renders a mesh from all sides, from above and outside.

    Faces that are seen from behind are left out, so that one looks into a room over its walls.

    Args:
        mesh: A light mesh.
        around: Where it lies.
        config: Number and size of the pictures.

    Returns:
        The pictures; None where there are no faces or none are asked for.

    Raises:
        ConfigError: open3d cannot be loaded.
    """
    if not len(mesh.faces) or not config.turntable_frames:
        return None
    vertices = mesh.vertices_in_world - around.centre
    # One thread a core: what a ray hits does not depend on it.
    caster = RayCaster(vertices, mesh.faces, threads=0)
    normals = face_normals(vertices, mesh.faces)
    shading = _Shading(mesh, caster, normals)
    width, height = config.turntable_px, round(config.turntable_px / _ASPECT)
    focal_px = width / (2 * np.tan(np.radians(_VIEW_DEG) / 2))
    lens = CameraIntrinsics(focal_px, focal_px, width / 2, height / 2, width, height)
    distance = _DISTANCE * around.radius
    frames = config.turntable_frames
    columns = min(COLUMNS, frames)
    rows = -(-frames // columns)
    strip = np.empty((rows * height, columns * width, 3), np.uint8)
    strip[:] = _PAPER
    for frame in range(frames):
        turned = _turned(distance * around.outwards, around.up, 2 * np.pi * frame / frames)
        image = shading.image(Camera(lens, _looking_home(turned, around.up)))
        row, column = divmod(frame, columns)
        strip[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    return Turntable(strip, frames, columns, rows)


class _Shading:
    """Colours of the first faces that rays meet from the front."""

    def __init__(self, mesh: Mesh, caster: RayCaster, normals: np.ndarray) -> None:
        self._faces = mesh.faces
        self._colors = (
            np.full((len(mesh.vertices_in_world), 3), _PLAIN, np.uint8)
            if mesh.colors is None
            else mesh.colors
        )
        self._caster = caster
        self._normals = normals

    def image(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        directions = camera_rays(camera)
        image = np.empty((len(directions), 3), np.uint8)
        image[:] = _PAPER
        rays = np.arange(len(directions))
        origins = np.broadcast_to(camera.centre_in_world, directions.shape)
        for _layer in range(_LAYERS):
            hits = self._caster.cast(origins, directions[rays])
            met = hits.face >= 0
            from_front = met & (
                (self._normals[np.maximum(hits.face, 0)] * directions[rays]).sum(axis=1) < 0
            )
            image[rays[from_front]] = self._color(hits, from_front)
            onwards = met & ~from_front
            if not onwards.any():
                break
            reach = hits.distance[onwards, None] * np.float32(1 + 1e-5)
            origins = origins[onwards] + reach * directions[rays[onwards]]
            rays = rays[onwards]
        return image.reshape(camera.intrinsics.height_px, camera.intrinsics.width_px, 3)

    def _color(self, hits: RayHits, chosen: np.ndarray) -> UInt8[np.ndarray, "n 3"]:
        corners = self._colors[self._faces[hits.face[chosen]]].astype(np.float32)
        color = (hits.barycentric[chosen][..., None] * corners).sum(axis=1)
        return np.rint(color).astype(np.uint8)


def _turned(
    offset: Float64[np.ndarray, "3"], up: Float64[np.ndarray, "3"], angle: float
) -> Float64[np.ndarray, "3"]:
    """Turns a vector about an axis (Rodrigues' formula)."""
    return (
        offset * np.cos(angle)
        + np.cross(up, offset) * np.sin(angle)
        + up * (up @ offset) * (1 - np.cos(angle))
    )


def _looking_home(
    position: Float64[np.ndarray, "3"], up: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """Returns `world_from_cam` of a level camera that looks at the origin."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(forward, right), forward
    pose[:3, 3] = position
    return pose
