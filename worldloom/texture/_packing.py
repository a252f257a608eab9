"""Boxes packed into square pages, along a skyline."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Int32, Int64


@dataclass(frozen=True, eq=False)
class Packing:
    """Where boxes lie."""

    page: Int32[np.ndarray, "n"]
    corner: Int32[np.ndarray, "n 2"]
    """Left and lower corner of each box."""
    pages: int


def packed(sizes: Int64[np.ndarray, "n 2"], side: int, most_pages: int) -> Packing | None:
    """Packs boxes, the tallest first, each where its top comes lowest.

    The skyline heuristic "bottom left" (Jylanki, "A thousand ways to pack the bin", 2010, section
    2.3); boxes are not turned. The result depends on the sizes alone.

    Args:
        sizes: Width and height of each box, whole numbers.
        side: Side of a page.
        most_pages: Pages that may be used.

    Returns:
        The places, or None where the boxes do not fit.
    """
    if len(sizes) and (sizes.max() > side or sizes.prod(axis=1).sum() > most_pages * side**2):
        return None
    order = np.lexsort((np.arange(len(sizes)), -sizes[:, 0], -sizes[:, 1]))
    page, corner, pages = _packed(sizes[order], side, most_pages)
    if pages < 0:
        return None
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return Packing(page[back], corner[back], max(pages, 1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lowest(
    left: np.ndarray, top: np.ndarray, count: int, side: int, width: int
) -> tuple[int, int]:
    """Segment at which a box of some width lies lowest, and how high; -1 where it does not fit."""
    at, height = -1, 0
    for i in range(count):
        if left[i] + width > side:
            break
        level, j = top[i], i + 1
        while j < count and left[j] < left[i] + width:
            level = max(level, top[j])
            j += 1
        if at < 0 or level < height:
            at, height = i, level
    return at, height


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _raise(left: np.ndarray, top: np.ndarray, count: int, at: int, right: int, height: int) -> int:
    """Puts a segment from `left[at]` to `right` on top; returns the number of segments."""
    last = at
    while last + 1 < count and left[last + 1] < right:
        last += 1
    rest = top[last]
    # What of the last segment sticks out to the right stays.
    end = left[last + 1] if last + 1 < count else -1
    sticks_out = end < 0 or end > right
    kept = at + 1 + int(sticks_out)
    shift = kept - (last + 1)
    if shift > 0:
        for i in range(count - 1, last, -1):
            left[i + shift], top[i + shift] = left[i], top[i]
    elif shift < 0:
        for i in range(last + 1, count):
            left[i + shift], top[i + shift] = left[i], top[i]
    top[at] = height
    if sticks_out:
        left[at + 1], top[at + 1] = right, rest
    return count + shift


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _packed(sizes: np.ndarray, side: int, most_pages: int) -> tuple[np.ndarray, np.ndarray, int]:
    count = len(sizes)
    page = np.zeros(count, np.int32)
    corner = np.zeros((count, 2), np.int32)
    left = np.zeros((most_pages, side + 2), np.int64)
    top = np.zeros((most_pages, side + 2), np.int64)
    segments = np.zeros(most_pages, np.int64)
    segments[0] = 1
    pages = 1
    for n in range(count):
        width, height = sizes[n, 0], sizes[n, 1]
        p = 0
        while True:
            if p == pages:
                if pages == most_pages:
                    return page, corner, -1
                segments[p] = 1
                pages += 1
            at, level = _lowest(left[p], top[p], segments[p], side, width)
            if at >= 0 and level + height <= side:
                break
            p += 1
        page[n], corner[n, 0], corner[n, 1] = p, left[p, at], level
        right = left[p, at] + width
        if right == side:
            # Nothing sticks out at the wall.
            segments[p] = at + 1
            top[p, at] = level + height
        else:
            segments[p] = _raise(left[p], top[p], segments[p], at, right, level + height)
    return page, corner, pages
