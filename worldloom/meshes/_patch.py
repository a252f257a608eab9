"""Triangles of a filled hole, refined to the density of the mesh around it."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int64

_SPLIT = 1.4142135623730951
"""Liepa's alpha: a face is split where its corners are farther from its middle than this share of
an edge would have them."""
_ROUNDS = 16
_SWEEPS = 16
_EQUILATERAL = 0.4330127018922193


@dataclass(frozen=True, eq=False)
class Patch:
    """The filling of one hole."""

    points: Float64[np.ndarray, "p 3"]
    """The corners of the loop, then the vertices inside."""
    triangles: Int64[np.ndarray, "t 3"]


def refined_patch(
    loop_points: Float64[np.ndarray, "n 3"],
    triangles: Int64[np.ndarray, "t 3"],
    taken: Bool[np.ndarray, "n n"],
) -> Patch:
    """Splits the triangles of a polygon until they are as dense as its sides.

    Liepa, "Filling holes in meshes", SGP 2003, section 4: faces are split at their middles and
    edges turned towards a Delaunay triangulation, in turn. The density is that of the mean side
    of the loop.

    Args:
        loop_points: Corners of the polygon.
        triangles: A triangulation of it.
        taken: True where two corners must not be joined.
    """
    sides = np.linalg.norm(loop_points - np.roll(loop_points, -1, axis=0), axis=1)
    edge = float(sides.mean())
    a, b, c = (loop_points[triangles[:, k]] for k in range(3))
    area = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    # Twice the vertices of a regular filling: what is beyond would only come from slivers.
    inside = int(area / (_EQUILATERAL * edge * edge)) + 8
    count = len(loop_points)
    points = np.empty((count + inside, 3))
    points[:count] = loop_points
    corners = np.empty((len(triangles) + 2 * inside, 3), np.int64)
    corners[: len(triangles)] = triangles
    opposite = np.full((len(corners), 3), -1, np.int64)
    _pair_sides(corners, opposite, len(triangles))
    used_points, used = _refine(points, corners, opposite, taken, count, len(triangles), edge)
    return Patch(points[:used_points].copy(), corners[:used].copy())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pair_sides(corners: np.ndarray, opposite: np.ndarray, used: int) -> None:
    for f in range(used):
        for k in range(3):
            a, b = corners[f, k], corners[f, (k + 1) % 3]
            for g in range(f + 1, used):
                for m in range(3):
                    if corners[g, m] == b and corners[g, (m + 1) % 3] == a:
                        opposite[f, k], opposite[g, m] = 3 * g + m, 3 * f + k


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _refine(
    points: np.ndarray,
    corners: np.ndarray,
    opposite: np.ndarray,
    taken: np.ndarray,
    used_points: int,
    used: int,
    edge: float,
) -> tuple[int, int]:
    for _ in range(_ROUNDS):
        before = used_points
        for f in range(used):
            if used_points < len(points) and _is_coarse(points, corners[f], edge):
                _split(points, corners, opposite, f, used_points, used)
                used_points += 1
                used += 2
        for _ in range(_SWEEPS):
            if _sweep(points, corners, opposite, taken, used) == 0:
                break
        if used_points == before:
            break
    return used_points, used


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_coarse(points: np.ndarray, face: np.ndarray, edge: float) -> bool:
    for k in range(3):
        square = 0.0
        for axis in range(3):
            middle = (points[face[0], axis] + points[face[1], axis] + points[face[2], axis]) / 3.0
            square += (points[face[k], axis] - middle) ** 2
        if _SPLIT * np.sqrt(square) <= edge:
            return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _link(opposite: np.ndarray, f: int, k: int, other: int) -> None:
    opposite[f, k] = other
    if other >= 0:
        opposite[other // 3, other % 3] = 3 * f + k


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _split(
    points: np.ndarray, corners: np.ndarray, opposite: np.ndarray, f: int, p: int, g: int
) -> None:
    """Splits face f at its middle, which becomes point p; the new faces are g and g + 1."""
    a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
    for axis in range(3):
        points[p, axis] = (points[a, axis] + points[b, axis] + points[c, axis]) / 3.0
    over_bc, over_ca = int(opposite[f, 1]), int(opposite[f, 2])
    h = g + 1
    corners[f, 2] = p
    corners[g, 0], corners[g, 1], corners[g, 2] = b, c, p
    corners[h, 0], corners[h, 1], corners[h, 2] = c, a, p
    _link(opposite, g, 0, over_bc)
    _link(opposite, h, 0, over_ca)
    _link(opposite, f, 1, 3 * g + 2)
    _link(opposite, g, 1, 3 * h + 2)
    _link(opposite, h, 1, 3 * f + 2)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sweep(
    points: np.ndarray, corners: np.ndarray, opposite: np.ndarray, taken: np.ndarray, used: int
) -> int:
    """Turns edges whose opposite angles sum up to more than pi; returns how many."""
    turned = 0
    for f in range(used):
        for k in range(3):
            other = opposite[f, k]
            if other < 0 or other // 3 < f:
                continue
            g, m = other // 3, other % 3
            a, b, c = corners[f, k], corners[f, (k + 1) % 3], corners[f, (k + 2) % 3]
            d = int(corners[g, (m + 2) % 3])
            if not _is_bad(points, a, b, c, d):
                continue
            if c < len(taken) and d < len(taken) and taken[c, d]:
                continue
            if _are_joined(corners, opposite, f, (k + 2) % 3, d):
                continue
            over_ad, over_db = int(opposite[g, (m + 1) % 3]), int(opposite[g, (m + 2) % 3])
            over_bc, over_ca = int(opposite[f, (k + 1) % 3]), int(opposite[f, (k + 2) % 3])
            corners[f, 0], corners[f, 1], corners[f, 2] = a, d, c
            corners[g, 0], corners[g, 1], corners[g, 2] = d, b, c
            _link(opposite, f, 0, over_ad)
            _link(opposite, f, 2, over_ca)
            _link(opposite, g, 0, over_db)
            _link(opposite, g, 1, over_bc)
            _link(opposite, f, 1, 3 * g + 2)
            turned += 1
            break
    return turned


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_bad(points: np.ndarray, a: int, b: int, c: int, d: int) -> bool:
    """Whether edge ab should become cd: not Delaunay, and the turn folds nothing."""
    angles = _angle(points, c, a, b) + _angle(points, d, a, b)
    if angles <= np.pi + 1e-9:
        return False
    before = np.zeros(3)
    _add_normal(points, a, b, c, before)
    _add_normal(points, b, a, d, before)
    first, second = np.zeros(3), np.zeros(3)
    _add_normal(points, a, d, c, first)
    _add_normal(points, d, b, c, second)
    one = two = 0.0
    for axis in range(3):
        one += before[axis] * first[axis]
        two += before[axis] * second[axis]
    return one > 0.0 and two > 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _angle(points: np.ndarray, at: int, b: int, c: int) -> float:
    dot = first = second = 0.0
    for axis in range(3):
        u, v = points[b, axis] - points[at, axis], points[c, axis] - points[at, axis]
        dot += u * v
        first += u * u
        second += v * v
    size = np.sqrt(first * second)
    return np.arccos(min(max(dot / size, -1.0), 1.0)) if size > 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_normal(points: np.ndarray, a: int, b: int, c: int, out: np.ndarray) -> None:
    ux, uy, uz = (
        points[b, 0] - points[a, 0],
        points[b, 1] - points[a, 1],
        points[b, 2] - points[a, 2],
    )
    vx, vy, vz = (
        points[c, 0] - points[a, 0],
        points[c, 1] - points[a, 1],
        points[c, 2] - points[a, 2],
    )
    out[0] += uy * vz - uz * vy
    out[1] += uz * vx - ux * vz
    out[2] += ux * vy - uy * vx


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _are_joined(corners: np.ndarray, opposite: np.ndarray, f: int, k: int, d: int) -> bool:
    """Whether the vertex at corner k of face f shares an edge with vertex d."""
    for way in range(2):
        face, corner = f, k
        for _ in range(len(corners)):
            if corners[face, (corner + 1) % 3] == d or corners[face, (corner + 2) % 3] == d:
                return True
            # Over the side that leaves the vertex, or over the one that comes to it.
            over = opposite[face, corner] if way == 0 else opposite[face, (corner + 2) % 3]
            if over < 0:
                break
            face = over // 3
            corner = (over % 3 + 1) % 3 if way == 0 else over % 3
            if face == f:
                return False
    return False
