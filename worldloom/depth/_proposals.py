"""What a pixel may take for its depth: the proposals of round 2, and what each costs.

A pixel with texture looks to itself, the memory, its region and the trusted pixels in eight
directions; one without looks to the planes around its region.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.depth._planes import ViewPlanes
from worldloom.depth._regions import PLANES, BorderPlanes

TRUSTED, LOOSE, DOUBTFUL = 2, 1, 0
"""Trust of a pixel: it keeps its depth; it may take another one at no loss; it should."""

_DIRECTIONS = np.array(
    [[0, 1], [1, 1], [1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1]], np.int64
)
MOST = 10 + 2 * PLANES
"""Most proposals of a pixel; each is inverse depth, slopes and cost."""


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


class Known(NamedTuple):
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


class Costs(NamedTuple):
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


def known_arrays(proposals: Proposals) -> Known:
    """Returns proposals as the kernels take them."""
    return Known(
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


def proposal_costs(config: PropagationConfig, same: float, least: float) -> Costs:
    """Returns settings as the kernels take them; `least` is the smallest inverse depth allowed."""
    return Costs(
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
def textured_proposals(
    known: Known,
    row: int,
    column: int,
    at_x: np.float32,
    at_y: np.float32,
    own: np.float32,
    around: np.ndarray,
    costs: Costs,
    found: np.ndarray,
) -> int:
    """Fills in what a pixel with texture may be: itself, memory, region, the planes around it."""
    same, least = costs.same, costs.least
    slope_x, slope_y = known.slopes[row, column]
    cost = costs.own if known.trust[row, column] == DOUBTFUL else np.float32(0)
    memory = known.memory[row, column]
    count = _add(found, 0, same, least, own, slope_x, slope_y, cost)
    count = _add(found, count, same, least, memory, slope_x, slope_y, np.float32(0))
    for k in range(PLANES):
        a, b, c = known.planes[known.labels[row, column], k]
        count = _add(found, count, same, least, a * at_x + b * at_y + c, a, b, costs.region)
    for a, b, level, cost in around:
        count = _add(found, count, same, least, a * at_x + b * at_y + level, a, b, cost)
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def planes_around(known: Known, row: int, column: int, costs: Costs, around: np.ndarray) -> int:
    """Fills in planes of trusted pixels in eight directions, with their costs; returns how many.

    They are the same for all pixels of a pixel of round 1.
    """
    count = 0
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
        around[count, 0], around[count, 1] = a, b
        around[count, 2], around[count, 3] = level, cost
        count += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def weak_proposals(
    known: Known,
    row: int,
    column: int,
    at_x: np.float32,
    at_y: np.float32,
    own: np.float32,
    costs: Costs,
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
    costs: Costs,
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
