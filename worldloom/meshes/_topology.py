"""Which faces share which edges and vertices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int32, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_CORNERS = np.array([[0, 1], [1, 2], [2, 0]])


@dataclass(frozen=True, eq=False)
class EdgeTable:
    """The edges of a mesh, without direction, each once, and the sides of faces on each.

    Side k of face f is the directed edge from corner k to corner k + 1; its number is 3 f + k.
    """

    ends: Int64[np.ndarray, "e 2"]
    """The two vertices, the smaller first; ascending."""
    of_side: Int64[np.ndarray, "s"]
    """Edge of each side."""
    forward: Bool[np.ndarray, "s"]
    """True where a side runs from the smaller vertex to the greater."""

    @cached_property
    def sides(self) -> Int64[np.ndarray, "e"]:
        """Number of sides on each edge: 1 at a boundary, 2 inside a surface, more: non-manifold."""
        return np.bincount(self.of_side, minlength=len(self.ends))

    @cached_property
    def forward_sides(self) -> Int64[np.ndarray, "e"]:
        """Number of sides that run forward."""
        return np.bincount(self.of_side[self.forward], minlength=len(self.ends))

    @property
    def boundary(self) -> Bool[np.ndarray, "e"]:
        """True where an edge has one face."""
        return self.sides == 1

    @property
    def non_manifold(self) -> Bool[np.ndarray, "e"]:
        """True where an edge has more than two faces."""
        return self.sides > 2

    @property
    def badly_wound(self) -> Bool[np.ndarray, "e"]:
        """True where two faces run through an edge in the same direction."""
        return (self.sides == 2) & (self.forward_sides != 1)


def edge_table(faces: Int32[np.ndarray, "f 3"]) -> EdgeTable:
    """Returns the edges of faces; sides from a vertex to itself are edges too."""
    ends = faces[:, _CORNERS].reshape(-1, 2).astype(np.int64)
    low, high = ends.min(axis=1), ends.max(axis=1)
    span = int(high.max()) + 1 if len(high) else 1
    keys, of_side = np.unique(low * span + high, return_inverse=True)
    unique = np.stack([keys // span, keys % span], axis=-1)
    return EdgeTable(unique, of_side.astype(np.int64), ends[:, 0] <= ends[:, 1])


def face_pieces(faces: Int32[np.ndarray, "f 3"], vertices: int) -> Int64[np.ndarray, "f"]:
    """Returns the connected piece of each face, numbered from 0 in the order of first faces.

    Faces that share a vertex are connected.

    Args:
        faces: Vertex indices.
        vertices: Number of vertices.
    """
    if not len(faces):
        return np.zeros(0, np.int64)
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), (vertices,) * 2)
    of_vertex = connected_components(links.tocsr(), directed=False)[1]
    _, first, piece = np.unique(of_vertex[faces[:, 0]], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[piece]


def fans(faces: Int32[np.ndarray, "f 3"], table: EdgeTable) -> Int64[np.ndarray, "k 2"]:
    """Returns the fans of the mesh: runs of faces around a vertex, joined by edges at it.

    A vertex of a manifold has one fan; one where two surfaces only touch has two.

    Args:
        faces: Vertex indices.
        table: Its edges.

    Returns:
        For each fan its vertex and the number of its corners, by vertex.
    """
    corners = np.arange(3 * len(faces))
    next_corner = corners - corners % 3 + (corners % 3 + 1) % 3
    order = np.argsort(table.of_side, kind="stable")
    same = table.of_side[order][1:] == table.of_side[order][:-1]
    a, b = order[:-1][same], order[1:][same]
    # Two sides of one edge join the corners at its one end, and those at its other.
    flipped = table.forward[a] == table.forward[b]
    start, end = np.where(flipped, b, next_corner[b]), np.where(flipped, next_corner[b], b)
    rows, columns = np.concatenate([a, next_corner[a]]), np.concatenate([start, end])
    links = coo_array((np.ones(len(rows), np.bool_), (rows, columns)), (len(corners),) * 2)
    fan = connected_components(links.tocsr(), directed=False)[1]
    _, first, count = np.unique(fan, return_index=True, return_counts=True)
    found = np.stack([faces.reshape(-1)[first].astype(np.int64), count], axis=-1)
    return found[np.argsort(found[:, 0], kind="stable")]
