"""Which views colour each face, corner by corner, and with which weight."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int32

from worldloom.texture._choose import Chosen
from worldloom.texture._transition import Levels


@dataclass(frozen=True, eq=False)
class ViewWeights:
    """What one view contributes to the faces of a part."""

    weight: Float32[np.ndarray, "f 3"]
    """At each corner; the weights of all views at a corner sum to 1."""
    offset: Float32[np.ndarray, "f 3 3"]
    """Added to its colours at the corner, sRGB levels."""


def view_weights(
    view_id: int,
    faces: Int32[np.ndarray, "f 3"],
    first_face: int,
    chosen: Chosen,
    levels: Levels,
    blend: bool,
) -> ViewWeights:
    """Returns what one view contributes.

    With blending a corner has the views of all faces around its vertex, so that both sides of a
    seam agree on the mixture along it; views that do not see the face are left out. The colour
    inside a face is the mean of those of its corners by barycentric weights: patches pass into each
    other within the faces at the seam.

    Args:
        view_id: The view; -1 for the colours of the vertices.
        faces: Faces of the part.
        first_face: Their first index in the light mesh.
        chosen: Views of all faces.
        levels: Views and offsets of all vertices.
        blend: Mix the views around a vertex; else each face has its own view alone.
    """
    rows = slice(first_face, first_face + len(faces))
    weight, offset = _weights(
        view_id,
        faces,
        chosen.view[rows],
        chosen.allowed[rows],
        levels.vertex_starts,
        levels.view,
        levels.weight,
        levels.offset,
        blend,
    )
    return ViewWeights(weight, offset)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _may_show(view: int, own: int, allowed: np.ndarray) -> bool:
    if view == own or view < 0:
        return True
    return bool((allowed == view).any())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _share(
    first: int,
    last: int,
    view: int,
    own: int,
    allowed: np.ndarray,
    row_view: np.ndarray,
    row_weight: np.ndarray,
) -> float:
    """Share of a view among those of a vertex, its rows `first` to `last`, that see a face."""
    total, mine = 0.0, 0.0
    for row in range(first, last):
        if _may_show(row_view[row], own, allowed):
            total += row_weight[row]
            if row_view[row] == view:
                mine = row_weight[row]
    if total <= 0.0:
        # None of the views around sees this face: its own one has to do.
        return 1.0 if view == own else 0.0
    return mine / total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weights(
    view: int,
    faces: np.ndarray,
    own: np.ndarray,
    allowed: np.ndarray,
    starts: np.ndarray,
    row_view: np.ndarray,
    row_weight: np.ndarray,
    row_offset: np.ndarray,
    blend: bool,
) -> tuple[np.ndarray, np.ndarray]:
    weight = np.zeros((len(faces), 3), np.float32)
    offset = np.zeros((len(faces), 3, 3), np.float32)
    for f in range(len(faces)):
        if not blend and own[f] != view:
            continue
        for k in range(3):
            first, last = int(starts[faces[f, k]]), int(starts[faces[f, k] + 1])
            weight[f, k] = 1.0
            if blend:
                weight[f, k] = _share(first, last, view, own[f], allowed[f], row_view, row_weight)
            for row in range(first, last):
                if row_view[row] == view:
                    offset[f, k] = row_offset[row]
    return weight, offset
