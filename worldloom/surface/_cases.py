"""The 256 cases of marching cubes, derived instead of listed.

Marching cubes: Lorensen and Cline 1987. On each face of a cube the contour joins the two crossings
around each run of inside corners, so inside corners that face each other diagonally stay apart.
That rule looks at nothing but the corners of the face, so the two cubes that share it agree and
the surface has no holes (as in Nielson and Hamann 1991, with a fixed decision).
"""

import functools
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Int8, Int64

CORNERS = np.array([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)], np.int64)
"""Offset of corner c from the low corner of the cube."""
_FACE_CORNERS = (
    (0, 4, 6, 2),
    (1, 3, 7, 5),
    (0, 1, 5, 4),
    (2, 6, 7, 3),
    (0, 2, 3, 1),
    (4, 5, 7, 6),
)
"""Corners of the faces, counter-clockwise seen from outside."""
EDGES = tuple((a, b) for a, b in combinations(range(8), 2) if (a ^ b) in (1, 2, 4))
"""The twelve edges: pairs of corners, the low end first."""
_EDGE_OF = {pair: e for e, (a, b) in enumerate(EDGES) for pair in ((a, b), (b, a))}
_FACES_OF = tuple(
    frozenset(f for f, corners in enumerate(_FACE_CORNERS) if a in corners and b in corners)
    for a, b in EDGES
)
_Triangle = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class CubeCases:
    """What to draw in a cube, by the bit mask of its inside corners."""

    faces: Int8[np.ndarray, "256 k"]
    """Edges of the triangles, three after three, -1 to fill up; counter-clockwise from outside."""
    edge_origins: Int64[np.ndarray, "12 3"]
    """Offset of the low end of each edge from the low corner of the cube."""
    edge_axes: Int64[np.ndarray, "12"]
    """Axis along which each edge runs."""


def _loops(inside: int) -> list[list[int]]:
    """Contours of one case as cycles of crossed edges."""
    following: dict[int, int] = {}
    for corners in _FACE_CORNERS:
        signs = [bool(inside >> corner & 1) for corner in corners]
        for start in range(4):
            if signs[start] and not signs[start - 1]:
                end = start
                while signs[(end + 1) % 4]:
                    end += 1
                entry = _EDGE_OF[corners[start - 1], corners[start]]
                leave = _EDGE_OF[corners[end % 4], corners[(end + 1) % 4]]
                following[entry] = leave
    loops: list[list[int]] = []
    while following:
        edge = min(following)
        loop: list[int] = []
        while edge in following:
            loop.append(edge)
            edge = following.pop(edge)
        loops.append(loop)
    return loops


def _triangulations(polygon: tuple[int, ...]) -> list[list[_Triangle]]:
    if len(polygon) < 3:
        return [[]]
    found: list[list[_Triangle]] = []
    for middle in range(1, len(polygon) - 1):
        triangle = (polygon[0], polygon[middle], polygon[-1])
        for left in _triangulations(polygon[: middle + 1]):
            found += [[*left, triangle, *right] for right in _triangulations(polygon[middle:])]
    return found


def _diagonals_in_faces(polygon: list[int], triangles: list[_Triangle]) -> int:
    """Diagonals that lie in a face of the cube, where the next cube could draw them as well."""
    sides = {frozenset(side) for side in zip(polygon, [*polygon[1:], polygon[0]], strict=True)}
    drawn = {frozenset(pair) for triangle in triangles for pair in combinations(triangle, 2)}
    return sum(bool(frozenset.intersection(*(_FACES_OF[e] for e in d))) for d in drawn - sides)


@functools.cache
def cube_cases() -> CubeCases:
    """Returns the table of cases."""
    cases: list[list[int]] = []
    for inside in range(256):
        edges: list[int] = []
        for loop in _loops(inside):
            ways = _triangulations(tuple(loop))
            best = min(ways, key=lambda way: _diagonals_in_faces(loop, way))
            edges += [edge for triangle in best for edge in triangle]
        cases.append(edges)
    width = max(map(len, cases))
    table = np.array([[*edges, *[-1] * (width - len(edges))] for edges in cases], np.int8)
    return CubeCases(
        faces=table,
        edge_origins=CORNERS[[a for a, _ in EDGES]],
        edge_axes=np.array([(a ^ b).bit_length() - 1 for a, b in EDGES], np.int64),
    )
