"""Normalised cross-correlation over windows that follow the reference image.

A neighbour counts by how much its colour resembles that of the centre (Yoon and Kweon, PAMI 2006),
so a window at an edge of the foreground leans on its own side of it: surfaces do not grow.
"""

from dataclasses import dataclass

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
    def reach_px(self) -> int:
        """Distance from the centre to the outermost samples."""
        return self.side_px // 2 // self.stride_px * self.stride_px

    def offsets(self) -> Int32[np.ndarray, "k 2"]:
        """Returns (row, column) of the samples, relative to the centre."""
        steps = np.arange(-self.reach_px, self.reach_px + 1, self.stride_px, dtype=np.int32)
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def support_weights(
    grey: Float32[np.ndarray, "hp wp"], inside: UInt8[np.ndarray, "hp wp"], window: Window
) -> Float32[np.ndarray, "h k w"]:
    """Returns the weight of each sample of each window; they sum to one.

    Args:
        grey: The reference, padded by the reach of the window on all sides.
        inside: 0 where a pixel is padding.
        window: The support.
    """
    reach = window.reach_px
    offsets = window.offsets()
    shape = (grey.shape[0] - 2 * reach, len(offsets), grey.shape[1] - 2 * reach)
    weights = np.empty(shape, np.float32)
    spread = np.float32(max(reach, 1))
    _support_weights(grey, inside, offsets, reach, np.float32(window.grey_sigma), spread, weights)
    return weights


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _support_weights(
    grey: np.ndarray,
    inside: np.ndarray,
    offsets: np.ndarray,
    reach: int,
    grey_sigma: np.float32,
    spread: np.float32,
    weights: np.ndarray,
) -> None:
    height, count, width = weights.shape
    total = np.empty(width, np.float32)
    near = np.empty(count, np.float32)
    for k in range(count):
        square = np.float32(offsets[k, 0] ** 2 + offsets[k, 1] ** 2)
        near[k] = np.sqrt(square) / (np.float32(2) * spread)
    for y in range(height):
        total[:] = 0
        for k in range(count):
            row, column = y + reach + offsets[k, 0], reach + offsets[k, 1]
            for x in range(width):
                difference = abs(grey[row, x + column] - grey[y + reach, x + reach])
                weight = np.exp(-difference / grey_sigma - near[k])
                weight = weight if inside[row, x + column] != 0 else np.float32(0)
                weights[y, k, x] = weight
                total[x] += weight
        for k in range(count):
            for x in range(width):
                weights[y, k, x] /= total[x]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def correlate(
    grey: np.ndarray,
    weights: np.ndarray,
    offsets: np.ndarray,
    reach: int,
    warped: np.ndarray,
    inside: np.ndarray,
    noise: np.float32,
    scores: np.ndarray,
) -> None:
    """NCC of the reference with one warped partner.

    Args:
        grey: The reference, padded by `reach`: `hp wp`.
        weights: Of `support_weights`: `h k w`.
        offsets: Of the window: `k 2`.
        reach: Padding, pixels.
        warped: The partner in the frame of the reference, padded alike: `hp wp`.
        inside: Not 0 where the partner sees the point, padded alike: `hp wp`.
        noise: Variance of the image noise, added to both variances.
        scores: Out, -1 to 1, `UNSEEN` where the partner does not see the point: `h w`.
    """
    height, count, width = weights.shape
    own, own_square = np.empty(width, np.float32), np.empty(width, np.float32)
    other, other_square = np.empty(width, np.float32), np.empty(width, np.float32)
    cross = np.empty(width, np.float32)
    for y in range(height):
        own[:] = 0
        own_square[:] = 0
        other[:] = 0
        other_square[:] = 0
        cross[:] = 0
        for k in range(count):
            column = reach + offsets[k, 1]
            weight = weights[y, k]
            a = grey[y + reach + offsets[k, 0], column : column + width]
            b = warped[y + reach + offsets[k, 0], column : column + width]
            for x in range(width):
                wa, wb = weight[x] * a[x], weight[x] * b[x]
                own[x] += wa
                own_square[x] += wa * a[x]
                other[x] += wb
                other_square[x] += wb * b[x]
                cross[x] += wa * b[x]
        for x in range(width):
            own_variance = max(own_square[x] - own[x] * own[x], np.float32(0)) + noise
            variance = max(other_square[x] - other[x] * other[x], np.float32(0)) + noise
            score = (cross[x] - own[x] * other[x]) / np.sqrt(own_variance * variance)
            seen = inside[y + reach, x + reach] != 0
            scores[y, x] = score if seen else np.float32(UNSEEN)
