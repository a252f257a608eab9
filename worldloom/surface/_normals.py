"""Normals of the vertices of a mesh."""

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32


def vertex_normals(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float32[np.ndarray, "v 3"]:
    """Returns unit normals of vertices: the mean over their faces, weighted by area."""
    return _normals(vertices, faces)


@numba.njit(cache=True, nogil=True)
def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(vertices), 3))
    for i in range(len(faces)):
        a, b, c = vertices[faces[i, 0]], vertices[faces[i, 1]], vertices[faces[i, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        for corner in range(3):
            total = sums[faces[i, corner]]
            total[0] += uy * vz - uz * vy
            total[1] += uz * vx - ux * vz
            total[2] += ux * vy - uy * vx
    normals = np.zeros((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        length = np.sqrt(sums[i, 0] ** 2 + sums[i, 1] ** 2 + sums[i, 2] ** 2)
        for axis in range(3):
            if length > 0.0:
                normals[i, axis] = sums[i, axis] / length
    return normals
