"""Planes of trusted pixels, offered to the doubtful ones around them.

After the propagation of PatchMatch stereo (Galliani et al., ICCV 2015; Xu and Tao, CVPR 2019), but
only where it is needed. Round 1 has regularised depth already, and is wrong beside edges of the
foreground, where texture is weak and where few views look. There a pixel chooses between its own
plane, what the memory expects, the planes of the nearest trusted pixels in eight directions and
those of its region, by matching cost and by what lies between.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32

from worldloom.depth._proposals import (
    MOST,
    TRUSTED,
    Costs,
    Known,
    PropagationConfig,
    Proposals,
    known_arrays,
    planes_around,
    proposal_costs,
    textured_proposals,
    weak_proposals,
)
from worldloom.depth._sweep import MatchImage, match_partners
from worldloom.depth._warp import Partners
from worldloom.depth._window_score import (
    LANES,
    best_half,
    reference_window,
    score,
    weight_table,
)

_LEAST_WEIGHT = 0.2
"""Weight of a match where there is no texture at all."""


class Views(NamedTuple):
    """The view and its partners, for the kernels."""

    grey: np.ndarray
    partners: Partners
    weight_of: np.ndarray
    noise: np.float32


def propagate(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    surface: Float32[np.ndarray, "H W"],
    proposals: Proposals,
    *,
    same: float,
    grey_sigma: float,
    noise_level: float,
    config: PropagationConfig,
) -> Float32[np.ndarray, "H W"]:
    """Returns a surface in which doubtful pixels took the plane that suits them best.

    Args:
        reference: The view at full size.
        partners: Views to match against, best first, at the same size.
        surface: Inverse depth at full size, 1 / world unit; positive.
        proposals: What is known at the size of round 1.
        same: Difference of inverse depth below which two proposals are one.
        grey_sigma: As in `Window`.
        noise_level: Standard deviation of the image noise, grey levels.
        config: Settings.
    """
    asked = partners[: config.partners]
    known = known_arrays(proposals)
    views = Views(
        reference.grey,
        match_partners(reference, asked),
        weight_table(grey_sigma),
        np.float32(noise_level**2),
    )
    costs = proposal_costs(config, same, 0.25 * float(surface.min()))
    out = surface.copy()
    _fill_weak(known, views, costs, out)
    _propagate(known, views, costs, out)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _propagate(known: Known, views: Views, costs: Costs, out: np.ndarray) -> None:
    """Every pixel with texture, by itself."""
    rows, columns = known.inverse.shape
    height, width = views.grey.shape
    scale_x, scale_y = np.float32(columns / width), np.float32(rows / height)
    found = np.empty((MOST, 4), np.float32)
    around, counts = np.empty((columns, 8, 4), np.float32), np.empty(columns, np.int64)
    last = -1
    for y in range(height):
        at_y = (np.float32(y) + np.float32(0.5)) * scale_y - np.float32(0.5)
        row = min(max(int(np.floor(at_y + np.float32(0.5))), 0), rows - 1)
        if row != last:
            counts[:] = -1
            last = row
        for x in range(width):
            at_x = (np.float32(x) + np.float32(0.5)) * scale_x - np.float32(0.5)
            column = min(max(int(np.floor(at_x + np.float32(0.5))), 0), columns - 1)
            textured = known.texture[row, column] >= np.float32(1)
            if known.trust[row, column] == TRUSTED or not textured:
                continue
            if counts[column] < 0:
                counts[column] = planes_around(known, row, column, costs, around[column])
            near = around[column, : counts[column]]
            count = textured_proposals(
                known, row, column, at_x, at_y, out[y, x], near, costs, found
            )
            best = _best(views, x, y, scale_x, scale_y, found[:count], np.float32(1))
            if best >= 0:
                out[y, x] = found[best, 0]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _fill_weak(known: Known, views: Views, costs: Costs, out: np.ndarray) -> None:
    """Weak texture: one choice for all pixels of a pixel of round 1, as they differ in nothing."""
    rows, columns = known.inverse.shape
    height, width = views.grey.shape
    scale_x, scale_y = np.float32(columns / width), np.float32(rows / height)
    found = np.empty((MOST, 4), np.float32)
    for row in range(rows):
        top, bottom = (
            row * height // rows,
            max((row + 1) * height // rows, row * height // rows + 1),
        )
        y = (top + bottom - 1) // 2
        at_y = (np.float32(y) + np.float32(0.5)) * scale_y - np.float32(0.5)
        for column in range(columns):
            told = known.texture[row, column]
            if known.trust[row, column] == TRUSTED or told >= np.float32(1):
                continue
            left = column * width // columns
            right = max((column + 1) * width // columns, left + 1)
            x = (left + right - 1) // 2
            at_x = (np.float32(x) + np.float32(0.5)) * scale_x - np.float32(0.5)
            own = np.float32(out[y, x])
            count = weak_proposals(known, row, column, at_x, at_y, own, costs, found)
            # What images say of weak texture is mostly noise.
            weight = max(told, np.float32(_LEAST_WEIGHT))
            slopes = found[:count, 1:3].copy()
            best = _best(views, x, y, scale_x, scale_y, found[:count], weight)
            if best < 0 or found[best, 0] == own:
                continue
            for r in range(top, bottom):
                for c in range(left, right):
                    value = found[best, 0] + slopes[best, 0] * np.float32(c - x) * scale_x
                    value += slopes[best, 1] * np.float32(r - y) * scale_y
                    out[r, c] = max(value, costs.least)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _best(
    views: Views,
    x: int,
    y: int,
    scale_x: np.float32,
    scale_y: np.float32,
    found: np.ndarray,
    weight: np.float32,
) -> int:
    """Index of the cheapest proposal, -1 of none; turns their slopes into those of full size."""
    window = np.zeros((2, LANES), np.float32)
    scores = np.empty(len(views.partners.grey), np.float32)
    total, mean, variance = reference_window(views.grey, x, y, views.weight_of, window)
    least, best = np.float32(1e9), -1
    for k in range(len(found)):
        if found[k, 3] >= least:
            continue
        found[k, 1] *= scale_x
        found[k, 2] *= scale_y
        for p in range(len(views.partners.grey)):
            scores[p] = score(
                views.partners.grey[p],
                views.partners.valid[p],
                views.partners.transfers[p],
                x,
                y,
                found[k],
                window,
                total,
                mean,
                variance + views.noise,
                views.noise,
            )
        cost = weight * (np.float32(1) - best_half(scores)) + found[k, 3]
        if cost < least:
            least, best = cost, k
    return best
