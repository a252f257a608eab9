"""The compiled kernels of fusion, in one module.

numba keeps compiled code by the content of the module that a kernel stands in, and does not notice
when a kernel or a constant changes that it takes from another one. What calls each other and may
change therefore stands together here.
"""

from typing import NamedTuple

import numba
import numpy as np

from worldloom.memory import BLOCK_VOXELS

MIN_COSINE = 0.1
"""Pixels that see their surface at a more grazing angle are left out."""
MAX_DEPTH_BEHIND = 2.0
"""A pixel says nothing about points further behind its surface in depth, truncation distances: on a
round thing, a tangent plane soon touches the far side."""
TILE_PX = 16
"""Side of the tiles by which blocks behind the surface are skipped."""
_UNKNOWN_COSINE = 0.5
"""Angle assumed for the weight of a pixel without a normal."""
SAMPLES = BLOCK_VOXELS + 1
"""Samples a side of a block: the first layer of the next block belongs to both."""


class Lens(NamedTuple):
    """How a view projects, and how far it sees."""

    fx: float
    fy: float
    cx: float
    cy: float
    far_m: float
    """Depth beyond which the view says nothing, world unit."""


class Measure(NamedTuple):
    """What a view says about a point."""

    weight: float
    """0 = nothing."""
    distance: float
    """From the tangent plane of the surface; positive before it."""
    depth_behind: float
    """From the same plane along +z; positive behind it."""


@numba.njit(cache=True, nogil=True)
def planes(
    depth: np.ndarray,
    confidence: np.ndarray,
    normal_in_world: np.ndarray,
    cam_from_world: np.ndarray,
    lens: Lens,
    voxel_m: float,
    truncation_m: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tangent planes with weights, and the reach of the tiles; see `SurfaceView`."""
    height, width = depth.shape
    found = np.zeros((height, width, 5), np.float32)
    tiles = ((height + TILE_PX - 1) // TILE_PX, (width + TILE_PX - 1) // TILE_PX)
    reach = np.zeros(tiles)
    sharp_m = max(lens.fx, lens.fy) * voxel_m
    for row in range(height):
        for column in range(width):
            z = np.float64(depth[row, column])
            if z <= 0.0:
                continue
            x, y = (column + 0.5 - lens.cx) / lens.fx, (row + 0.5 - lens.cy) / lens.fy
            a, b, c = normal_in_world[row, column]
            nx = cam_from_world[0, 0] * a + cam_from_world[0, 1] * b + cam_from_world[0, 2] * c
            ny = cam_from_world[1, 0] * a + cam_from_world[1, 1] * b + cam_from_world[1, 2] * c
            nz = cam_from_world[2, 0] * a + cam_from_world[2, 1] * b + cam_from_world[2, 2] * c
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            if length > 0.0:
                nx, ny, nz = nx / length, ny / length, nz / length
                slope = nx * x + ny * y + nz
                cosine = -slope / np.sqrt(x * x + y * y + 1.0)
                if cosine < MIN_COSINE:
                    continue
            else:
                nx, ny, nz, slope, cosine = 0.0, 0.0, -1.0, -1.0, _UNKNOWN_COSINE
            found[row, column, 0] = nx
            found[row, column, 1] = ny
            found[row, column, 2] = nz
            found[row, column, 3] = slope * z
            found[row, column, 4] = confidence[row, column] * cosine * min((sharp_m / z) ** 2, 4.0)
            flattest = slope + 0.5 * (abs(nx) / lens.fx + abs(ny) / lens.fy)
            last = lens.far_m
            if flattest < 0.0:
                last = min((slope * z - truncation_m) / flattest * 1.001, lens.far_m)
            tile_row, tile_column = row // TILE_PX, column // TILE_PX
            reach[tile_row, tile_column] = max(reach[tile_row, tile_column], last)
    return found, reach


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _measure(x: float, y: float, z: float, planes: np.ndarray, lens: Lens) -> Measure:
    """Returns what a view says about a point in camera coordinates."""
    if z <= 0.0 or z > lens.far_m:
        return Measure(0.0, 0.0, 0.0)
    inverse = 1.0 / z
    u, v = x * inverse * lens.fx + lens.cx, y * inverse * lens.fy + lens.cy
    if not (u >= 0.0 and u < planes.shape[1] and v >= 0.0 and v < planes.shape[0]):
        return Measure(0.0, 0.0, 0.0)
    row, column = np.uint32(np.int32(v)), np.uint32(np.int32(u))
    along = planes[row, column, 0] * x + planes[row, column, 1] * y + planes[row, column, 2] * z
    distance = along - planes[row, column, 3]
    weight = np.float64(planes[row, column, 4])
    return Measure(weight, distance, 0.0 if weight == 0.0 else z * distance / along)


@numba.njit(cache=True, nogil=True)
def visible(
    corners: np.ndarray,
    side_m: float,
    reach: np.ndarray,
    shape: np.ndarray,
    cam_from_world: np.ndarray,
    lens: Lens,
) -> np.ndarray:
    """Returns which cubes a view may say something about, by their image and their depth."""
    seen = np.zeros(len(corners), np.bool_)
    for i in range(len(corners)):
        nearest, furthest = np.inf, -np.inf
        left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
        for corner in range(8):
            wx = corners[i, 0] + (corner & 1) * side_m
            wy = corners[i, 1] + (corner >> 1 & 1) * side_m
            wz = corners[i, 2] + (corner >> 2 & 1) * side_m
            at = cam_from_world[:3, 0] * wx + cam_from_world[:3, 1] * wy
            at = at + cam_from_world[:3, 2] * wz + cam_from_world[:3, 3]
            nearest, furthest = min(nearest, at[2]), max(furthest, at[2])
            z = max(at[2], 1e-12)
            u, v = at[0] / z * lens.fx + lens.cx, at[1] / z * lens.fy + lens.cy
            left, right = min(left, u), max(right, u)
            top, bottom = min(top, v), max(bottom, v)
        if nearest <= 0.05 * side_m:
            # Partly behind the camera: its image is no rectangle. It may be seen if any is before.
            left, top, right, bottom = 0.0, 0.0, shape[1] - 1.0, shape[0] - 1.0
        first_row = max(np.int64(np.floor(max(top, 0.0) - 0.01)), 0) // TILE_PX
        first_column = max(np.int64(np.floor(max(left, 0.0) - 0.01)), 0) // TILE_PX
        last_row = np.int64(np.floor(min(bottom + 0.01, shape[0] - 1.0))) // TILE_PX
        last_column = np.int64(np.floor(min(right + 0.01, shape[1] - 1.0))) // TILE_PX
        if furthest <= 0.0 or bottom < -0.01 or right < -0.01:
            continue
        for tile_row in range(first_row, last_row + 1):
            for tile_column in range(first_column, last_column + 1):
                if reach[tile_row, tile_column] >= nearest and reach[tile_row, tile_column] > 0.0:
                    seen[i] = True
    return seen


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _axis_terms(first: int, axis: int, cam_from_world: np.ndarray, voxel_m: float) -> np.ndarray:
    """Share of one world axis in the camera coordinates of samples: a function of the lattice."""
    terms = np.empty((SAMPLES, 3))
    for i in range(SAMPLES):
        position = (first + i) * voxel_m
        for row in range(3):
            terms[i, row] = cam_from_world[row, axis] * position
    return terms


@numba.njit(cache=True, nogil=True, error_model="numpy")
def integrate(
    blocks: np.ndarray,
    visible: np.ndarray,
    distances: np.ndarray,
    weights: np.ndarray,
    seen: np.ndarray,
    planes: np.ndarray,
    cam_from_world: np.ndarray,
    lens: Lens,
    voxel_m: float,
    truncation_m: float,
    carve_weight: float,
) -> None:
    """Adds a view to the samples of the visible blocks; see `Volume.integrate`."""
    for block in range(len(blocks)):
        if not visible[block]:
            continue
        along_x = _axis_terms(blocks[block, 0] * BLOCK_VOXELS, 0, cam_from_world, voxel_m)
        along_y = _axis_terms(blocks[block, 1] * BLOCK_VOXELS, 1, cam_from_world, voxel_m)
        along_z = _axis_terms(blocks[block, 2] * BLOCK_VOXELS, 2, cam_from_world, voxel_m)
        _integrate_block(
            distances[block],
            weights[block],
            seen[block],
            planes,
            along_x,
            along_y + cam_from_world[:3, 3],
            along_z,
            lens,
            truncation_m,
            carve_weight,
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _integrate_block(
    distances: np.ndarray,
    weights: np.ndarray,
    seen: np.ndarray,
    planes: np.ndarray,
    along_x: np.ndarray,
    along_y: np.ndarray,
    along_z: np.ndarray,
    lens: Lens,
    truncation_m: float,
    carve_weight: float,
) -> None:
    for i in range(SAMPLES):
        for j in range(SAMPLES):
            base_x = along_x[i, 0] + along_y[j, 0]
            base_y = along_x[i, 1] + along_y[j, 1]
            base_z = along_x[i, 2] + along_y[j, 2]
            for k in range(SAMPLES):
                x, y, z = base_x + along_z[k, 0], base_y + along_z[k, 1], base_z + along_z[k, 2]
                weight, distance, depth_behind = _measure(x, y, z, planes, lens)
                if weight == 0.0 or distance < -truncation_m:
                    continue
                if depth_behind > MAX_DEPTH_BEHIND * truncation_m:
                    continue
                share = distance / truncation_m
                if share < 1.0:
                    seen[i, j, k] += np.uint16(1)
                    if share < 0.0:
                        weight *= 1.0 + share
                else:
                    share = 1.0
                    weight *= carve_weight
                distances[i, j, k] += np.float32(weight * share)
                weights[i, j, k] += np.float32(weight)


@numba.njit(cache=True, nogil=True)
def sample(
    points: np.ndarray,
    candidates: np.ndarray,
    planes: np.ndarray,
    cam_from_world: np.ndarray,
    lens: Lens,
    image: np.ndarray,
    voxel_m: float,
    truncation_m: float,
    sums: np.ndarray,
) -> None:
    """Adds the weighted colours of a view, and their weights, to `sums`; see `VertexColors`."""
    at = np.empty(3)
    for i in range(len(points)):
        if not candidates[i]:
            continue
        for row in range(3):
            at[row] = (
                cam_from_world[row, 0] * points[i, 0]
                + cam_from_world[row, 1] * points[i, 1]
                + cam_from_world[row, 2] * points[i, 2]
            ) + cam_from_world[row, 3]
        weight, distance, depth_behind = _measure(at[0], at[1], at[2], planes, lens)
        if weight == 0.0 or abs(distance) >= truncation_m:
            continue
        u, v = at[0] / at[2] * lens.fx + lens.cx, at[1] / at[2] * lens.fy + lens.cy
        weight /= (1.0 + (depth_behind / voxel_m) ** 2) ** 2
        for channel in range(3):
            sums[i, channel] += weight * _bilinear(image, u - 0.5, v - 0.5, channel)
        sums[i, 3] += weight


@numba.njit(cache=True, nogil=True)
def _bilinear(image: np.ndarray, x: float, y: float, channel: int) -> float:
    """Value at a position where the centre of the top-left pixel is (0, 0)."""
    x = min(max(x, 0.0), image.shape[1] - 1.0)
    y = min(max(y, 0.0), image.shape[0] - 1.0)
    left, top = np.int64(x), np.int64(y)
    right, bottom = min(left + 1, image.shape[1] - 1), min(top + 1, image.shape[0] - 1)
    across, down = x - left, y - top
    upper = image[top, left, channel] * (1 - across) + image[top, right, channel] * across
    lower = image[bottom, left, channel] * (1 - across) + image[bottom, right, channel] * across
    return upper * (1 - down) + lower * down
