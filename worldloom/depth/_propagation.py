"""Planes of trusted pixels, offered to the doubtful ones around them.

After the propagation of PatchMatch stereo (Galliani et al., ICCV 2015; Xu and Tao, CVPR 2019), but
only where it is needed. Round 1 has regularised depth already, and is wrong beside edges of the
foreground, where texture is weak and where few views look. There a pixel chooses between its own
plane, what the memory expects, the planes of the nearest trusted pixels in eight directions and
those of its region, by matching cost and by what lies between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.depth._planes import ViewPlanes
from worldloom.depth._regions import PLANES, BorderPlanes
from worldloom.depth._sweep import MatchImage, pixel_transfer
from worldloom.depth._window_score import best_half, reference_window, score, weight_table

TRUSTED, LOOSE, DOUBTFUL = 2, 1, 0
"""Trust of a pixel: it keeps its depth; it may take another one at no loss; it should."""

_DIRECTIONS = np.array(
    [[0, 1], [1, 1], [1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1]], np.int64
)
_LEAST_WEIGHT = 0.2
"""Weight of a match where there is no texture at all."""


@dataclass(frozen=True)
class PropagationConfig:
    """What a plane from elsewhere costs, in units of 1 - NCC."""

    reach_px: int = 60
    """Farthest trusted pixel looked for, pixels of round 1; more bridges wider gaps."""
    color_cost: float = 0.3
    """Cost of a plane from beyond another colour; more keeps surfaces inside their colour."""
    color_scale: float = 30.0
    """Difference of grey levels that counts as another colour."""
    distance_cost: float = 0.15
    """Cost of a plane from `reach_px` away."""
    own_cost: float = 0.1
    """Cost of the own depth where no other view confirms it."""
    weak_cost: float = 0.4
    """Cost of the own depth where texture is too weak to tell depth; more makes more planes."""
    memory_cost: float = 0.3
    """Cost of what the memory expects where texture is too weak to tell depth."""
    border_cost: float = 0.3
    """Cost of a plane that borders on no more than a point of a weak region; none for the only one
    around it."""
    region_cost: float = 0.05
    """Cost of a plane of the region."""
    partners: int = 6
    """Partners that are asked, best first; more is steadier and slower."""


@dataclass(frozen=True, eq=False)
class Proposals:
    """What is known at the size of round 1."""

    inverse: Float32[np.ndarray, "h w"]
    """Inverse depth, own or the best guess; positive."""
    slopes: Float32[np.ndarray, "h w 2"]
    """Its change along x and y, per pixel; read where trusted."""
    trust: UInt8[np.ndarray, "h w"]
    """`TRUSTED`, `LOOSE` or `DOUBTFUL`."""
    memory: Float32[np.ndarray, "h w"]
    """Inverse depth that the memory expects; 0 = it knows nothing."""
    labels: np.ndarray
    """Region of each pixel."""
    planes: Float32[np.ndarray, "r p 3"]
    """Planes of the regions."""
    surfaces: ViewPlanes
    """Planes of the view."""
    border: BorderPlanes
    """Planes around the regions."""
    texture: Float32[np.ndarray, "h w"]
    """1 where texture tells depth, down to 0 where it says nothing."""
    image: Float32[np.ndarray, "h w 3"]
    """Colours."""


class _Known(NamedTuple):
    """The arrays of `Proposals`, for the kernels."""

    inverse: np.ndarray
    slopes: np.ndarray
    trust: np.ndarray
    memory: np.ndarray
    labels: np.ndarray
    planes: np.ndarray
    surface_of: np.ndarray
    surfaces: np.ndarray
    border: np.ndarray
    shares: np.ndarray
    texture: np.ndarray
    image: np.ndarray


class _Costs(NamedTuple):
    """The settings, for the kernels."""

    reach: int
    color: np.float32
    per_level: np.float32
    distance: np.float32
    own: np.float32
    weak: np.float32
    memory: np.float32
    border: np.float32
    region: np.float32
    same: np.float32
    least: np.float32


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
    transfers = [pixel_transfer(reference.camera, partner.camera) for partner in asked]
    known = _Known(
        proposals.inverse,
        proposals.slopes,
        proposals.trust,
        proposals.memory,
        proposals.labels,
        proposals.planes,
        proposals.surfaces.labels,
        proposals.surfaces.planes,
        proposals.border.planes,
        proposals.border.shares,
        proposals.texture,
        proposals.image,
    )
    out = surface.copy()
    _propagate(
        known,
        reference.grey,
        np.stack([partner.grey for partner in asked]),
        np.stack([partner.valid.view(np.uint8) for partner in asked]),
        np.stack([np.column_stack(transfer) for transfer in transfers]).astype(np.float32),
        weight_table(grey_sigma),
        np.float32(noise_level**2),
        _costs(config, same, 0.25 * float(surface.min())),
        out,
    )
    return out


def _costs(config: PropagationConfig, same: float, least: float) -> _Costs:
    return _Costs(
        config.reach_px,
        np.float32(config.color_cost),
        np.float32(config.color_cost / config.color_scale),
        np.float32(config.distance_cost),
        np.float32(config.own_cost),
        np.float32(config.weak_cost),
        np.float32(config.memory_cost),
        np.float32(config.border_cost),
        np.float32(config.region_cost),
        np.float32(same),
        np.float32(least),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _propagate(
    known: _Known,
    grey: np.ndarray,
    partners: np.ndarray,
    inside: np.ndarray,
    transfers: np.ndarray,
    weight_of: np.ndarray,
    noise: np.float32,
    costs: _Costs,
    out: np.ndarray,
) -> None:
    rows, columns = known.inverse.shape
    height, width = grey.shape
    scale_x, scale_y = np.float32(columns / width), np.float32(rows / height)
    found = np.empty((10 + 2 * PLANES, 4), np.float32)  # inverse depth, slopes, cost
    window = np.empty((len(weight_of), 2), np.float32)
    scores = np.empty(len(partners), np.float32)
    for y in range(height):
        at_y = (np.float32(y) + np.float32(0.5)) * scale_y - np.float32(0.5)
        row = min(max(int(np.floor(at_y + np.float32(0.5))), 0), rows - 1)
        for x in range(width):
            at_x = (np.float32(x) + np.float32(0.5)) * scale_x - np.float32(0.5)
            column = min(max(int(np.floor(at_x + np.float32(0.5))), 0), columns - 1)
            if known.trust[row, column] == TRUSTED:
                continue
            if known.texture[row, column] < np.float32(1):
                count = _weak_proposals(known, row, column, at_x, at_y, out[y, x], costs, found)
            else:
                count = _proposals(known, row, column, at_x, at_y, out[y, x], costs, found)
            # What images say of weak texture is mostly noise.
            weight = max(known.texture[row, column], np.float32(_LEAST_WEIGHT))
            total, mean, variance = reference_window(grey, x, y, weight_of, window)
            best = np.float32(1e9)
            for k in range(count):
                if found[k, 3] >= best:
                    continue
                found[k, 1] *= scale_x
                found[k, 2] *= scale_y
                for p in range(len(partners)):
                    scores[p] = score(
                        partners[p],
                        inside[p],
                        transfers[p],
                        x,
                        y,
                        found[k],
                        window,
                        total,
                        mean,
                        variance + noise,
                        noise,
                    )
                cost = weight * (np.float32(1) - best_half(scores)) + found[k, 3]
                if cost < best:
                    best = cost
                    out[y, x] = found[k, 0]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _proposals(
    known: _Known,
    row: int,
    column: int,
    at_x: np.float32,
    at_y: np.float32,
    own: np.float32,
    costs: _Costs,
    found: np.ndarray,
) -> int:
    """Fills in what a pixel with texture may be: itself, memory, region, trusted neighbours."""
    same, least = costs.same, costs.least
    slope_x, slope_y = known.slopes[row, column]
    cost = costs.own if known.trust[row, column] == DOUBTFUL else np.float32(0)
    memory = known.memory[row, column]
    count = _add(found, 0, same, least, own, slope_x, slope_y, cost)
    count = _add(found, count, same, least, memory, slope_x, slope_y, np.float32(0))
    for k in range(PLANES):
        a, b, c = known.planes[known.labels[row, column], k]
        count = _add(found, count, same, least, a * at_x + b * at_y + c, a, b, costs.region)
    for direction in range(8):
        r, c, cost = _nearest(known.trust, known.image, row, column, direction, costs)
        if r < 0:
            continue
        surface = known.surface_of[r, c]
        if surface >= 0:
            a, b, level = known.surfaces[surface]
        else:
            a, b = known.slopes[r, c]
            level = known.inverse[r, c] - a * np.float32(c) - b * np.float32(r)
        count = _add(found, count, same, least, a * at_x + b * at_y + level, a, b, cost)
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _weak_proposals(
    known: _Known,
    row: int,
    column: int,
    at_x: np.float32,
    at_y: np.float32,
    own: np.float32,
    costs: _Costs,
    found: np.ndarray,
) -> int:
    """Fills in what a pixel of weak texture may be: a plane around its region, memory, itself."""
    same, least = costs.same, costs.least
    slope_x, slope_y = known.slopes[row, column]
    memory = known.memory[row, column]
    count = _add(found, 0, same, least, own, slope_x, slope_y, costs.weak)
    count = _add(found, count, same, least, memory, slope_x, slope_y, costs.memory)
    for k in range(PLANES):
        share = known.shares[known.labels[row, column], k]
        if share > np.float32(0):
            a, b, c = known.border[known.labels[row, column], k]
            cost = costs.region + costs.border * (np.float32(1) - share)
            count = _add(found, count, same, least, a * at_x + b * at_y + c, a, b, cost)
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(
    found: np.ndarray,
    count: int,
    same: np.float32,
    least: np.float32,
    value: np.float32,
    slope_x: np.float32,
    slope_y: np.float32,
    cost: np.float32,
) -> int:
    """Notes a proposal above `least`, or makes an equal one cheaper; returns how many there are."""
    if not value > least:
        return count
    for k in range(count):
        if abs(found[k, 0] - value) < same:
            found[k, 3] = min(found[k, 3], cost)
            return count
    found[count, 0] = value
    found[count, 1] = slope_x
    found[count, 2] = slope_y
    found[count, 3] = cost
    return count + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest(
    trust: np.ndarray,
    image: np.ndarray,
    row: int,
    column: int,
    direction: int,
    costs: _Costs,
) -> tuple[int, int, np.float32]:
    """First trusted pixel in a direction, and what its plane costs; row -1 where there is none."""
    apart = np.float32(0)
    for step in range(1, costs.reach + 1):
        r = row + step * _DIRECTIONS[direction, 0]
        c = column + step * _DIRECTIONS[direction, 1]
        if r < 0 or c < 0 or r >= trust.shape[0] or c >= trust.shape[1]:
            break
        for channel in range(3):
            apart = max(apart, abs(image[r, c, channel] - image[row, column, channel]))
        if trust[r, c] == TRUSTED:
            cost = min(apart * costs.per_level, costs.color)
            return r, c, np.float32(cost + costs.distance * np.float32(step / costs.reach))
    return -1, -1, np.float32(0)
