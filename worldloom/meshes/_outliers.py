"""Outliers of a mesh: small loose pieces, and vertices that stick out like needles."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from worldloom.meshes._topology import face_pieces, incidence
from worldloom.scene import Mesh

_ROUNDS = 12


def loose_pieces(mesh: Mesh, share: float) -> Bool[np.ndarray, "f"]:
    """Returns which faces belong to small pieces.

    Args:
        mesh: Any mesh, also empty.
        share: A piece is small where its diagonal is below this share of the diagonal of the piece
            with the largest area, which itself is never small.
    """
    if not len(mesh.faces):
        return np.zeros(0, bool)
    pieces = _pieces(mesh)
    small = pieces.diagonal < share * pieces.diagonal[pieces.main]
    small[pieces.main] = False
    return small[pieces.of_face]


def main_diagonal(mesh: Mesh) -> float:
    """Returns the diagonal of the box around the piece with the largest area, world unit.

    Args:
        mesh: A mesh with faces.
    """
    pieces = _pieces(mesh)
    return float(pieces.diagonal[pieces.main])


@dataclass(frozen=True, eq=False)
class _Pieces:
    of_face: Int64[np.ndarray, "f"]
    diagonal: Float64[np.ndarray, "p"]
    main: int
    """The one with the largest area."""


def _pieces(mesh: Mesh) -> _Pieces:
    of_face = face_pieces(mesh.faces, len(mesh.vertices_in_world))
    count = int(of_face.max()) + 1
    corners = mesh.vertices_in_world[mesh.faces]
    low = np.full((count, 3), np.inf)
    high = np.full((count, 3), -np.inf)
    np.minimum.at(low, of_face, corners.min(axis=1))
    np.maximum.at(high, of_face, corners.max(axis=1))
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    main = int(np.bincount(of_face, area, count).argmax())
    return _Pieces(of_face, np.linalg.norm(high - low, axis=1), main)


def without_spikes(mesh: Mesh, spike_edges: float) -> Float64[np.ndarray, "v 3"]:
    """Returns the vertices with spikes pulled back into the surface around them.

    A vertex is a spike where it is farther from the middle of its neighbours than `spike_edges`
    times the mean length of the edges around it, those of its faces that do not meet it: a needle
    on a small foot. It moves to that middle. A spike of several vertices takes several rounds.

    Args:
        mesh: A manifold, also empty.
        spike_edges: At least 1; less moves more.
    """
    vertices = mesh.vertices_in_world
    around = incidence(mesh.faces, len(vertices))
    for _ in range(_ROUNDS):
        pulled, count = _pulled(vertices, mesh.faces, around.starts, around.corners, spike_edges)
        if not count:
            break
        vertices = pulled
    return vertices


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pulled(
    vertices: Float64[np.ndarray, "v 3"],
    faces: Int32[np.ndarray, "f 3"],
    starts: np.ndarray,
    corners: np.ndarray,
    spike_edges: float,
) -> tuple[Float64[np.ndarray, "v 3"], int]:
    out = vertices.copy()
    count = 0
    middle = np.empty(3)
    for v in range(len(vertices)):
        degree = starts[v + 1] - starts[v]
        if degree < 3:
            continue
        middle[:] = 0.0
        rim = 0.0
        for i in range(starts[v], starts[v + 1]):
            face, k = corners[i] // 3, corners[i] % 3
            a, b = vertices[faces[face, (k + 1) % 3]], vertices[faces[face, (k + 2) % 3]]
            square = 0.0
            for axis in range(3):
                middle[axis] += 0.5 * (a[axis] + b[axis])
                square += (a[axis] - b[axis]) ** 2
            rim += np.sqrt(square)
        square = 0.0
        for axis in range(3):
            middle[axis] /= degree
            square += (vertices[v, axis] - middle[axis]) ** 2
        if np.sqrt(square) > spike_edges * rim / degree:
            out[v] = middle
            count += 1
    return out, count
