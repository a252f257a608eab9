"""Planes of a view: grown over cells of trusted depth, to be carried on into what is unknown.

A plane in space is a plane in inverse depth, so cells of the depth map have their plane by least
squares, and neighbours that lie on one plane are joined, best first; after "Fast plane extraction
in organized point clouds" (Feng, Taguchi and Kamat, ICRA 2014), which does the same on depth.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

CELL_PX = 8
"""Side of a cell."""
_MIN_CELLS = 4
"""Cells from which on a plane is one: fewer say more about noise than about slope."""
_MIN_FILL = 0.3
"""Share of a cell that has to be trusted."""


@dataclass(frozen=True, eq=False)
class ViewPlanes:
    """The planes of a view."""

    labels: Int32[np.ndarray, "h w"]
    """Plane that a trusted pixel lies on; -1 = none."""
    planes: Float32[np.ndarray, "p 3"]
    """(a, b, c): inverse depth is `a x + b y + c` at the pixel whose centre is (x, y), the top-left
    one at (0, 0); 1 / world unit."""


def view_planes(
    inverse: Float32[np.ndarray, "h w"], trusted: Bool[np.ndarray, "h w"], tolerance: float
) -> ViewPlanes:
    """Finds the planes of a view.

    Args:
        inverse: Inverse depth, 1 / world unit.
        trusted: Where it counts.
        tolerance: Root mean square distance up to which cells lie on a plane, 1 / world unit.
    """
    height, width = inverse.shape
    sums = _cell_sums(inverse.astype(np.float64), trusted)
    owner, planes = _grow(sums, tolerance)
    owner, planes = _join(sums, owner, planes, tolerance)
    cells = np.repeat(np.repeat(owner, CELL_PX, axis=0), CELL_PX, axis=1)[:height, :width]
    y, x = np.mgrid[:height, :width]
    plane = planes[np.maximum(cells, 0)] if len(planes) else np.zeros((height, width, 3))
    off = np.abs(plane[..., 0] * x + plane[..., 1] * y + plane[..., 2] - inverse)
    labels = np.where(trusted & (cells >= 0) & (off < 3 * tolerance), cells, -1)
    return ViewPlanes(labels.astype(np.int32), planes.astype(np.float32))


def _cell_sums(
    inverse: Float64[np.ndarray, "h w"], trusted: Bool[np.ndarray, "h w"]
) -> Float64[np.ndarray, "r c 10"]:
    """Sums over the trusted pixels of each cell: 1, x, y, w, xx, xy, yy, xw, yw, ww."""
    height, width = inverse.shape
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    w = inverse
    terms = np.stack([np.ones_like(x), x, y, w, x * x, x * y, y * y, x * w, y * w, w * w], -1)
    terms[~trusted] = 0
    padding = ((0, rows * CELL_PX - height), (0, columns * CELL_PX - width), (0, 0))
    terms = np.pad(terms, padding)
    return terms.reshape(rows, CELL_PX, columns, CELL_PX, 10).sum(axis=(1, 3))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _plane(s: np.ndarray) -> tuple[float, float, float, float]:
    """Least squares plane of sums, and its mean square distance; infinite where undetermined."""
    n = max(s[0], 1.0)
    mx, my, mw = s[1] / n, s[2] / n, s[3] / n
    xx, xy, yy = s[4] / n - mx * mx, s[5] / n - mx * my, s[6] / n - my * my
    xw, yw, ww = s[7] / n - mx * mw, s[8] / n - my * mw, s[9] / n - mw * mw
    determinant = xx * yy - xy * xy
    if determinant <= 1e-3 * xx * yy or s[0] < 3:
        return 0.0, 0.0, 0.0, np.inf
    a = (xw * yy - yw * xy) / determinant
    b = (yw * xx - xw * xy) / determinant
    return a, b, mw - a * mx - b * my, max(ww - a * xw - b * yw, 0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _distance(s: np.ndarray, a: float, b: float, c: float) -> float:
    """Mean square distance of sums from a plane."""
    total = s[9] + a * a * s[4] + b * b * s[6] + c * c * s[0]
    total += 2 * (a * b * s[5] + a * c * s[1] + b * c * s[2] - a * s[7] - b * s[8] - c * s[3])
    return max(total, 0.0) / max(s[0], 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _grow(sums: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Grows planes from the flattest cells on; returns the plane of each cell, and the planes."""
    rows, columns = sums.shape[:2]
    limit = tolerance * tolerance
    error = np.full(rows * columns, np.inf)
    for i in range(rows * columns):
        s = sums[i // columns, i % columns]
        if s[0] >= _MIN_FILL * CELL_PX * CELL_PX:
            error[i] = _plane(s)[3]
    owner = np.full((rows, columns), -1, np.int32)
    planes = np.zeros((rows * columns, 3))
    found = 0
    members = np.empty(rows * columns, np.int64)
    for seed in np.argsort(error, kind="mergesort"):
        if error[seed] > limit:
            break
        if owner[seed // columns, seed % columns] >= 0:
            continue
        count = _flood(sums, error, limit, seed, found, owner, members, planes[found])
        if count >= _MIN_CELLS:
            found += 1
            continue
        for i in range(count):
            owner[members[i] // columns, members[i] % columns] = -1
    return owner, planes[:found].copy()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flood(
    sums: np.ndarray,
    error: np.ndarray,
    limit: float,
    seed: int,
    label: int,
    owner: np.ndarray,
    members: np.ndarray,
    plane: np.ndarray,
) -> int:
    """Gives `label` to the cells around a seed that lie on its plane; returns their number."""
    rows, columns = owner.shape
    total = sums[seed // columns, seed % columns].copy()
    a, b, c, _ = _plane(total)
    owner[seed // columns, seed % columns] = label
    members[0] = seed
    first, last = 0, 1
    while first < last:
        row, column = members[first] // columns, members[first] % columns
        first += 1
        for step in range(4):
            r = row + (step == 0) - (step == 1)
            k = column + (step == 2) - (step == 3)
            if r < 0 or k < 0 or r >= rows or k >= columns or owner[r, k] >= 0:
                continue
            near = _distance(sums[r, k], a, b, c) <= 2 * limit
            fit = _plane(total + sums[r, k])
            if near and error[r * columns + k] <= 4 * limit and fit[3] <= limit:
                total += sums[r, k]
                a, b, c = fit[0], fit[1], fit[2]
                owner[r, k] = label
                members[last] = r * columns + k
                last += 1
    plane[0], plane[1], plane[2] = a, b, c
    return last


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _join(
    sums: np.ndarray, owner: np.ndarray, planes: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Joins planes that lie on one plane, also across what is unknown between them."""
    count, limit = len(planes), tolerance * tolerance
    totals = np.zeros((count, 10))
    _add_up(sums, owner, totals)
    into = np.arange(count)
    for i in range(count):
        for j in range(i):
            if into[i] != i or into[j] != j:
                continue
            a, b, c, error = _plane(totals[i] + totals[j])
            apart = max(_distance(totals[i], a, b, c), _distance(totals[j], a, b, c))
            if error <= limit and apart < 2 * limit:
                totals[j] += totals[i]
                planes[j, 0], planes[j, 1], planes[j, 2] = a, b, c
                into[i] = j
    joined = owner.copy()
    for r in range(owner.shape[0]):
        for k in range(owner.shape[1]):
            if owner[r, k] >= 0:
                joined[r, k] = into[owner[r, k]]
    return joined, planes


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_up(sums: np.ndarray, owner: np.ndarray, totals: np.ndarray) -> None:
    """Adds the sums of the cells to those of their planes."""
    for r in range(owner.shape[0]):
        for k in range(owner.shape[1]):
            if owner[r, k] >= 0:
                totals[owner[r, k]] += sums[r, k]
