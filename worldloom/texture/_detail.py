"""Detail brought out as far as the views show it, and no further."""

from collections.abc import Iterable

import cv2
import numba
import numpy as np
from jaxtyping import Float32

from worldloom.scene import UnwrappedMesh
from worldloom.texture._footprints import Footprints, corner_weights, shown
from worldloom.texture._super import Pages
from worldloom.texture._texels import texels_on_pages

_SIGMA_TEXELS = 1.5
"""Detail is what is finer than this."""
_MOST_GAIN = 1.0
_PRIOR_LEVELS = 4.0
"""Detail that is weaker than this in the renderings does not tell which gain suits it."""
_ROBUST_LEVELS = 12.0
_SMOOTHING_ROUNDS = 3
_SLACK_LEVELS = 2.0
"""By which noise lets colours leave the range that the views show."""


def with_detail(
    pages: Pages, views: Iterable[Footprints], unwrapped: UnwrappedMesh
) -> tuple[Pages, float]:
    """Returns pages whose finest detail is raised by what the views have more of it.

    The gain of a face is the least-squares fit of the detail, as rendered, to what the images have
    more than the renderings; it is never negative and at most 1, and smoothed over the mesh.
    Colours stay within those of the pixels around, in all views.

    Args:
        pages: Levels.
        views: Footprints, in a fixed order.
        unwrapped: The mesh and its UV set.

    Returns:
        The pages, and the mean gain.
    """
    details = [page - cv2.GaussianBlur(page, (0, 0), _SIGMA_TEXELS) for page in pages]
    gain = _vertex_gains(pages, details, views, unwrapped)
    ranges = [_ranges_of(views, number, page) for number, page in enumerate(pages)]
    raised: Pages = []
    for number, (page, detail) in enumerate(zip(pages, details, strict=True)):
        at = texels_on_pages(unwrapped, number, page.shape[0])
        strength = np.zeros(page.shape[:2], np.float32)
        mix = np.maximum(at.barycentric, 0)
        mix /= mix.sum(axis=1, keepdims=True)
        corners = gain[unwrapped.mesh.faces[at.face]]
        strength[at.row, at.column] = (mix * corners).sum(axis=1)
        low, high = ranges[number]
        sharper = np.clip(page + strength[..., None] * detail, low, high)
        raised.append(np.where(low <= high, sharper, page).astype(np.float32))
    return raised, float(gain.mean()) if len(gain) else 0.0


def _vertex_gains(
    pages: Pages, details: Pages, views: Iterable[Footprints], unwrapped: UnwrappedMesh
) -> Float32[np.ndarray, "v"]:
    faces = unwrapped.mesh.faces
    sums = np.zeros((len(faces), 2))
    for view in views:
        for number, (page, detail) in enumerate(zip(pages, details, strict=True)):
            here = view.page == number
            _correlate(view.place[here], view.color[here], view.face[here], page, detail, sums)
    return _smoothed(sums, faces, len(unwrapped.mesh.vertices_in_world))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _correlate(
    place: np.ndarray,
    color: np.ndarray,
    face: np.ndarray,
    page: np.ndarray,
    detail: np.ndarray,
    sums: np.ndarray,
) -> None:
    value, fine = np.empty(3), np.empty(3)
    for n in range(len(place)):
        shown(place[n], page, value)
        shown(place[n], detail, fine)
        square = 0.0
        for c in range(3):
            square += (color[n, c] - value[c]) ** 2 / 3.0
        trust = 1.0 / (1.0 + square / _ROBUST_LEVELS**2)
        for c in range(3):
            sums[face[n], 0] += trust * (color[n, c] - value[c]) * fine[c]
            sums[face[n], 1] += trust * fine[c] ** 2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _smoothed(sums: np.ndarray, faces: np.ndarray, vertices: int) -> np.ndarray:
    """Fits the gain of each vertex to the faces around it, and around those, and so on."""
    at_face = sums.copy()
    at_vertex = np.zeros((vertices, 2))
    for _ in range(_SMOOTHING_ROUNDS):
        at_vertex[:] = 0.0
        for f in range(len(faces)):
            for k in range(3):
                for c in range(2):
                    at_vertex[faces[f, k], c] += at_face[f, c] / 3.0
        for f in range(len(faces)):
            for c in range(2):
                at_face[f, c] = (
                    at_vertex[faces[f, 0], c]
                    + at_vertex[faces[f, 1], c]
                    + at_vertex[faces[f, 2], c]
                ) / 3.0
    gain = np.zeros(vertices, np.float32)
    for v in range(vertices):
        fit = at_vertex[v, 0] / (at_vertex[v, 1] + 3.0 * _PRIOR_LEVELS**2)
        gain[v] = min(max(fit, 0.0), _MOST_GAIN)
    return gain


def _ranges_of(
    views: Iterable[Footprints], number: int, page: Float32[np.ndarray, "h w 3"]
) -> tuple[Float32[np.ndarray, "h w 3"], Float32[np.ndarray, "h w 3"]]:
    """Least and greatest colour of the pixels that look at each texel, and of the next texels."""
    low = np.full(page.shape, np.inf, np.float32)
    high = np.full(page.shape, -np.inf, np.float32)
    for view in views:
        here = view.page == number
        _extremes(view.place[here], view.color[here], low, high)
    around = np.ones((3, 3), np.uint8)
    low = cv2.erode(low, around) - np.float32(_SLACK_LEVELS)
    return low, cv2.dilate(high, around) + np.float32(_SLACK_LEVELS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _extremes(place: np.ndarray, color: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    height, width = low.shape[:2]
    for n in range(len(place)):
        for s in range(place.shape[1]):
            i, j, _, _ = corner_weights(place[n, s], width, height)
            for dj in range(2):
                for di in range(2):
                    for c in range(3):
                        low[j + dj, i + di, c] = min(low[j + dj, i + di, c], color[n, c])
                        high[j + dj, i + di, c] = max(high[j + dj, i + di, c], color[n, c])
