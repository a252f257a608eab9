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


@dataclass(frozen=True, eq=False)
class SidePairs:
    """Sides that share an edge with one other side and no more, each pair once."""

    first: Int64[np.ndarray, "p"]
    second: Int64[np.ndarray, "p"]
    same_way: Bool[np.ndarray, "p"]
    """True where both run in the same direction: one of their faces shows its back."""

    def select(self, chosen: Bool[np.ndarray, "p"]) -> "SidePairs":
        """Returns some of the pairs."""
        return SidePairs(self.first[chosen], self.second[chosen], self.same_way[chosen])


def side_pairs(table: EdgeTable, most: int = 2) -> SidePairs:
    """Returns the pairs of sides on edges with at most `most` sides, along the order of the sides.

    Args:
        table: Edges of the mesh.
        most: 2 for the edges of a manifold; more pairs each side with the next one.
    """
    order = np.argsort(table.of_side, kind="stable")
    edge = table.of_side[order]
    same = (edge[1:] == edge[:-1]) & (table.sides[edge[1:]] <= most)
    first, second = order[:-1][same], order[1:][same]
    return SidePairs(first, second, table.forward[first] == table.forward[second])


def corner_fans(faces: Int32[np.ndarray, "f 3"], pairs: SidePairs) -> Int64[np.ndarray, "c"]:
    """Returns the fan of each corner: runs of faces around a vertex, joined by edges at it.

    A vertex of a manifold has one fan; one where two surfaces only touch has two.

    Args:
        faces: Vertex indices.
        pairs: Sides that join faces.
    """
    a, b = pairs.first, pairs.second
    after_a, after_b = next_corner(a), next_corner(b)
    # Two sides of one edge join the corners at its one end, and those at its other.
    rows = np.concatenate([a, after_a])
    columns = np.concatenate(
        [np.where(pairs.same_way, b, after_b), np.where(pairs.same_way, after_b, b)]
    )
    links = coo_array((np.ones(len(rows), np.bool_), (rows, columns)), (3 * len(faces),) * 2)
    return connected_components(links.tocsr(), directed=False)[1].astype(np.int64)


def next_corner(corner: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """Returns the corner after each, in its face."""
    return np.where(corner % 3 == 2, corner - 2, corner + 1)


@dataclass(frozen=True, eq=False)
class Incidence:
    """The corners at each vertex."""

    starts: Int64[np.ndarray, "v1"]
    """Corners of vertex v are `corners[starts[v] : starts[v + 1]]`."""
    corners: Int64[np.ndarray, "c"]
    """Number of a corner: 3 f + k; ascending for each vertex."""


def incidence(faces: Int32[np.ndarray, "f 3"], vertices: int) -> Incidence:
    """Returns the corners at each vertex.

    Args:
        faces: Vertex indices.
        vertices: Number of vertices.
    """
    flat = faces.reshape(-1)
    starts = np.zeros(vertices + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=vertices), out=starts[1:])
    return Incidence(starts, np.argsort(flat, kind="stable"))
