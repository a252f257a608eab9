"""Semi-global aggregation of a matching cost volume (Hirschmueller, PAMI 2008, eq. 13)."""

import numba
import numpy as np
from jaxtyping import UInt8, UInt16


def aggregate_cost(
    cost: UInt8[np.ndarray, "h w d"],
    guide: UInt8[np.ndarray, "h w"],
    *,
    small_step: int,
    large_step: int,
    guide_scale: float,
) -> UInt16[np.ndarray, "h w d"]:
    """Sums the path costs of eight directions.

    A change of one hypothesis between neighbours costs `small_step`; a larger change costs
    `large_step`, less where the guide image has an edge: surfaces end where colours do.

    Args:
        cost: Matching cost of each hypothesis, 0 (equal) to 255.
        guide: Grey image of the reference view.
        small_step: Cost of a change by one hypothesis.
        large_step: Cost of any larger change, where the guide is flat.
        guide_scale: Grey levels of guide difference that divide `large_step` by two.

    Returns:
        Aggregated cost; lower is better.
    """
    total = np.zeros(cost.shape, np.uint16)
    steps = _large_steps(small_step, large_step, guide_scale)
    _sweep_rows(cost, guide, total, np.uint16(small_step), steps, 1)
    _sweep_rows(cost, guide, total, np.uint16(small_step), steps, -1)
    return total


def _large_steps(small_step: int, large_step: int, guide_scale: float) -> UInt16[np.ndarray, "256"]:
    difference = np.arange(256)
    steps = large_step / (1.0 + difference / guide_scale)
    return np.maximum(np.round(steps), small_step + 1).astype(np.uint16)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _step(
    cost: np.ndarray,
    previous: np.ndarray,
    current: np.ndarray,
    total: np.ndarray,
    small: np.uint16,
    large: np.uint16,
) -> None:
    """One pixel of one path; `previous` and `current` are padded by one at both ends."""
    count = cost.shape[0]
    best = previous[1]
    for k in range(2, count + 1):
        best = min(best, previous[k])
    cap = np.uint16(best + large)
    for k in range(count):
        reach = min(previous[k + 1], cap)
        reach = min(reach, np.uint16(previous[k] + small))
        reach = min(reach, np.uint16(previous[k + 2] + small))
        value = np.uint16(np.uint16(cost[k]) + np.uint16(reach - best))
        current[k + 1] = value
        total[k] += value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sweep_rows(
    cost: np.ndarray,
    guide: np.ndarray,
    total: np.ndarray,
    small: np.uint16,
    steps: np.ndarray,
    sign: int,
) -> None:
    """Four of the eight directions: along the row, and the three that come from the row before."""
    height, width, count = cost.shape
    far = np.uint16(20000)
    above = np.full((3, width + 2, count + 2), far, np.uint16)
    below = np.full((3, width + 2, count + 2), far, np.uint16)
    beside = np.full((2, count + 2), far, np.uint16)
    fresh = np.full(count + 2, far, np.uint16)
    fresh[1 : count + 1] = 0
    for row in range(height):
        y = row if sign > 0 else height - 1 - row
        side = 0
        for column in range(width):
            x = column if sign > 0 else width - 1 - column
            grey = np.int32(guide[y, x])
            here = cost[y, x]
            out = total[y, x]
            if column > 0:
                large = steps[abs(grey - np.int32(guide[y, x - sign]))]
                _step(here, beside[side], beside[1 - side], out, small, large)
            else:
                _step(here, fresh, beside[1 - side], out, small, steps[0])
            side = 1 - side
            for path in range(3):
                from_x = x + path - 1
                if row > 0 and 0 <= from_x < width:
                    large = steps[abs(grey - np.int32(guide[y - sign, from_x]))]
                    _step(here, above[path, from_x], below[path, x], out, small, large)
                else:
                    _step(here, fresh, below[path, x], out, small, steps[0])
        above, below = below, above
