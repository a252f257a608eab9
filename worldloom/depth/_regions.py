"""Planes of image regions: what weak texture lies on, where its surroundings are known.

Regions of one colour (Felzenszwalb and Huttenlocher, IJCV 2004) get up to three planes by RANSAC
over the trusted depth in and around them; a plane in space is a plane in inverse depth. After
TAPA-MVS (Romanoni and Matteucci, ICCV 2019).
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8
from skimage.segmentation import felzenszwalb

from worldloom.depth._planes import ViewPlanes

PLANES = 3
"""Planes looked for in a region."""


def regions(image: UInt8[np.ndarray, "h w 3"]) -> Int32[np.ndarray, "h w"]:
    """Returns a label for each pixel; regions are connected and of one colour."""
    return felzenszwalb(image, scale=150, sigma=0.6, min_size=40).astype(np.int32)


def region_planes(
    labels: Int32[np.ndarray, "h w"],
    inverse: Float32[np.ndarray, "h w"],
    trusted: Bool[np.ndarray, "h w"],
    tolerance: float,
    border_px: int = 4,
) -> Float32[np.ndarray, "r 3 3"]:
    """Fits planes `a x + b y + c` to the inverse depth in and around each region.

    Args:
        labels: Of `regions`.
        inverse: Inverse depth, 1 / world unit.
        trusted: Where it counts.
        tolerance: Distance up to which a pixel is on a plane, 1 / world unit.
        border_px: Width of what counts as around.

    Returns:
        Planes by label; zeros where there is none.
    """
    ys, xs = np.nonzero(trusted)
    members: list[np.ndarray] = []
    height, width = labels.shape
    for dy, dx in ((0, 0), (-border_px, 0), (border_px, 0), (0, -border_px), (0, border_px)):
        y, x = np.clip(ys + dy, 0, height - 1), np.clip(xs + dx, 0, width - 1)
        members.append(labels[y, x].astype(np.int64) * trusted.size + ys * width + xs)
    pairs = np.unique(np.concatenate(members))
    owner, pixel = pairs // trusted.size, pairs % trusted.size
    y, x = pixel // width, pixel % width
    starts = np.searchsorted(owner, np.arange(labels.max() + 2))
    planes = np.zeros((int(labels.max()) + 1, PLANES, 3), np.float32)
    _fit(
        starts,
        np.stack([x, y, inverse[y, x]], axis=-1).astype(np.float64),
        tolerance,
        planes,
    )
    return planes


@dataclass(frozen=True, eq=False)
class BorderPlanes:
    """The planes around each region, those that border on most of it first."""

    planes: Float32[np.ndarray, "r 3 3"]
    """By region, as of `ViewPlanes`; zeros where there is none."""
    shares: Float32[np.ndarray, "r 3"]
    """Share of the border that is theirs, 0 to 1."""


def border_planes(
    labels: Int32[np.ndarray, "h w"], weak: Bool[np.ndarray, "h w"], around: ViewPlanes, reach: int
) -> BorderPlanes:
    """Finds what the weak part of each region may be a part of.

    Each weak pixel looks in eight directions for the nearest plane; near ones count more. So a
    stripe on a wall belongs to the wall above and below it, not to the column before it.

    Args:
        labels: Of `regions`.
        weak: Where depth is not known.
        around: Planes of the view.
        reach: How far to look, pixels.
    """
    votes = np.zeros((int(labels.max()) + 1, max(len(around.planes), 1)), np.float64)
    _vote(labels, weak, around.labels, reach, votes)
    order = np.argsort(-votes, axis=1, kind="stable")[:, :PLANES]
    best = np.take_along_axis(votes, order, axis=1)
    shares = best / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
    planes = np.zeros((len(votes), PLANES, 3), np.float32)
    shown = np.zeros((len(votes), PLANES), np.float32)
    if len(around.planes):
        found = order.shape[1]
        planes[:, :found] = np.where(best[..., None] > 0, around.planes[order], 0)
        shown[:, :found] = shares
    return BorderPlanes(planes, shown)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _vote(
    labels: np.ndarray, weak: np.ndarray, surface_of: np.ndarray, reach: int, votes: np.ndarray
) -> None:
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if not weak[y, x]:
                continue
            for down in range(-1, 2):
                for across in range(-1, 2):
                    if down == 0 and across == 0:
                        continue
                    for step in range(1, reach + 1):
                        r, c = y + step * down, x + step * across
                        if r < 0 or c < 0 or r >= height or c >= width:
                            break
                        if surface_of[r, c] >= 0:
                            votes[labels[y, x], surface_of[r, c]] += 1.0 / step
                            break


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit(starts: np.ndarray, points: np.ndarray, tolerance: float, planes: np.ndarray) -> None:
    state = np.uint64(0)
    for label in range(len(planes)):
        rest = points[starts[label] : starts[label + 1]].copy()
        total = len(rest)
        state = np.uint64(label + 1)
        for number in range(PLANES):
            count = len(rest)
            if count < 30 or count < 0.1 * total:
                break
            best, best_plane = 0, np.zeros(3)
            stride = max(count // 400, 1)
            for _ in range(60):
                index = np.empty(3, np.int64)
                for i in range(3):
                    state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                    index[i] = np.int64((state >> np.uint64(33)) % np.uint64(count))
                plane = _through(rest[index[0]], rest[index[1]], rest[index[2]])
                hits = 0
                for i in range(0, count, stride):
                    off = plane[0] * rest[i, 0] + plane[1] * rest[i, 1] + plane[2] - rest[i, 2]
                    hits += abs(off) < tolerance
                if hits > best:
                    best, best_plane = hits, plane
            if best * stride < max(30, 0.1 * total):
                break
            for _ in range(2):
                best_plane = _least_squares(rest, best_plane, tolerance)
            planes[label, number, :] = best_plane
            rest = rest[~_on(rest, best_plane, tolerance)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _through(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    ux, uy, uw = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vw = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    det = ux * vy - uy * vx
    plane = np.zeros(3)
    if abs(det) < 8.0:
        plane[2] = -1.0
        return plane
    plane[0] = (uw * vy - uy * vw) / det
    plane[1] = (ux * vw - uw * vx) / det
    plane[2] = a[2] - plane[0] * a[0] - plane[1] * a[1]
    return plane


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _on(points: np.ndarray, plane: np.ndarray, tolerance: float) -> np.ndarray:
    """Which points lie on a plane."""
    on = np.empty(len(points), np.bool_)
    for i in range(len(points)):
        off = plane[0] * points[i, 0] + plane[1] * points[i, 1] + plane[2] - points[i, 2]
        on[i] = abs(off) < tolerance
    return on


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _least_squares(points: np.ndarray, plane: np.ndarray, tolerance: float) -> np.ndarray:
    """The plane through the points that lie on `plane`; the same where they lie on a line."""
    on = _on(points, plane, tolerance)
    count = max(on.sum(), 1)
    mean = np.zeros(3)
    for i in range(len(points)):
        if on[i]:
            mean += points[i]
    mean /= count
    xx, xy, yy, xw, yw = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(points)):
        if on[i]:
            x, y, w = points[i, 0] - mean[0], points[i, 1] - mean[1], points[i, 2] - mean[2]
            xx += x * x
            xy += x * y
            yy += y * y
            xw += x * w
            yw += y * w
    determinant = xx * yy - xy * xy
    if determinant <= 1e-6 * xx * yy:
        return plane
    found = np.empty(3)
    found[0] = (xw * yy - yw * xy) / determinant
    found[1] = (yw * xx - xw * xy) / determinant
    found[2] = mean[2] - found[0] * mean[0] - found[1] * mean[1]
    return found
