"""Depth and normals of Gaussians, as a surface would have them."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32

from worldloom.cameras import Camera
from worldloom.splat import _projection as projection
from worldloom.splat._blending import TILE_PX
from worldloom.splat._crew import Crew
from worldloom.splat._rasterizer import Scene, rasterize


@dataclass(frozen=True, eq=False)
class SplatGeometry:
    """What a view of Gaussians says about the surface."""

    image: Float32[np.ndarray, "h w 3"]
    """sRGB, 0 to 1 and above; black behind all."""
    depth: Float32[np.ndarray, "h w"]
    """Depth along +z at which half of the light is spent, world unit; 0 where it never is."""
    normal_in_world: Float32[np.ndarray, "h w 3"]
    """Unit mean normal, towards the camera; 0 where depth is."""
    alpha: Float32[np.ndarray, "h w"]
    """0 to 1."""


def render_geometry(scene: Scene, camera: Camera, degree: int, crew: Crew) -> SplatGeometry:
    """Renders image, median depth and normals.

    A Gaussian is taken as the plane of its two longer axes, which the ray meets at a depth of its
    own, no further from the centre than three of its deviations; without this, slanted surfaces
    are stairs (Huang et al., "2D Gaussian splatting", 2024; the median as in its section 4.3).

    Args:
        scene: The Gaussians.
        camera: At the size of the result.
        degree: Of the spherical harmonics; at most that of the scene.
        crew: Threads.
    """
    raster = rasterize(scene, camera, degree, crew)
    shape = raster.alpha.shape
    depth, normals = np.empty(shape, np.float32), np.empty((*shape, 3), np.float32)
    lists = raster.lists
    crew.run(
        *(_blend_planes, raster.projected, raster.boxes, lists.starts, lists.ids, lists.columns),
        *(raster.last, depth, normals),
    )
    lengths = np.linalg.norm(normals, axis=2, keepdims=True)
    unit = normals / np.maximum(lengths, np.float32(1e-12))
    turned = unit @ camera.world_from_cam[:3, :3].T.astype(np.float32)
    known = (depth > 0)[..., None] & (lengths > 0)
    return SplatGeometry(
        raster.image, depth, np.where(known, turned, 0).astype(np.float32), raster.alpha
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _blend_planes(
    first: int,
    step: int,
    projected: np.ndarray,
    boxes: np.ndarray,
    starts: np.ndarray,
    ids: np.ndarray,
    columns: int,
    last: np.ndarray,
    depth: np.ndarray,
    normals: np.ndarray,
) -> None:
    """Fills every `step`-th tile of `depth` [h w] and of the sum of `normals` [h w 3] (camera)."""
    height, width = depth.shape
    for tile in range(first, len(starts) - 1, step):
        left, top = (tile % columns) * TILE_PX, (tile // columns) * TILE_PX
        for y in range(top, min(top + TILE_PX, height)):
            for x in range(left, min(left + TILE_PX, width)):
                light, middle = 1.0, 0.0
                nx, ny, nz = 0.0, 0.0, 0.0
                for slot in range(starts[tile], starts[tile] + last[y, x]):
                    n = ids[slot]
                    if not (boxes[n, 0] <= x < boxes[n, 2] and boxes[n, 1] <= y < boxes[n, 3]):
                        continue
                    g = projected[n]
                    dx, dy = x + 0.5 - g[0], y + 0.5 - g[1]
                    s = 0.5 * (g[2] * dx * dx + g[4] * dy * dy) + g[3] * dx * dy
                    alpha = min(g[5] * np.exp(-s), 0.999)
                    if alpha < projection.MIN_ALPHA:
                        continue
                    weight = alpha * light
                    light *= 1.0 - alpha
                    nx, ny = nx + weight * g[14], ny + weight * g[15]
                    nz -= weight * np.sqrt(max(0.0, 1.0 - g[14] * g[14] - g[15] * g[15]))
                    if middle == 0.0 and light <= 0.5:
                        inverse = g[10] + g[11] * dx + g[12] * dy
                        reach = g[13]
                        near, far = max(g[9] - reach, 0.1 * g[9]), g[9] + reach
                        middle = far if inverse <= 1.0 / far else max(near, 1.0 / inverse)
                depth[y, x] = middle
                normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = nx, ny, nz
