"""Planes of trusted pixels, offered to the doubtful ones around them.

After the propagation of PatchMatch stereo (Galliani et al., ICCV 2015; Xu and Tao, CVPR 2019), but
only where it is needed. Round 1 has regularised depth already, and is wrong beside edges of the
foreground, where texture is weak and where few views look. There a pixel chooses between its own
plane, what the memory expects, the planes of the nearest trusted pixels in eight directions and
those of its region, by matching cost and by what lies between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.depth._regions import PLANES
from worldloom.depth._sweep import MatchImage, pixel_transfer

TRUSTED, LOOSE, DOUBTFUL = 2, 1, 0
"""Trust of a pixel: it keeps its depth; it may take another one at no loss; it should."""

_DIRECTIONS = np.array(
    [[0, 1], [1, 1], [1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1]], np.int64
)
_WINDOW = np.array([[i, j] for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)], np.int64)
_UNSEEN = -4.0


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
    image: Float32[np.ndarray, "h w 3"]
    """Colours."""


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
    out = surface.copy()
    _propagate(
        proposals.inverse,
        proposals.slopes,
        proposals.trust,
        proposals.memory,
        proposals.labels,
        proposals.planes,
        proposals.image,
        reference.grey,
        np.stack([partner.grey for partner in asked]),
        np.stack([partner.valid.view(np.uint8) for partner in asked]),
        np.stack([np.column_stack(transfer) for transfer in transfers]).astype(np.float32),
        _weight_table(grey_sigma),
        np.float32(noise_level**2),
        np.float32(same),
        np.float32(0.25 * float(surface.min())),
        config.reach_px,
        np.float32(config.color_cost),
        np.float32(config.color_scale),
        np.float32(config.distance_cost),
        np.float32(config.own_cost),
        np.float32(config.region_cost),
        out,
    )
    return out


def _weight_table(grey_sigma: float) -> Float32[np.ndarray, "k 256"]:
    """Weight of each sample of the window by its difference of grey levels."""
    near = np.hypot(_WINDOW[:, 0], _WINDOW[:, 1]) / 8
    return np.exp(-np.arange(256)[None] / grey_sigma - near[:, None]).astype(np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _propagate(  # noqa: C901 - one pixel at a time, for speed
    inverse: np.ndarray,
    slopes: np.ndarray,
    trust: np.ndarray,
    memory: np.ndarray,
    labels: np.ndarray,
    planes: np.ndarray,
    image: np.ndarray,
    grey: np.ndarray,
    partners: np.ndarray,
    inside: np.ndarray,
    transfers: np.ndarray,
    weight_of: np.ndarray,
    noise: np.float32,
    same: np.float32,
    least: np.float32,
    reach: int,
    color_cost: np.float32,
    color_scale: np.float32,
    distance_cost: np.float32,
    own_cost: np.float32,
    region_cost: np.float32,
    out: np.ndarray,
) -> None:
    rows, columns = inverse.shape
    height, width = grey.shape
    scale_x, scale_y = np.float32(columns / width), np.float32(rows / height)
    found = np.empty((10 + PLANES, 4), np.float32)  # inverse depth, slopes, cost
    window = np.empty((len(weight_of), 2), np.float32)
    scores = np.empty(len(partners), np.float32)
    for y in range(height):
        at_y = (np.float32(y) + np.float32(0.5)) * scale_y - np.float32(0.5)
        row = min(max(int(np.floor(at_y + np.float32(0.5))), 0), rows - 1)
        for x in range(width):
            at_x = (np.float32(x) + np.float32(0.5)) * scale_x - np.float32(0.5)
            column = min(max(int(np.floor(at_x + np.float32(0.5))), 0), columns - 1)
            if trust[row, column] == TRUSTED:
                continue
            slope_x, slope_y = slopes[row, column]
            cost = own_cost if trust[row, column] == DOUBTFUL else np.float32(0)
            count = _add(found, 0, same, least, out[y, x], slope_x, slope_y, cost)
            count = _add(
                found, count, same, least, memory[row, column], slope_x, slope_y, np.float32(0)
            )
            for k in range(PLANES):
                a, b, c = planes[labels[row, column], k]
                value = a * at_x + b * at_y + c
                count = _add(found, count, same, least, value, a, b, region_cost)
            for direction in range(8):
                r, c, cost = _nearest(
                    trust,
                    image,
                    row,
                    column,
                    direction,
                    reach,
                    color_cost / color_scale,
                    color_cost,
                    distance_cost,
                )
                value = inverse[r, c] + slopes[r, c, 0] * (at_x - np.float32(c))
                value += slopes[r, c, 1] * (at_y - np.float32(r))
                if r >= 0:
                    a, b = slopes[r, c]
                    count = _add(found, count, same, least, value, a, b, cost)
            for k in range(count):
                found[k, 1] *= scale_x
                found[k, 2] *= scale_y
            total, mean, variance = _reference_window(grey, x, y, weight_of, window)
            best = np.float32(1e9)
            for k in range(count):
                if found[k, 3] >= best:
                    continue
                for p in range(len(partners)):
                    scores[p] = _score(
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
                cost = np.float32(1) - _best_half(scores) + found[k, 3]
                if cost < best:
                    best = cost
                    out[y, x] = found[k, 0]


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
    reach: int,
    cost_per_level: np.float32,
    color_cost: np.float32,
    distance_cost: np.float32,
) -> tuple[int, int, np.float32]:
    """First trusted pixel in a direction, and what its plane costs; row -1 where there is none."""
    apart = np.float32(0)
    for step in range(1, reach + 1):
        r = row + step * _DIRECTIONS[direction, 0]
        c = column + step * _DIRECTIONS[direction, 1]
        if r < 0 or c < 0 or r >= trust.shape[0] or c >= trust.shape[1]:
            break
        for channel in range(3):
            apart = max(apart, abs(image[r, c, channel] - image[row, column, channel]))
        if trust[r, c] == TRUSTED:
            cost = min(apart * cost_per_level, color_cost)
            return r, c, np.float32(cost + distance_cost * np.float32(step / reach))
    return -1, -1, np.float32(0)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _reference_window(
    grey: np.ndarray, x: int, y: int, weight_of: np.ndarray, window: np.ndarray
) -> tuple[np.float32, np.float32, np.float32]:
    """Fills weights and values of a window; returns total weight, mean and variance."""
    height, width = grey.shape
    total, mean, square = np.float32(0), np.float32(0), np.float32(0)
    for k in range(len(weight_of)):
        row = min(max(y + _WINDOW[k, 0], 0), height - 1)
        column = min(max(x + _WINDOW[k, 1], 0), width - 1)
        value = grey[row, column]
        weight = weight_of[k, min(int(abs(value - grey[y, x])), 255)]
        window[k, 0] = weight
        window[k, 1] = value
        total += weight
        mean += weight * value
        square += weight * value * value
    mean /= total
    return total, mean, max(square / total - mean * mean, np.float32(0))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _score(
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
    for k in range(len(_WINDOW)):
        dy, dx = np.float32(_WINDOW[k, 0]), np.float32(_WINDOW[k, 1])
        z = np.float32(1) / max(cz + az * dx + bz * dy, np.float32(1e-6))
        u = min(max((cx + ax * dx + bx * dy) * z, np.float32(0)), np.float32(width - 1.001))
        v = min(max((cy + ay * dx + by * dy) * z, np.float32(0)), np.float32(height - 1.001))
        left, top = int(u), int(v)
        across, down = u - np.float32(left), v - np.float32(top)
        upper = image[top, left] + (image[top, left + 1] - image[top, left]) * across
        lower = image[top + 1, left]
        lower += (image[top + 1, left + 1] - image[top + 1, left]) * across
        value = upper + (lower - upper) * down
        weighted = window[k, 0] * value
        other += weighted
        square += weighted * value
        cross += weighted * window[k, 1]
    other /= total
    variance = max(square / total - other * other, np.float32(0)) + noise
    return (cross / total - own * other) / np.sqrt(own_variance * variance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _best_half(scores: np.ndarray) -> np.float32:
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
