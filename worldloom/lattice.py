"""The global lattices: cells of space with integer coordinates, origin at the world's origin.

A cell is named by its Morton key: the bits of its coordinates interleaved (Morton 1966). Sorted
keys keep neighbours together, and a cube of cells whose side is a power of two is one range of
keys, so shards, blocks and chunks are ranges too.
"""

import numba
import numpy as np
from jaxtyping import Float64, Int64

from worldloom.errors import LimitError

AXIS_BITS = 20
"""Bits of one coordinate in a key."""
AXIS_LIMIT = 2 ** (AXIS_BITS - 1)
"""Coordinates lie in [-AXIS_LIMIT, AXIS_LIMIT)."""


@numba.njit(cache=True, nogil=True)
def _spread(value: int) -> int:
    bits = value
    bits = (bits | (bits << 32)) & 0x1F00000000FFFF
    bits = (bits | (bits << 16)) & 0x1F0000FF0000FF
    bits = (bits | (bits << 8)) & 0x100F00F00F00F00F
    bits = (bits | (bits << 4)) & 0x10C30C30C30C30C3
    return (bits | (bits << 2)) & 0x1249249249249249


@numba.njit(cache=True, nogil=True)
def _gather(key: int) -> int:
    bits = key & 0x1249249249249249
    bits = (bits | (bits >> 2)) & 0x10C30C30C30C30C3
    bits = (bits | (bits >> 4)) & 0x100F00F00F00F00F
    bits = (bits | (bits >> 8)) & 0x1F0000FF0000FF
    bits = (bits | (bits >> 16)) & 0x1F00000000FFFF
    return (bits | (bits >> 32)) & 0x1FFFFF


@numba.njit(cache=True, nogil=True)
def key_from_cell(x: int, y: int, z: int) -> int:
    """Kernel: the Morton key of one cell; the caller keeps the coordinates inside the lattice."""
    return (_spread(x + AXIS_LIMIT) << 2) | (_spread(y + AXIS_LIMIT) << 1) | _spread(z + AXIS_LIMIT)


@numba.njit(cache=True, nogil=True)
def cell_from_key(key: int) -> tuple[int, int, int]:
    """Kernel: the coordinates of one cell."""
    return (
        _gather(key >> 2) - AXIS_LIMIT,
        _gather(key >> 1) - AXIS_LIMIT,
        _gather(key) - AXIS_LIMIT,
    )


@numba.njit(cache=True, nogil=True)
def _keys(cells: np.ndarray) -> np.ndarray:
    keys = np.empty(len(cells), np.int64)
    for i in range(len(cells)):
        keys[i] = key_from_cell(cells[i, 0], cells[i, 1], cells[i, 2])
    return keys


@numba.njit(cache=True, nogil=True)
def _cells(keys: np.ndarray) -> np.ndarray:
    cells = np.empty((len(keys), 3), np.int64)
    for i in range(len(keys)):
        cells[i, 0], cells[i, 1], cells[i, 2] = cell_from_key(keys[i])
    return cells


def keys_from_cells(cells: Int64[np.ndarray, "n 3"]) -> Int64[np.ndarray, "n"]:
    """Returns the Morton keys of cells.

    Raises:
        LimitError: a coordinate lies outside the lattice.
    """
    if len(cells):
        reach = int(max(-cells.min(), cells.max() + 1))
        if reach > AXIS_LIMIT:
            raise LimitError(
                f"cell coordinate {reach} is beyond the {AXIS_LIMIT} cells that a lattice has on "
                "each side of the origin; move the trajectory nearer to the origin or use "
                "larger cells",
                value=reach,
                limit=AXIS_LIMIT,
            )
    return _keys(cells)


def cells_from_keys(keys: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n 3"]:
    """Returns the coordinates of cells."""
    return _cells(keys)


def check_extent(points: Float64[np.ndarray, "n 3"], cell_m: float, margin_m: float = 0.0) -> None:
    """Checks that points, with a margin, lie inside the lattice.

    Raises:
        LimitError: a point lies outside, or is not finite.
    """
    if not len(points):
        return
    reach_m = float(np.abs(points).max()) + margin_m
    limit_m = (AXIS_LIMIT - 1) * cell_m
    if not reach_m < limit_m:
        raise LimitError(
            f"a point lies {reach_m:.6g} from the origin, but a lattice of cells of {cell_m:.6g} "
            f"ends at {limit_m:.6g}; move the trajectory nearer to the origin or use larger cells",
            value=reach_m,
            limit=limit_m,
        )


def cells_from_points(
    points: Float64[np.ndarray, "n 3"], cell_m: float
) -> Int64[np.ndarray, "n 3"]:
    """Returns the cell that holds each point.

    Raises:
        LimitError: a point lies outside the lattice.
    """
    check_extent(points, cell_m)
    return np.floor(points / cell_m).astype(np.int64)


def touched_keys(
    points: Float64[np.ndarray, "n 3"], cell_m: float, margin_m: float
) -> Int64[np.ndarray, "k"]:
    """Returns the keys of the cells within `margin_m`, along each axis, of any point; sorted.

    Args:
        points: World points.
        cell_m: Side of a cell, world unit.
        margin_m: Not negative.

    Raises:
        LimitError: a point lies outside the lattice.
    """
    check_extent(points, cell_m, margin_m)
    return np.unique(_touched(points, cell_m, margin_m))


@numba.njit(cache=True, nogil=True)
def _touched(points: np.ndarray, cell_m: float, margin_m: float) -> np.ndarray:
    """Keys with repeats; runs of points that touch the same cells give them once."""
    keys = np.empty(4096, np.int64)
    used = 0
    low = np.zeros(3, np.int64)
    high = np.full(3, -1, np.int64)
    for i in range(len(points)):
        same = True
        for axis in range(3):
            first = np.int64(np.floor((points[i, axis] - margin_m) / cell_m))
            last = np.int64(np.floor((points[i, axis] + margin_m) / cell_m))
            same = same and first == low[axis] and last == high[axis]
            low[axis], high[axis] = first, last
        if same:
            continue
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                for z in range(low[2], high[2] + 1):
                    if used == len(keys):
                        grown = np.empty(2 * used, np.int64)
                        grown[:used] = keys
                        keys = grown
                    keys[used] = key_from_cell(x, y, z)
                    used += 1
    return keys[:used]
