"""First hits of camera rays on a triangle mesh, by Embree through open3d."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from worldloom.cameras import Camera
from worldloom.errors import ConfigError


@dataclass(frozen=True, eq=False)
class RayHits:
    """First hits of rays on a mesh."""

    face: Int32[np.ndarray, "n"]
    """Index of the face that is hit; -1 where none is."""
    barycentric: Float32[np.ndarray, "n 3"]
    """Weights of the corners of that face; 0 where none is hit."""
    distance: Float32[np.ndarray, "n"]
    """In lengths of the ray's direction: depth along +z for camera rays; 0 where none is hit."""


class RayCaster:
    """Casts rays at one mesh.

    The result of a ray depends on that ray alone, so it is the same for any number of threads.

    Args:
        vertices_in_world: Vertices.
        faces: Vertex indices.
        threads: Threads of a cast; 0 for one a core.

    Raises:
        ConfigError: open3d cannot be loaded.
    """

    def __init__(
        self,
        vertices_in_world: Float[np.ndarray, "v 3"],
        faces: Int32[np.ndarray, "f 3"],
        threads: int = 1,
    ) -> None:
        self._o3d = _load_open3d()
        self._threads = threads
        self._scene = self._o3d.t.geometry.RaycastingScene(nthreads=threads)
        if len(faces):
            self._scene.add_triangles(
                self._o3d.core.Tensor(np.ascontiguousarray(vertices_in_world, np.float32)),
                self._o3d.core.Tensor(np.ascontiguousarray(faces, np.uint32)),
            )

    def cast(
        self,
        origins_in_world: Float[np.ndarray, "n 3"],
        directions_in_world: Float[np.ndarray, "n 3"],
    ) -> RayHits:
        """Returns the first hit of each ray."""
        rays = self._rays(origins_in_world, directions_in_world)
        answer = self._scene.cast_rays(rays, nthreads=self._threads)
        distance = answer["t_hit"].numpy()
        hit = np.isfinite(distance)
        uv = answer["primitive_uvs"].numpy()
        barycentric = np.stack([1 - uv[:, 0] - uv[:, 1], uv[:, 0], uv[:, 1]], axis=-1)
        face = np.where(hit, answer["primitive_ids"].numpy().astype(np.int64), -1)
        return RayHits(
            face=face.astype(np.int32),
            barycentric=np.where(hit[:, None], barycentric, 0).astype(np.float32),
            distance=np.where(hit, distance, 0).astype(np.float32),
        )

    def occluded(
        self,
        origins_in_world: Float[np.ndarray, "n 3"],
        directions_in_world: Float[np.ndarray, "n 3"],
        reach: float,
    ) -> Bool[np.ndarray, "n"]:
        """Returns where a ray meets the mesh within `reach` lengths of its direction."""
        rays = self._rays(origins_in_world, directions_in_world)
        return self._scene.test_occlusions(rays, 0.0, reach, self._threads).numpy()

    def cast_camera(self, camera: Camera, samples: int = 1) -> RayHits:
        """Casts `samples` x `samples` evenly spread rays a pixel.

        Returns:
            Hits of an image `samples` times as large each way, row by row.
        """
        fine = camera.resized(
            camera.intrinsics.width_px * samples, camera.intrinsics.height_px * samples
        )
        directions = camera_rays(fine)
        origins = np.broadcast_to(fine.centre_in_world, directions.shape)
        return self.cast(origins, directions)

    def _rays(
        self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
    ) -> Any:  # an open3d tensor; open3d is imported lazily and ships no types
        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        return self._o3d.core.Tensor(rays)


def camera_rays(camera: Camera) -> Float32[np.ndarray, "n 3"]:
    """Returns the directions through all pixel centres, row by row, with length 1 along +z."""
    intrinsics = camera.intrinsics
    x = (np.arange(intrinsics.width_px) + 0.5 - intrinsics.cx) / intrinsics.fx
    y = (np.arange(intrinsics.height_px) + 0.5 - intrinsics.cy) / intrinsics.fy
    right, down, forward = camera.world_from_cam[:3, :3].T
    rays = y[:, None, None] * down + forward + x[None, :, None] * right
    return rays.reshape(-1, 3).astype(np.float32)


def face_normals(
    vertices_in_world: Float[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float32[np.ndarray, "f 3"]:
    """Returns the unit normal of each face, by its winding; 0 for a face without area."""
    a, b, c = (vertices_in_world[faces[:, k]].astype(np.float64) for k in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(
        np.float32
    )


def facing_normals(
    normals_in_world: Float32[np.ndarray, "f 3"], hits: RayHits, camera: Camera
) -> Float32[np.ndarray, "h w 3"]:
    """Returns the face normals at the hits of a camera's rays, turned towards it; else 0."""
    hit = hits.face >= 0
    normals = np.zeros((len(hits.face), 3), np.float32)
    normals[hit] = normals_in_world[hits.face[hit]]
    away = (normals * camera_rays(camera)).sum(-1) > 0
    normals[away] *= -1
    return normals.reshape(camera.intrinsics.height_px, camera.intrinsics.width_px, 3)


def _load_open3d() -> Any:  # open3d ships no types
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"open3d cannot be loaded ({error}); it needs the wheel open3d and, on Debian and "
            "Ubuntu, apt-get install libusb-1.0-0 libgl1 libgomp1",
            field="open3d",
        ) from error
    return open3d
