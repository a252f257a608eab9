"""How far views pass into each other around their seams."""

from dataclasses import dataclass, replace

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64
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

    @property
    def vertex(self) -> Int64[np.ndarray, "n"]:
        """The vertex of each row."""
        starts = self.vertex_starts
        return np.repeat(np.arange(len(starts) - 1, dtype=np.int64), np.diff(starts))


def passed_levels(
    levels: Levels,
    faces: Int32[np.ndarray, "f 3"],
    own: Int32[np.ndarray, "f"],
    allowed: Int32[np.ndarray, "f k"],
    rings: int,
) -> Levels:
    """Returns views and offsets that pass into each other over some rings of faces.

    Shares spread as heat does, a ring a step, and no further than views see: after each step the
    faces around a vertex have to be able to show its views. So a view has faded out where it ends,
    in place of ending in a step. A vertex at a seam shows the views of the faces around it alone,
    since what a third one adds is of neither side.

    Args:
        levels: Views of the faces around each vertex, with their offsets.
        faces: Vertex indices.
        own: View of each face; -1 where it has none.
        allowed: Views that see each face, then -1.
        rings: Rings of faces.
    """
    passed = agreed_levels(levels, faces, own, allowed)
    for _ in range(rings):
        spread = _spread(passed, faces)
        passed = agreed_levels(_at_seams(spread, levels), faces, own, allowed)
    return passed


def _spread(levels: Levels, faces: Int32[np.ndarray, "f 3"]) -> Levels:
    """Mean of each vertex and its neighbours."""
    vertices = len(levels.vertex_starts) - 1
    span = int(levels.view.max(initial=-1)) + 2
    place = (levels.vertex, levels.view.astype(np.int64) + 1)
    weight = levels.weight.astype(np.float64)
    step = _averaging(faces, vertices)
    # Shares first, then shares times each channel of the offsets.
    factors = np.concatenate([np.ones((len(weight), 1)), levels.offset], axis=1)
    spread = [
        coo_array(step @ coo_array((weight * factor, place), (vertices, span)).tocsr())
        for factor in factors.T
    ]
    return _rows(spread, vertices, span)


def _at_seams(levels: Levels, around: Levels) -> Levels:
    """Levels without the views that no face around a vertex has, at vertices of several views."""
    span = int(max(levels.view.max(initial=-1), around.view.max(initial=-1))) + 2
    of_faces = np.isin(
        levels.vertex * span + levels.view + 1, around.vertex * span + around.view + 1
    )
    several = np.diff(around.vertex_starts) > 1
    return _kept(levels, of_faces | ~several[levels.vertex])


def _kept(levels: Levels, keep: Bool[np.ndarray, "n"]) -> Levels:
    """Some of the rows, their shares made whole again; all of a vertex that would have none."""
    vertices = len(levels.vertex_starts) - 1
    left = np.bincount(levels.vertex[keep], levels.weight[keep], vertices)
    keep = keep | (left[levels.vertex] <= 0)
    vertex = levels.vertex[keep]
    total = np.bincount(vertex, levels.weight[keep], vertices)
    return Levels(
        np.searchsorted(vertex, np.arange(vertices + 1)).astype(np.int64),
        levels.view[keep],
        (levels.weight[keep] / total[vertex]).astype(np.float32),
        levels.offset[keep],
    )


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
    return _kept(replace(levels, weight=weight), weight > 0)


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
