"""Boundary loops of a manifold, and which of them are holes."""

import itertools
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64

from worldloom.meshes._topology import edge_table


@dataclass(frozen=True, eq=False)
class Loop:
    """A closed boundary, in the direction in which faces that fill it run through it."""

    vertices: Int64[np.ndarray, "n"]
    faces: Int64[np.ndarray, "n"]
    """Face of the mesh on the side from each vertex to the next one."""


def boundary_loops(faces: Int32[np.ndarray, "f 3"], vertices: int) -> list[Loop]:
    """Returns the boundary loops of a manifold, by their smallest vertex.

    Args:
        faces: Vertex indices of a manifold whose faces are wound alike: each of its vertices has
            at most one side of the boundary that comes in and one that goes out.
        vertices: Number of vertices.
    """
    table = edge_table(faces)
    sides = np.nonzero(table.boundary[table.of_side])[0]
    face, k = sides // 3, sides % 3
    # A face that fills the hole runs through a side of the mesh in the other direction.
    start, end = faces[face, (k + 1) % 3], faces[face, k]
    following = np.full(vertices, -1, np.int64)
    following[start] = end
    of_face = np.full(vertices, -1, np.int64)
    of_face[start] = face
    order, starts = _walk(following)
    return [Loop(order[a:b], of_face[order[a:b]]) for a, b in itertools.pairwise(starts)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk(following: Int64[np.ndarray, "v"]) -> tuple[np.ndarray, np.ndarray]:
    order = np.empty(len(following), np.int64)
    starts = np.empty(len(following) + 1, np.int64)
    seen = np.zeros(len(following), np.bool_)
    used = loops = 0
    for seed in range(len(following)):
        if following[seed] < 0 or seen[seed]:
            continue
        starts[loops] = used
        loops += 1
        v = seed
        while v >= 0 and not seen[v]:
            seen[v] = True
            order[used] = v
            used += 1
            v = following[v]
    starts[loops] = used
    return order[:used].copy(), starts[: loops + 1].copy()


def diameter(points: Float64[np.ndarray, "n 3"]) -> float:
    """Returns the diagonal of the box around points."""
    return float(np.linalg.norm(np.ptp(points, axis=0)))


def is_hole(
    loop: Loop, vertices: Float64[np.ndarray, "v 3"], face_normals: Float64[np.ndarray, "f 3"]
) -> bool:
    """Returns whether a loop is a hole and not the outer edge of a sheet.

    The surface that would fill it goes on from the faces around it, or turns away from them as the
    lid of a pot does. To fill the outer edge of a sheet it would have to turn back on itself.

    Args:
        loop: A boundary loop.
        vertices: Vertices of the mesh.
        face_normals: Unit normals of its faces.
    """
    points = vertices[loop.vertices]
    ahead = np.roll(points, -1, axis=0)
    middle = points.mean(axis=0)
    lid = np.cross(points - middle, ahead - middle).sum(axis=0)
    length = np.linalg.norm(ahead - points, axis=1)
    total = float(length.sum())
    area = float(np.linalg.norm(lid))
    if area <= 1e-9 * total * total:
        return False
    around = (length[:, None] * face_normals[loop.faces]).sum(axis=0) / total
    return float(around @ lid) / area > _TURNED_BACK


_TURNED_BACK = -0.3
"""Cosine between the lid and the mean of the faces around it; -1 is a flat sheet."""
