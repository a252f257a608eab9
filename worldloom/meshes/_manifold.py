"""Any mesh made a well-oriented manifold: faces turned, vertices cut where surfaces only touch."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from worldloom.meshes._topology import SidePairs, corner_fans, edge_table, side_pairs
from worldloom.scene import Mesh


@dataclass(frozen=True, eq=False)
class ManifoldMesh:
    """A manifold with the faces of a mesh."""

    mesh: Mesh
    turned_faces: Bool[np.ndarray, "f"]
    """Faces whose last two corners were swapped."""


def manifold_mesh(mesh: Mesh) -> ManifoldMesh:
    """Turns faces to the side of most of their piece, and cuts the mesh where it is no manifold.

    The cut gives each run of faces around a vertex a vertex of its own, at the same place, and no
    edge joins more than two faces: Guéziec et al., "Cutting and stitching: converting sets of
    polygons to manifold surfaces", TVCG 2001. Where a piece has only one side (a Möbius strip), it
    is cut as well. No face is lost and nothing moves.

    Args:
        mesh: A cleaned mesh, also empty.
    """
    pairs = side_pairs(edge_table(mesh.faces))
    turned = _turned(mesh.vertices_in_world, mesh.faces, pairs)
    faces = mesh.faces.copy()
    faces[turned] = faces[turned][:, [0, 2, 1]]
    pairs = side_pairs(edge_table(faces))
    return ManifoldMesh(_cut(mesh, faces, pairs.select(~pairs.same_way)), turned)


def _cut(mesh: Mesh, faces: Int32[np.ndarray, "f 3"], pairs: SidePairs) -> Mesh:
    fan = corner_fans(faces, pairs)
    _, first, of_corner = np.unique(fan, return_index=True, return_inverse=True)
    vertex = faces.reshape(-1)[first]
    order = np.argsort(vertex, kind="stable")
    again = np.zeros(len(vertex), bool)
    again[order[1:]] = vertex[order][1:] == vertex[order][:-1]
    if not again.any():
        return Mesh(mesh.vertices_in_world, faces, mesh.colors, mesh.normals_in_world)
    number = vertex.astype(np.int64)
    number[again] = len(mesh.vertices_in_world) + np.arange(int(again.sum()))
    source = np.concatenate([np.arange(len(mesh.vertices_in_world)), vertex[again]])
    return Mesh(
        mesh.vertices_in_world[source],
        number[of_corner].reshape(-1, 3).astype(np.int32),
        None if mesh.colors is None else mesh.colors[source],
        None if mesh.normals_in_world is None else mesh.normals_in_world[source],
    )


def _turned(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"], pairs: SidePairs
) -> Bool[np.ndarray, "f"]:
    if not pairs.same_way.any():
        return np.zeros(len(faces), bool)
    opposite = np.full(3 * len(faces), -1, np.int64)
    opposite[pairs.first], opposite[pairs.second] = pairs.second, pairs.first
    same_way = np.zeros(3 * len(faces), bool)
    same_way[pairs.first] = same_way[pairs.second] = pairs.same_way
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return _flood(opposite, same_way, np.linalg.norm(np.cross(b - a, c - a), axis=-1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flood(
    opposite: Int64[np.ndarray, "s"],
    same_way: Bool[np.ndarray, "s"],
    area: Float64[np.ndarray, "f"],
) -> Bool[np.ndarray, "f"]:
    """Walks over each piece; the side that has more area is the one to show."""
    turned = np.zeros(len(area), np.bool_)
    seen = np.zeros(len(area), np.bool_)
    queue = np.empty(len(area), np.int64)
    for seed in range(len(area)):
        if seen[seed]:
            continue
        seen[seed] = True
        queue[0] = seed
        read, written = 0, 1
        balance = 0.0
        while read < written:
            face = queue[read]
            read += 1
            balance += -area[face] if turned[face] else area[face]
            for k in range(3):
                other = opposite[3 * face + k]
                if other < 0 or seen[other // 3]:
                    continue
                seen[other // 3] = True
                turned[other // 3] = turned[face] != same_way[3 * face + k]
                queue[written] = other // 3
                written += 1
        if balance < 0.0:
            for i in range(written):
                turned[queue[i]] = not turned[queue[i]]
    return turned
