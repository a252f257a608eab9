"""Which faces of a mesh touch along which edges."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64


@dataclass(frozen=True, eq=False)
class SharedEdges:
    """Pairs of faces that share an edge, by face."""

    faces: Int64[np.ndarray, "e 2"]
    """The two faces, the lower first."""
    vertices: Int32[np.ndarray, "e 2"]
    """Ends of the edge, the lower first."""


def shared_edges(faces: Int32[np.ndarray, "f 3"]) -> SharedEdges:
    """Returns the pairs of faces that share an edge.

    Where more than two do (a mesh that is no manifold), each is paired with the next.
    """
    count = len(faces)
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    owner = np.tile(np.arange(count), 3)
    order = np.lexsort((owner, ends[:, 1], ends[:, 0]))
    ends, owner = ends[order], owner[order]
    follows = (ends[1:] == ends[:-1]).all(axis=1)
    pairs = np.stack([owner[:-1][follows], owner[1:][follows]], axis=1)
    edges = ends[:-1][follows]
    order = np.lexsort((edges[:, 1], edges[:, 0], pairs[:, 1], pairs[:, 0]))
    return SharedEdges(pairs[order].astype(np.int64), edges[order].astype(np.int32))
