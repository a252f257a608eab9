"""How far views pass into each other around their seams."""

from dataclasses import dataclass, replace

import numba
import numpy as np
from jaxtyping import Float32, Int32, Int64
from scipy.sparse import coo_array, csr_array, diags_array

_LEAST_WEIGHT = 0.02


@dataclass(frozen=True, eq=False)
class Levels:
    """Views and offsets of the vertices; see `Corners`."""

    vertex_starts: Int64[np.ndarray, "_"]
    view: Int32[np.ndarray, "n"]
    weight: Float32[np.ndarray, "n"]
    offset: Float32[np.ndarray, "n 3"]
    """Added to the colours of the view at the vertex, sRGB levels."""


def spread_levels(levels: Levels, faces: Int32[np.ndarray, "f 3"], rings: int) -> Levels:
    """Returns views and offsets that pass into each other over some rings of faces.

    Args:
        levels: Views of the faces around each vertex, with their offsets.
        faces: Vertex indices.
        rings: Rings of faces.
    """
    vertices = len(levels.vertex_starts) - 1
    vertex = np.repeat(np.arange(vertices), np.diff(levels.vertex_starts))
    span = int(levels.view.max(initial=-1)) + 2
    place = (vertex, levels.view.astype(np.int64) + 1)
    weight = levels.weight.astype(np.float64)
    step = _averaging(faces, vertices)
    # Shares first, then shares times each channel of the offsets.
    factors = np.concatenate([np.ones((len(weight), 1)), levels.offset], axis=1)
    spread = [coo_array((weight * factor, place), (vertices, span)).tocsr() for factor in factors.T]
    for _ in range(rings):
        spread = [step @ matrix for matrix in spread]
    return _rows([coo_array(matrix) for matrix in spread], vertices, span)


def agreed_levels(
    levels: Levels,
    faces: Int32[np.ndarray, "f 3"],
    own: Int32[np.ndarray, "f"],
    allowed: Int32[np.ndarray, "f k"],
) -> Levels:
    """Returns levels in which the faces around a vertex can all show its views.

    Else one side of an edge would show a mixture that the other cannot, and there would be a step.
    Vertices of which no view is seen by all faces around keep their views, and so do faces without
    a view.

    Args:
        levels: Views and offsets of the vertices.
        faces: Vertex indices.
        own: View of each face; -1 where it has none.
        allowed: Views that see each face, then -1.
    """
    weight = _agreed(levels.vertex_starts, levels.view, levels.weight, faces, own, allowed)
    return replace(levels, weight=weight)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _refuse(
    first: int, last: int, view: np.ndarray, own: int, allowed: np.ndarray, refused: np.ndarray
) -> None:
    """Marks the rows of a vertex whose view does not see a face."""
    for row in range(first, last):
        if view[row] >= 0 and view[row] != own and not (allowed == view[row]).any():
            refused[row] = True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _agreed(
    starts: np.ndarray,
    view: np.ndarray,
    weight: np.ndarray,
    faces: np.ndarray,
    own: np.ndarray,
    allowed: np.ndarray,
) -> np.ndarray:
    refused = np.zeros(len(view), np.bool_)
    for f in range(len(faces)):
        if own[f] >= 0:
            for k in range(3):
                v = faces[f, k]
                _refuse(int(starts[v]), int(starts[v + 1]), view, own[f], allowed[f], refused)
    left = weight.copy()
    for v in range(len(starts) - 1):
        kept, whole = 0.0, 0.0
        for row in range(starts[v], starts[v + 1]):
            if view[row] >= 0:
                whole += weight[row]
                kept += 0.0 if refused[row] else weight[row]
        for row in range(starts[v], starts[v + 1]):
            if kept > 0.0 and view[row] >= 0:
                left[row] = 0.0 if refused[row] else weight[row] * whole / kept
    return left


def _averaging(faces: Int32[np.ndarray, "f 3"], vertices: int) -> csr_array:
    """Mean of a vertex and its neighbours."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    ends = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    around = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (vertices, vertices))
    around = (around + diags_array(np.ones(vertices))).tocsr()
    return csr_array(diags_array(1 / np.asarray(around.sum(axis=1)).ravel()) @ around)


def _rows(spread: list[coo_array], vertices: int, span: int) -> Levels:
    """Rows by vertex and view; what hardly counts is left out."""
    shares = spread[0]
    kept = shares.data >= _LEAST_WEIGHT
    keys = shares.coords[0][kept].astype(np.int64) * span + shares.coords[1][kept]
    order = np.argsort(keys)
    keys, weight = keys[order], shares.data[kept][order]
    offset = np.zeros((len(keys), 3))
    for c, channel in enumerate(spread[1:]):
        # Entries that came out as zero may be missing.
        own = channel.coords[0].astype(np.int64) * span + channel.coords[1]
        at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
        found = keys[at] == own
        offset[at[found], c] = channel.data[found]
    vertex = keys // span
    total = np.bincount(vertex, weight, vertices)
    return Levels(
        np.searchsorted(vertex, np.arange(vertices + 1)).astype(np.int64),
        (keys % span - 1).astype(np.int32),
        (weight / total[vertex]).astype(np.float32),
        (offset / weight[:, None]).astype(np.float32),
    )
