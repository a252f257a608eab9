"""Offsets of colours that make the patches of different views meet at their seams.

After Waechter, Moehrle and Goesele, "Let there be color! Large-scale texturing of 3D
reconstructions", ECCV 2014, section 3.2: a vertex on a seam has one offset for each of its views;
offsets make colours equal across the seam, and vary little inside a patch.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg

_STIFFNESS = 30.0
"""Weight of the smoothness inside patches: 1 / lambda of the paper, which takes 10. Here views are
blended as well, so offsets need not follow the noise along a seam."""
_ANCHOR = 1e-3
"""Weight of no offset: fixes the mean, which seams leave open."""
_TRUSTED_LEVELS = 8.0
"""Differences beyond it are of misalignment or gloss rather than of light, and count less."""
_MAX_STEPS = 500
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Corners:
    """The views of each vertex: those of the faces around it."""

    vertex_starts: Int64[np.ndarray, "_"]
    """First row of each vertex, and the number of rows at the end."""
    view: Int32[np.ndarray, "n"]
    """View of each row, ascending in a vertex; -1 for faces without one."""
    weight: Float32[np.ndarray, "n"]
    """Share of the angle around the vertex that has this view."""
    of_face: Int64[np.ndarray, "f 3"]
    """Row of each corner of each face."""


def corners_of(
    vertices: Float64[np.ndarray, "v 3"],
    faces: Int32[np.ndarray, "f 3"],
    view: Int32[np.ndarray, "f"],
) -> Corners:
    """Returns the views of each vertex.

    Args:
        vertices: World.
        faces: Vertex indices.
        view: View of each face.
    """
    span = int(view.max(initial=-1)) + 2
    keys = faces.astype(np.int64) * span + (view[:, None] + 1)
    rows, inverse = np.unique(keys, return_inverse=True)
    of_face = inverse.reshape(-1, 3)
    angles = np.bincount(of_face.ravel(), _angles(vertices, faces).ravel(), len(rows))
    vertex = rows // span
    total = np.bincount(vertex, angles, len(vertices))
    return Corners(
        np.searchsorted(vertex, np.arange(len(vertices) + 1)).astype(np.int64),
        (rows % span - 1).astype(np.int32),
        (angles / np.maximum(total[vertex], 1e-12)).astype(np.float32),
        of_face.astype(np.int64),
    )


def _angles(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float64[np.ndarray, "f 3"]:
    points = vertices[faces]
    angles = np.empty(faces.shape)
    for k in range(3):
        u = points[:, (k + 1) % 3] - points[:, k]
        w = points[:, (k + 2) % 3] - points[:, k]
        lengths = np.linalg.norm(u, axis=1) * np.linalg.norm(w, axis=1)
        angles[:, k] = np.arccos(np.clip((u * w).sum(axis=1) / np.maximum(lengths, 1e-300), -1, 1))
    return angles


@dataclass(frozen=True, eq=False)
class Seams:
    """Edges between faces of different views, as both sides show them."""

    rows: Int64[np.ndarray, "s 2 2"]
    """Rows of `Corners`: end of the edge, then side."""
    difference: Float64[np.ndarray, "s 2 3"]
    """Colour of the first side less that of the second, levels, near each end."""


def offsets(corners: Corners, seams: Seams) -> Float32[np.ndarray, "n 3"]:
    """Returns the offset of each row of `corners`, sRGB levels.

    Sparse least squares by conjugate gradients, in a fixed order on one thread.
    """
    count = len(corners.view)
    if not len(seams.rows):
        return np.zeros((count, 3), np.float32)
    ends = corners.of_face[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    smooth = _laplacian(ends, np.full(len(ends), _STIFFNESS), count)
    pairs, wanted = seams.rows.reshape(-1, 2), seams.difference.reshape(-1, 3)
    size = np.sqrt((wanted**2).mean(axis=1))
    weight = 1 / (1 + (size / _TRUSTED_LEVELS) ** 2)
    system = smooth + _laplacian(pairs, weight, count) + diags_array(np.full(count, _ANCHOR))
    system = system.tocsr()
    inverse = 1 / system.diagonal()
    right = np.stack(
        [
            np.bincount(pairs[:, 1], weight * wanted[:, c], count)
            - np.bincount(pairs[:, 0], weight * wanted[:, c], count)
            for c in range(3)
        ]
    )
    scaled = diags_array(inverse)
    solved = [cg(system, b, rtol=_TOLERANCE, maxiter=_MAX_STEPS, M=scaled)[0] for b in right]
    return np.stack(solved, axis=1).astype(np.float32)


def _laplacian(
    pairs: Int64[np.ndarray, "e 2"], weight: Float64[np.ndarray, "e"], count: int
) -> coo_array:
    i, j = pairs[:, 0], pairs[:, 1]
    rows = np.concatenate([i, j, i, j])
    columns = np.concatenate([i, j, j, i])
    values = np.concatenate([weight, weight, -weight, -weight])
    return coo_array((values, (rows, columns)), (count, count))
