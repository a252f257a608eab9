"""Texture finer than any view: the one whose renderings match all of them.

Iterated back-projection (Irani and Peleg, "Improving resolution by image registration", 1991) with
the normalisation of SIRT (Gilbert, 1972): what the renderings lack is given back to the texels that
each pixel gathers, by their shares. Goldluecke and Cremers ("Superresolution texture maps for
multiview reconstruction", ICCV 2009) minimise the same energy. No prior paints in detail: what no
view resolves stays as it was.
"""

from collections.abc import Iterable

import cv2
import numba
import numpy as np
from jaxtyping import Float32

from worldloom.texture._footprints import Footprints, corner_weights, shown

_ROBUST_LEVELS = 12.0
"""Difference at which a pixel counts half: gloss, misalignment, things that moved."""
_PRIOR = 0.25
"""Weight of staying, against that of one pixel that sees a texel wholly: held by texels that hardly
any pixel sees."""

Pages = list[Float32[np.ndarray, "h w 3"]]


def enlarged(page: Float32[np.ndarray, "h w 3"], factor: int) -> Float32[np.ndarray, "H W 3"]:
    """Returns a page with more texels, on the same UV set (bicubic)."""
    height, width = page.shape[:2]
    return cv2.resize(page, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC)


def back_projected(pages: Pages, views: Iterable[Footprints]) -> tuple[Pages, float]:
    """Returns pages after one iteration, and the mean difference of the renderings before it.

    Args:
        pages: Levels.
        views: Footprints, in a fixed order.
    """
    changes = [np.zeros_like(page) for page in pages]
    weights = [np.zeros(page.shape[:2], np.float32) for page in pages]
    total, count = 0.0, 0
    for view in views:
        for number, page in enumerate(pages):
            here = view.page == number
            total += _gather(
                view.place[here], view.color[here], page, changes[number], weights[number]
            )
            count += int(here.sum())
    moved = [
        page + change / (weight + np.float32(_PRIOR))[..., None]
        for page, change, weight in zip(pages, changes, weights, strict=True)
    ]
    return moved, total / max(count, 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    place: np.ndarray,
    color: np.ndarray,
    page: np.ndarray,
    change: np.ndarray,
    weight: np.ndarray,
) -> float:
    height, width = page.shape[:2]
    value, lack = np.empty(3), np.empty(3)
    total = 0.0
    rays = place.shape[1]
    for n in range(len(place)):
        shown(place[n], page, value)
        square = 0.0
        for c in range(3):
            lack[c] = color[n, c] - value[c]
            square += lack[c] ** 2 / 3.0
        total += np.sqrt(square)
        trust = 1.0 / (1.0 + square / _ROBUST_LEVELS**2) / rays
        for s in range(rays):
            i, j, fx, fy = corner_weights(place[n, s], width, height)
            for dj in range(2):
                for di in range(2):
                    share = trust * (fx if di else 1.0 - fx) * (fy if dj else 1.0 - fy)
                    weight[j + dj, i + di] += share
                    for c in range(3):
                        change[j + dj, i + di, c] += share * lack[c]
    return total
