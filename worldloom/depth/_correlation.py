"""Normalised cross-correlation over windows that follow the reference image.

A neighbour counts by how much its colour resembles that of the centre (Yoon and Kweon, PAMI 2006),
so a window at an edge of the foreground leans on its own side of it: surfaces do not grow.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Int32, UInt8

NO_EVIDENCE = 128
"""Cost where no partner sees a point: that of uncorrelated windows."""

UNSEEN = -4.0
"""Score of a partner that does not see a point: below any correlation."""


@dataclass(frozen=True)
class Window:
    """The support of a match."""

    side_px: int
    """Side of the square, odd."""
    stride_px: int
    """Distance of the samples in it."""
    grey_sigma: float
    """Difference of grey levels at which a neighbour's weight falls to 1/e."""

    @property
    def shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Samples in a row and their distance, as the lengths of tuples.

        Those are part of the type, which the compiler knows, so that sums over a row of the window
        stay in registers.
        """
        across = 2 * (self.side_px // 2 // self.stride_px) + 1
        return (0,) * across, (0,) * self.stride_px

    @property
    def reach_px(self) -> int:
        """Distance from the centre to the outermost samples."""
        return self.side_px // 2 // self.stride_px * self.stride_px

    def offsets(self) -> Int32[np.ndarray, "k 2"]:
        """Returns (row, column) of the samples, relative to the centre."""
        steps = np.arange(-self.reach_px, self.reach_px + 1, self.stride_px, dtype=np.int32)
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


class Support(NamedTuple):
    """What the reference brings to its windows, the same for every partner and hypothesis."""

    weights: Float32[np.ndarray, "h k w"]
    """Of each sample of each window; they sum to one."""
    mean: Float32[np.ndarray, "h w"]
    variance: Float32[np.ndarray, "h w"]
    """Of the image noise included."""


def support(
    grey: Float32[np.ndarray, "hp wp"],
    inside: UInt8[np.ndarray, "hp wp"],
    window: Window,
    noise: float,
) -> Support:
    """Returns the windows of a view.

    Args:
        grey: The reference, padded by the reach of the window on all sides.
        inside: 0 where a pixel is padding.
        window: The support.
        noise: Variance of the image noise, added to that of each window.
    """
    reach = window.reach_px
    offsets = window.offsets()
    height, width = grey.shape[0] - 2 * reach, grey.shape[1] - 2 * reach
    near = np.hypot(offsets[:, 0], offsets[:, 1]) / (2 * max(reach, 1))
    found = Support(
        np.empty((height, len(offsets), width), np.float32),
        np.empty((height, width), np.float32),
        np.empty((height, width), np.float32),
    )
    _support(
        grey,
        inside.astype(np.float32),
        offsets + reach,
        near.astype(np.float32),
        np.float32(1 / window.grey_sigma),
        np.float32(noise),
        reach,
        *found,
    )
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _decay(away: np.float32) -> np.float32:
    """exp(-away), good to 2e-6 of 1, of sums and products only, so that loops become vectors.

    exp(-a) = exp(-a / 32) ** 32, and the series of the former to seven terms; at least exp(-40).
    """
    x = min(away, np.float32(40)) * np.float32(-1 / 32)
    power = np.float32(1 / 720) + x * np.float32(1 / 5040)
    power = np.float32(1 / 24) + x * (np.float32(1 / 120) + x * power)
    power = np.float32(1 / 2) + x * (np.float32(1 / 6) + x * power)
    power = np.float32(1) + x * (np.float32(1) + x * power)
    for _ in range(5):
        power *= power
    return power


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _support(
    grey: np.ndarray,
    inside: np.ndarray,
    offsets: np.ndarray,
    near: np.ndarray,
    per_level: np.float32,
    noise: np.float32,
    reach: int,
    weights: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
) -> None:
    height, count, width = weights.shape
    total = np.empty(width, np.float32)
    for y in range(height):
        total[:] = 0
        mean, variance = means[y], variances[y]
        mean[:] = 0
        variance[:] = 0
        middle = grey[y + reach, reach : reach + width]
        for k in range(count):
            row, column = y + offsets[k, 0], offsets[k, 1]
            values = grey[row, column : column + width]
            there = inside[row, column : column + width]
            weight = weights[y, k]
            for x in range(width):
                away = abs(values[x] - middle[x]) * per_level + near[k]
                weight[x] = _decay(away) * there[x]
            for x in range(width):
                total[x] += weight[x]
                mean[x] += weight[x] * values[x]
                variance[x] += weight[x] * values[x] * values[x]
        for x in range(width):
            total[x] = np.float32(1) / total[x]
            mean[x] *= total[x]
            variance[x] = max(variance[x] * total[x] - mean[x] * mean[x], np.float32(0)) + noise
        for k in range(count):
            weight = weights[y, k]
            for x in range(width):
                weight[x] *= total[x]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def correlate(
    grey: np.ndarray,
    support: Support,
    shape: tuple[tuple[int, ...], tuple[int, ...]],
    warped: np.ndarray,
    seen: np.ndarray,
    noise: np.float32,
    scores: np.ndarray,
) -> None:
    """NCC of the reference with one warped partner.

    Args:
        grey: The reference, padded by the reach of the window: `hp wp`.
        support: Its windows.
        shape: Of the window.
        warped: The partner in the frame of the reference, padded alike: `hp wp`.
        seen: Not 0 where the partner sees the point: `h w`.
        noise: Variance of the image noise.
        scores: Out, -1 to 1, `UNSEEN` where the partner does not see the point: `h w`.
    """
    across, stride = len(shape[0]), len(shape[1])
    height, width = scores.shape
    sums = np.empty((3, width), np.float32)
    for y in range(height):
        sums[:] = 0
        for i in range(across):
            weights = support.weights[y, i * across : (i + 1) * across]
            _add_row(weights, grey[y + i * stride], warped[y + i * stride], shape, sums)
        for x in range(width):
            mean, square, cross = sums[0, x], sums[1, x], sums[2, x]
            variance = max(square - mean * mean, np.float32(0)) + noise
            score = cross - support.mean[y, x] * mean
            score /= np.sqrt(support.variance[y, x] * variance)
            scores[y, x] = score if seen[y, x] != 0 else np.float32(UNSEEN)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_row(
    weights: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    shape: tuple[tuple[int, ...], tuple[int, ...]],
    sums: np.ndarray,
) -> None:
    """Adds a row of all windows of a line to its sums of b, b * b and a * b."""
    across, stride = len(shape[0]), len(shape[1])
    mean, square, cross = sums[0], sums[1], sums[2]
    # Unsigned indices spare the test for negative ones, which would keep this from being vectors.
    for x in range(np.uint64(len(mean))):
        first, second, third = mean[x], square[x], cross[x]
        for j in range(across):
            value = b[x + np.uint64(j * stride)]
            weighted = weights[j, x] * value
            first += weighted
            second += weighted * value
            third += weighted * a[x + np.uint64(j * stride)]
        mean[x], square[x], cross[x] = first, second, third
