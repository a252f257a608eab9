"""How well one window of a view matches a partner on a slanted plane."""

import numba
import numpy as np
from jaxtyping import Float32

_WINDOW = np.array([[i, j] for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)], np.int64)
_UNSEEN = -4.0
LANES = 32
"""Samples of a window with those of weight 0 that fill it up, so that vectors come out even."""

_DOWN, _ACROSS = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
_DOWN[: len(_WINDOW)], _ACROSS[: len(_WINDOW)] = _WINDOW.T


def weight_table(grey_sigma: float) -> Float32[np.ndarray, "k 256"]:
    """Returns the weight of each sample of the window by its difference of grey levels."""
    near = np.hypot(_WINDOW[:, 0], _WINDOW[:, 1]) / 8
    return np.exp(-np.arange(256)[None] / grey_sigma - near[:, None]).astype(np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def reference_window(
    grey: np.ndarray, x: int, y: int, weight_of: np.ndarray, window: np.ndarray
) -> tuple[np.float32, np.float32, np.float32]:
    """Fills weights and values of a window, 2 by `LANES`; returns total weight, mean, variance."""
    height, width = grey.shape
    total, mean, square = np.float32(0), np.float32(0), np.float32(0)
    for k in range(len(weight_of)):
        row = min(max(y + _WINDOW[k, 0], 0), height - 1)
        column = min(max(x + _WINDOW[k, 1], 0), width - 1)
        value = grey[row, column]
        weight = weight_of[k, min(int(abs(value - grey[y, x])), 255)]
        window[0, k] = weight
        window[1, k] = value
        total += weight
        mean += weight * value
        square += weight * value * value
    mean /= total
    return total, mean, max(square / total - mean * mean, np.float32(0))


# Sums may be taken in any order, or the loop over samples would not become vectors.
@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def score(
    image: np.ndarray,
    inside: np.ndarray,
    transfer: np.ndarray,
    x: int,
    y: int,
    plane: np.ndarray,
    window: np.ndarray,
    total: np.float32,
    own: np.float32,
    own_variance: np.float32,
    noise: np.float32,
) -> np.float32:
    """NCC of the window with a partner on a plane; the homography is linear in the pixel."""
    height, width = image.shape
    inverse, slope_x, slope_y = plane[0], plane[1], plane[2]
    fx, fy = np.float32(x), np.float32(y)
    cx = transfer[0, 0] * fx + transfer[0, 1] * fy + transfer[0, 2] + transfer[0, 3] * inverse
    cy = transfer[1, 0] * fx + transfer[1, 1] * fy + transfer[1, 2] + transfer[1, 3] * inverse
    cz = transfer[2, 0] * fx + transfer[2, 1] * fy + transfer[2, 2] + transfer[2, 3] * inverse
    if cz <= np.float32(1e-6):
        return np.float32(_UNSEEN)
    u, v = cx / cz, cy / cz
    if not (u >= 0 and v >= 0 and u < width - 1 and v < height - 1):
        return np.float32(_UNSEEN)
    if inside[int(v + np.float32(0.5)), int(u + np.float32(0.5))] == 0:
        return np.float32(_UNSEEN)
    ax, bx = transfer[0, 0] + transfer[0, 3] * slope_x, transfer[0, 1] + transfer[0, 3] * slope_y
    ay, by = transfer[1, 0] + transfer[1, 3] * slope_x, transfer[1, 1] + transfer[1, 3] * slope_y
    az, bz = transfer[2, 0] + transfer[2, 3] * slope_x, transfer[2, 1] + transfer[2, 3] * slope_y
    other, square, cross = np.float32(0), np.float32(0), np.float32(0)
    last_u, last_v = np.float32(width - 1.001), np.float32(height - 1.001)
    line, flat = np.int32(width), image.reshape(-1)
    for k in range(np.uint64(LANES)):
        dy, dx = _DOWN[k], _ACROSS[k]
        z = np.float32(1) / max(cz + az * dx + bz * dy, np.float32(1e-6))
        u = min(max((cx + ax * dx + bx * dy) * z, np.float32(0)), last_u)
        v = min(max((cy + ay * dx + by * dy) * z, np.float32(0)), last_v)
        left, top = np.int32(u), np.int32(v)
        across, down = u - np.float32(left), v - np.float32(top)
        # Unsigned indices of one row of pixels: no test for negative ones in the way of vectors.
        first = np.uint32(np.int32(top * line) + left)
        below = first + np.uint32(line)
        upper, lower = flat[first], flat[below]
        upper += (flat[first + np.uint32(1)] - upper) * across
        lower += (flat[below + np.uint32(1)] - lower) * across
        value = upper + (lower - upper) * down
        weighted = window[0, k] * value
        other += weighted
        square += weighted * value
        cross += weighted * window[1, k]
    other /= total
    variance = max(square / total - other * other, np.float32(0)) + noise
    return (cross / total - own * other) / np.sqrt(own_variance * variance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def best_half(scores: np.ndarray) -> np.float32:
    """Mean over the better half of the partners that see the point, 0 where none does; sorts."""
    seen = 0
    for k in range(len(scores)):
        seen += scores[k] > np.float32(_UNSEEN)
    half, total = (seen + 1) // 2, np.float32(0)
    for k in range(half):
        best = k
        for m in range(k + 1, len(scores)):
            if scores[m] > scores[best]:
                best = m
        scores[k], scores[best] = scores[best], scores[k]
        total += scores[k]
    return total / np.float32(half) if half > 0 else np.float32(0)
