"""Rendering the memory into a view: the depth prior."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int32

from worldloom.cameras import Camera
from worldloom.scene import PointCloud

_MAX_RADIUS_PX = 16.0
"""Bound of a splat's radius: a cell right before the camera must not cover the image."""


@dataclass(frozen=True, eq=False)
class DepthPrior:
    """What the memory expects a view to see."""

    depth: Float32[np.ndarray, "h w"]
    """Along +z, world unit; 0 = the memory knows nothing."""
    confidence: Float32[np.ndarray, "h w"]
    """0 to 1."""
    count: Int32[np.ndarray, "h w"]
    """Most views that saw one of the blended cells; 0 = unknown."""
    normal_in_world: Float32[np.ndarray, "h w 3"]
    """Unit normals; 0 = unknown."""


def render_points(cloud: PointCloud, cell_m: float, camera: Camera) -> DepthPrior:
    """Splats points as small discs: nearest surface first, then a blend of what lies on it.

    Two passes, as in surface splatting (Zwicker et al. 2001, "Surface splatting", section 5): a
    depth buffer of the nearest discs, then a weighted mean over the discs within two cells of it.
    Discs that face away from the camera are left out.

    Args:
        cloud: Points in canonical order; the result depends on no other order.
        cell_m: Spacing of the points, world unit.
        camera: The view, at the size of the result.
    """
    lens = camera.intrinsics
    depth, confidence, normal, count = _splat(
        cloud.points_in_world,
        cloud.normals_in_world,
        cloud.confidence,
        cloud.count,
        np.ascontiguousarray(camera.cam_from_world),
        np.array([lens.fx, lens.fy, lens.cx, lens.cy]),
        np.empty((lens.height_px, lens.width_px, 0), np.bool_),
        cell_m,
    )
    return DepthPrior(depth, confidence, count, normal)


@numba.njit(cache=True, nogil=True)
def _footprint(
    point: np.ndarray,
    normal: np.ndarray,
    cam_from_world: np.ndarray,
    lens: np.ndarray,
    cell_m: float,
    out: np.ndarray,
) -> bool:
    """Writes x, y, radius (pixels), depth and inverse-depth slopes of a disc; False if unseen."""
    x = y = z = nx = ny = nz = 0.0
    for axis in range(3):
        x += cam_from_world[0, axis] * point[axis]
        y += cam_from_world[1, axis] * point[axis]
        z += cam_from_world[2, axis] * point[axis]
        nx += cam_from_world[0, axis] * normal[axis]
        ny += cam_from_world[1, axis] * normal[axis]
        nz += cam_from_world[2, axis] * normal[axis]
    x, y, z = x + cam_from_world[0, 3], y + cam_from_world[1, 3], z + cam_from_world[2, 3]
    if z <= cell_m:
        return False
    distance = np.sqrt(x * x + y * y + z * z)
    towards = -(nx * x + ny * y + nz * z) / distance
    known = nx != 0.0 or ny != 0.0 or nz != 0.0
    if known and towards < 0.05:
        return False
    out[0] = x / z * lens[0] + lens[2]
    out[1] = y / z * lens[1] + lens[3]
    out[2] = min(0.75 * cell_m * max(lens[0], lens[1]) / z + 0.5, _MAX_RADIUS_PX)
    out[3] = z
    out[4] = out[5] = 0.0
    if known and towards > 0.2:
        plane = nx * x + ny * y + nz * z
        out[4] = nx / (lens[0] * plane)
        out[5] = ny / (lens[1] * plane)
    return True


@numba.njit(cache=True, nogil=True)
def _splat(
    points: np.ndarray,
    normals: np.ndarray,
    confidence: np.ndarray,
    count: np.ndarray,
    cam_from_world: np.ndarray,
    lens: np.ndarray,
    shape: np.ndarray,
    cell_m: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    height, width = shape.shape[0], shape.shape[1]
    nearest = np.full((height, width), np.inf)
    sums = np.zeros((height, width, 6))
    views = np.zeros((height, width), np.int32)
    disc = np.empty(6)
    for blend in (False, True):
        for i in range(len(points)):
            if not _footprint(points[i], normals[i], cam_from_world, lens, cell_m, disc):
                continue
            radius = disc[2]
            first_row = max(np.int64(np.ceil(disc[1] - radius - 0.5)), 0)
            last_row = min(np.int64(np.floor(disc[1] + radius - 0.5)), height - 1)
            first_column = max(np.int64(np.ceil(disc[0] - radius - 0.5)), 0)
            last_column = min(np.int64(np.floor(disc[0] + radius - 0.5)), width - 1)
            for row in range(first_row, last_row + 1):
                for column in range(first_column, last_column + 1):
                    dx, dy = column + 0.5 - disc[0], row + 0.5 - disc[1]
                    off = (dx * dx + dy * dy) / (radius * radius)
                    if off > 1.0:
                        continue
                    inverse = 1.0 / disc[3] + disc[4] * dx + disc[5] * dy
                    low, high = disc[3] - 2 * cell_m, disc[3] + 2 * cell_m
                    depth = min(max(1.0 / inverse, low), high) if inverse > 0.0 else high
                    if not blend:
                        nearest[row, column] = min(nearest[row, column], depth)
                    elif depth <= nearest[row, column] + 2 * cell_m:
                        weight = confidence[i] * (1.0625 - off)
                        sums[row, column, 0] += weight
                        sums[row, column, 1] += weight * depth
                        sums[row, column, 2] += weight * confidence[i]
                        for axis in range(3):
                            sums[row, column, 3 + axis] += weight * normals[i, axis]
                        views[row, column] = max(views[row, column], count[i])
    return *_means(sums), views


@numba.njit(cache=True, nogil=True)
def _means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = sums.shape[0], sums.shape[1]
    depth = np.zeros((height, width), np.float32)
    certainty = np.zeros((height, width), np.float32)
    normal = np.zeros((height, width, 3), np.float32)
    for row in range(height):
        for column in range(width):
            total = sums[row, column]
            if total[0] > 0.0:
                depth[row, column] = total[1] / total[0]
                certainty[row, column] = total[2] / total[0]
                length = np.sqrt(total[3] ** 2 + total[4] ** 2 + total[5] ** 2)
                for axis in range(3):
                    if length > 0.0:
                        normal[row, column, axis] = total[3 + axis] / length
    return depth, certainty, normal
