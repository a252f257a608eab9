"""Triangulation of a closed polygon in space."""

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int64


def triangulated(
    points: Float64[np.ndarray, "n 3"],
    face_normals: Float64[np.ndarray, "n 3"],
    taken: Bool[np.ndarray, "n n"],
) -> Int64[np.ndarray, "t 3"]:
    """Returns the triangles of least bend and area that fill a polygon.

    Liepa, "Filling holes in meshes", SGP 2003, section 3: of all triangulations the one whose
    largest dihedral angle, with the faces around too, is least, and of those the one of least
    area, by dynamic programming over the n^3 / 6 triangles. In a plane that is one without
    overlap: to overlap, triangles have to turn back.

    Args:
        points: Corners of the polygon, in the direction of the triangles.
        face_normals: Unit normal of the face beyond the side from each corner to the next one.
        taken: True where two corners must not be joined, as the mesh joins them already.

    Returns:
        Indices of corners; none where every triangulation needs a join that is taken.
    """
    return _filled(*_least(points, face_normals, taken))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _normal(points: np.ndarray, i: int, j: int, k: int, out: np.ndarray) -> float:
    """Unit normal of a triangle, and its area; the normal is 0 where it has none."""
    a, b, c = points[i], points[j], points[k]
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = np.sqrt(x * x + y * y + z * z)
    scale = 1.0 / length if length > 0.0 else 0.0
    out[0], out[1], out[2] = x * scale, y * scale, z * scale
    return 0.5 * length


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _least(
    points: np.ndarray, face_normals: np.ndarray, taken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best third corner over each chord, and whether there is one at all.

    The bend of a dihedral angle is 1 - cos, which grows with it: 0 flat, 2 turned back.
    """
    n = len(points)
    bend = np.full((n, n), np.inf)
    area = np.full((n, n), np.inf)
    third = np.full((n, n), -1, np.int64)
    normals = np.empty((n, n, 3), np.float32)
    for i in range(n - 1):
        bend[i, i + 1] = area[i, i + 1] = 0.0
        normals[i, i + 1] = face_normals[i]
    own = np.empty(3)
    for span in range(2, n):
        for i in range(n - span):
            j = i + span
            last = span == n - 1
            if taken[i, j] and not last:
                continue
            for m in range(i + 1, j):
                if not (bend[i, m] <= bend[i, j] and bend[m, j] <= bend[i, j]):
                    continue
                size = _normal(points, i, m, j, own)
                worst = max(bend[i, m], bend[m, j])
                worst = max(worst, 1.0 - _dot(own, normals[i, m]), 1.0 - _dot(own, normals[m, j]))
                if last:
                    worst = max(worst, 1.0 - _dot(own, face_normals[n - 1]))
                total = size + area[i, m] + area[m, j]
                if worst < bend[i, j] or (worst == bend[i, j] and total < area[i, j]):
                    bend[i, j], area[i, j], third[i, j] = worst, total, m
                    normals[i, j, 0], normals[i, j, 1], normals[i, j, 2] = own[0], own[1], own[2]
    return third, area


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filled(third: np.ndarray, area: np.ndarray) -> np.ndarray:
    n = len(third)
    triangles = np.empty((max(n - 2, 0), 3), np.int64)
    if n < 3 or not area[0, n - 1] < np.inf:
        return triangles[:0]
    stack = np.empty((n, 2), np.int64)
    stack[0, 0], stack[0, 1] = 0, n - 1
    depth, used = 1, 0
    while depth > 0:
        depth -= 1
        i, j = stack[depth, 0], stack[depth, 1]
        if j - i < 2:
            continue
        m = third[i, j]
        triangles[used, 0], triangles[used, 1], triangles[used, 2] = i, m, j
        used += 1
        stack[depth, 0], stack[depth, 1] = i, m
        stack[depth + 1, 0], stack[depth + 1, 1] = m, j
        depth += 2
    return triangles
