"""A partner as it would look from a view, if a surface were there."""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Bool, Float32, UInt8

NEAREST_Z = 1e-6
"""Homogeneous depth in a partner up to which a point counts as behind it."""


class Partners(NamedTuple):
    """Views to match against, all of one size, for the kernels."""

    grey: Float32[np.ndarray, "p h w"]
    valid: UInt8[np.ndarray, "p h w"]
    """0 where a partner holds no data."""
    whole: Bool[np.ndarray, "p"]
    """True where all of a partner holds data."""
    transfers: Float32[np.ndarray, "p 3 4"]
    """(A | b) of `pixel_transfer`."""


# Positions first, as vectors, then the pixels, one by one: a loop that did both would be neither.
@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def warp(
    partners: Partners,
    which: int,
    surface: np.ndarray,
    step: np.float32,
    first_row: int,
    warped: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Warps rows of a partner along a surface, bilinearly; its border goes on outside of it.

    Args:
        partners: All partners.
        which: The one to warp.
        surface: Inverse depth, 1 / world unit, of rows of the view, padded by the reach of the
            windows on all sides: `hp wp`.
        step: Added to it.
        first_row: Row of the view that the first row inside the padding is.
        warped: Out, `hp wp`.
        seen: Out, not 0 where the nearest pixel of the partner holds data, without the padding:
            `h w`.
    """
    rows, columns = surface.shape
    height, width = partners.grey.shape[1:]
    reach = (rows - seen.shape[0]) // 2
    pixels, transfer = partners.grey[which].reshape(-1), partners.transfers[which]
    across, down = np.empty(columns, np.float32), np.empty(columns, np.float32)
    index, inside = np.empty(columns, np.uint32), np.empty(columns, np.uint8)
    line = np.uint32(width)
    for y in range(rows):
        row = first_row + y - reach
        _places(transfer, surface[y], step, row, reach, height, width, across, down, index, inside)
        out = warped[y]
        for x in range(np.uint64(columns)):
            first = index[x]
            below = first + line
            upper, lower = pixels[first], pixels[below]
            upper += (pixels[first + np.uint32(1)] - upper) * across[x]
            lower += (pixels[below + np.uint32(1)] - lower) * across[x]
            out[x] = upper + (lower - upper) * down[x]
        if reach <= y < rows - reach:
            seen[y - reach] = inside[reach : columns - reach]
            if not partners.whole[which]:
                _mask(partners.valid[which], reach, index, across, down, seen[y - reach])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _places(
    transfer: np.ndarray,
    surface: np.ndarray,
    step: np.float32,
    row: int,
    reach: int,
    height: int,
    width: int,
    across: np.ndarray,
    down: np.ndarray,
    index: np.ndarray,
    inside: np.ndarray,
) -> None:
    """Top left pixel in the partner and the way from it, held within the image."""
    t, fy = transfer, np.float32(row)
    row_x, row_y = t[0, 1] * fy + t[0, 2], t[1, 1] * fy + t[1, 2]
    row_z = t[2, 1] * fy + t[2, 2]
    half, right, bottom = np.float32(-0.5), np.float32(width - 0.5), np.float32(height - 0.5)
    last_u, last_v, line = np.float32(width - 1.001), np.float32(height - 1.001), np.int32(width)
    for x in range(np.uint64(len(surface))):
        fx = np.float32(np.int32(x) - np.int32(reach))
        w = max(surface[x] + step, np.float32(0))
        z = t[2, 0] * fx + row_z + t[2, 3] * w
        scale = np.float32(1) / max(z, np.float32(NEAREST_Z))
        u = (t[0, 0] * fx + row_x + t[0, 3] * w) * scale
        v = (t[1, 0] * fx + row_y + t[1, 3] * w) * scale
        within = (u >= half) & (u < right) & (v >= half) & (v < bottom)
        inside[x] = within & (z > np.float32(NEAREST_Z))
        u = min(max(u, np.float32(0)), last_u)
        v = min(max(v, np.float32(0)), last_v)
        left, top = np.int32(u), np.int32(v)
        across[x], down[x] = u - np.float32(left), v - np.float32(top)
        index[x] = np.uint32(top * line + left)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mask(
    valid: np.ndarray,
    reach: int,
    index: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Clears what falls on pixels without data."""
    width = valid.shape[1]
    flat = valid.reshape(-1)
    for x in range(len(seen)):
        nearest = np.int64(index[x + reach])
        nearest += np.int64(across[x + reach] >= np.float32(0.5))
        nearest += width * np.int64(down[x + reach] >= np.float32(0.5))
        seen[x] &= flat[nearest]
