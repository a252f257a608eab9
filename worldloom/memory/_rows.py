"""From the depth map of one view to rows: what the view says about each cell that it sees."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from worldloom.errors import InputError
from worldloom.lattice import check_extent, key_from_cell
from worldloom.scene import DepthMap

OFFSET_STEPS = 65536
"""Fixed-point steps of a position inside its cell."""
NORMAL_STEPS = 127
"""Fixed-point steps of a component of a unit normal in a row."""
_OFFSET, _NORMAL, _COLOR, _CONFIDENCE, _COUNT = 0, 3, 6, 9, 10


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """The surface that a depth map shows, as points."""

    points_in_world: Float64[np.ndarray, "n 3"]
    pixels: Int64[np.ndarray, "n"]
    """Index of the pixel of each point in the flattened map, increasing."""


def check_depth_map(depth_map: DepthMap) -> None:
    """Checks that a depth map keeps to its contract.

    Raises:
        InputError: values that are not finite or below 0: unknown depth is written as 0.
    """
    fields = (
        ("depth", depth_map.depth),
        ("confidence", depth_map.confidence),
        ("normal", depth_map.normal_in_world),
    )
    for name, values in fields:
        bad = ~np.isfinite(values)
        if name != "normal":
            bad |= values < 0
        if bad.any():
            raise InputError(
                f"the depth map of view {depth_map.view_id} has {int(bad.sum())} {name} values "
                "that are negative or not finite; write 0 where the depth is unknown",
                view=depth_map.view_id,
            )


def points_from_depth(
    depth_map: DepthMap, *, stride_px: int = 1, min_confidence: float = 0.0
) -> SurfacePoints:
    """Returns the world points of the pixels with known depth.

    Args:
        depth_map: Checked depth map.
        stride_px: Every n-th pixel of every n-th row is taken.
        min_confidence: Pixels below it, and those of confidence 0, are left out.
    """
    camera = depth_map.camera
    lens = camera.intrinsics
    height, width = depth_map.depth.shape
    known = (depth_map.depth > 0) & (depth_map.confidence > 0)
    known &= depth_map.confidence >= np.float32(min_confidence)
    taken = np.zeros((height, width), np.bool_)
    first = stride_px // 2
    taken[first::stride_px, first::stride_px] = True
    pixels = np.flatnonzero(known & taken)
    points = _unproject(
        depth_map.depth,
        pixels,
        np.array([lens.fx, lens.fy, lens.cx, lens.cy]),
        np.ascontiguousarray(camera.world_from_cam),
    )
    return SurfacePoints(points, pixels)


@numba.njit(cache=True, nogil=True)
def _unproject(
    depth: np.ndarray, pixels: np.ndarray, lens: np.ndarray, world_from_cam: np.ndarray
) -> np.ndarray:
    width = depth.shape[1]
    points = np.empty((len(pixels), 3))
    for i in range(len(pixels)):
        row, column = pixels[i] // width, pixels[i] % width
        z = np.float64(depth[row, column])
        x = (column + 0.5 - lens[2]) / lens[0] * z
        y = (row + 0.5 - lens[3]) / lens[1] * z
        for axis in range(3):
            turned = (
                world_from_cam[axis, 0] * x
                + world_from_cam[axis, 1] * y
                + world_from_cam[axis, 2] * z
            )
            points[i, axis] = turned + world_from_cam[axis, 3]
    return points


def rows_from_points(
    surface: SurfacePoints,
    depth_map: DepthMap,
    image: UInt8[np.ndarray, "h w 3"],
    cell_m: float,
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n 11"]]:
    """Averages the points of one view by cell.

    Args:
        surface: Points of the view.
        depth_map: Where they come from.
        image: Colours at the size of the map, sRGB.
        cell_m: Side of a cell, world unit.

    Returns:
        Keys of the cells, sorted, and per cell the fixed-point means: offset in the cell (3),
        normal (3), colour (3), confidence, and the number of pixels.

    Raises:
        LimitError: a point lies outside the lattice.
    """
    check_extent(surface.points_in_world, cell_m)
    keys, values = _quantise(
        surface.points_in_world,
        surface.pixels,
        depth_map.normal_in_world.reshape(-1, 3),
        image.reshape(-1, 3),
        depth_map.confidence.reshape(-1),
        cell_m,
    )
    order = np.argsort(keys, kind="stable")
    return _average(keys, values, order)


@numba.njit(cache=True, nogil=True)
def _quantise(
    points: np.ndarray,
    pixels: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    confidence: np.ndarray,
    cell_m: float,
) -> tuple[np.ndarray, np.ndarray]:
    keys = np.empty(len(points), np.int64)
    values = np.empty((len(points), 10), np.int32)
    cell = np.empty(3, np.int64)
    for i in range(len(points)):
        pixel = pixels[i]
        for axis in range(3):
            position = points[i, axis] / cell_m
            cell[axis] = np.int64(np.floor(position))
            step = np.int64((position - cell[axis]) * OFFSET_STEPS)
            values[i, _OFFSET + axis] = min(max(step, 0), OFFSET_STEPS - 1)
            normal = np.float64(normals[pixel, axis])
            values[i, _NORMAL + axis] = np.int64(np.rint(normal * NORMAL_STEPS))
            values[i, _COLOR + axis] = colors[pixel, axis]
        certainty = np.int64(np.rint(min(np.float64(confidence[pixel]), 1.0) * 255))
        values[i, _CONFIDENCE] = max(certainty, 1)
        keys[i] = key_from_cell(cell[0], cell[1], cell[2])
    return keys, values


@numba.njit(cache=True, nogil=True)
def _average(
    keys: np.ndarray, values: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    cells = np.empty(len(keys), np.int64)
    rows = np.zeros((len(keys), 11), np.int64)
    last = -1
    for i in range(len(order)):
        source = order[i]
        if last < 0 or cells[last] != keys[source]:
            last += 1
            cells[last] = keys[source]
        for column in range(10):
            rows[last, column] += values[source, column]
        rows[last, _COUNT] += 1
    for i in range(last + 1):
        count = rows[i, _COUNT]
        for column in range(10):
            if _NORMAL <= column < _COLOR:
                continue
            rows[i, column] = (rows[i, column] + count // 2) // count
        x, y, z = rows[i, _NORMAL], rows[i, _NORMAL + 1], rows[i, _NORMAL + 2]
        length = np.sqrt(np.float64(x * x + y * y + z * z))
        for axis in range(3):
            scaled = 0.0 if length == 0 else rows[i, _NORMAL + axis] / length * NORMAL_STEPS
            rows[i, _NORMAL + axis] = np.int64(np.rint(scaled))
        rows[i, _COUNT] = min(count, 65535)
    return cells[: last + 1].copy(), rows[: last + 1].copy()
