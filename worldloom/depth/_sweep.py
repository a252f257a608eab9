"""Matching cost of depth hypotheses: zero-mean NCC between a view and its warped partners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from worldloom.cameras import Camera
from worldloom.depth._correlation import NO_EVIDENCE as NO_EVIDENCE
from worldloom.depth._correlation import UNSEEN, Window, correlation, support

STRIP_PIXELS = 2**13
"""Pixels worked on at a time, in whole rows, so that what they need stays in a core's cache."""

_NEAREST_Z = 1e-6
"""Homogeneous depth in a partner up to which a point counts as behind it."""

Warp = Callable[[int, int, slice], tuple[np.ndarray, np.ndarray]]
"""(partner, hypothesis, rows) -> grey image warped to those rows and the reach of the window around
them, and where the partner sees those rows."""


@dataclass(frozen=True, eq=False)
class MatchImage:
    """What matching needs of a view, all at one size."""

    camera: Camera
    grey: Float32[np.ndarray, "h w"]
    """0 to 255."""
    valid: Bool[np.ndarray, "h w"]
    """False where the image holds no data."""


def pixel_transfer(
    reference: Camera, partner: Camera
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "3"]]:
    """Returns (A, b): the partner's homogeneous pixel is `A @ pixel + b * inverse_depth`.

    Pixels are homogeneous, with the centre of the top-left pixel at (0, 0): OpenCV's convention,
    for use in its warps. Source: Hartley and Zisserman 2004, section 13.1.
    """
    partner_from_reference = partner.cam_from_world @ reference.world_from_cam
    from_corner = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    k_reference = from_corner @ reference.pixel_from_cam
    k_partner = from_corner @ partner.pixel_from_cam
    rotation, translation = partner_from_reference[:3, :3], partner_from_reference[:3, 3]
    return k_partner @ rotation @ np.linalg.inv(k_reference), k_partner @ translation


def plane_costs(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    inverse_depths: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
) -> UInt8[np.ndarray, "h w d"]:
    """Cost of fronto-parallel planes: one homography a plane and partner.

    Args:
        reference: The view.
        partners: Views to match against.
        inverse_depths: Inverse depth of each plane, 1 / world unit.
        window: Support of a match.
        noise_level: Standard deviation of the image noise, grey levels.

    Returns:
        0 (equal) to 255 (opposite) for each pixel and plane.
    """
    width, reach = reference.grey.shape[1], window.reach_px
    transfers = [pixel_transfer(reference.camera, partner.camera) for partner in partners]
    whole = [bool(partner.valid.all()) for partner in partners]

    def warp(partner: int, plane: int, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        linear, offset = transfers[partner]
        homography = linear.copy()
        homography[:, 2] += offset * inverse_depths[plane]
        homography[:, 2] += linear[:, 1] * rows.start
        padded = homography.copy()
        padded[:, 2] -= (linear[:, 0] + linear[:, 1]) * reach
        image = partners[partner]
        grey = cv2.warpPerspective(
            image.grey,
            padded,
            (width + 2 * reach, rows.stop - rows.start + 2 * reach),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        seen = np.empty((rows.stop - rows.start, width), np.uint8)
        _plane_seen(homography.astype(np.float32), image.valid, whole[partner], seen)
        return grey, seen

    return _costs(reference, len(partners), len(inverse_depths), warp, window, noise_level)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _plane_seen(homography: np.ndarray, valid: np.ndarray, whole: bool, seen: np.ndarray) -> None:
    """Where the nearest pixel of the partner holds data; nowhere behind it."""
    height, width = valid.shape
    right, bottom = np.float32(width - 0.5), np.float32(height - 0.5)
    h, half = homography, np.float32(-0.5)
    for y in range(seen.shape[0]):
        fy = np.float32(y)
        row_x, row_y = h[0, 1] * fy + h[0, 2], h[1, 1] * fy + h[1, 2]
        row_z = h[2, 1] * fy + h[2, 2]
        line = seen[y]
        for x in range(np.uint64(len(line))):
            fx = np.float32(x)
            u, v, z = h[0, 0] * fx + row_x, h[1, 0] * fx + row_y, h[2, 0] * fx + row_z
            inside = (z > np.float32(_NEAREST_Z)) & (u >= half * z) & (u < right * z)
            line[x] = inside & (v >= half * z) & (v < bottom * z)
        if whole:
            continue
        for x in range(len(line)):
            if line[x] != 0:
                fx = np.float32(x)
                z = np.float32(1) / (h[2, 0] * fx + row_z)
                u, v = (h[0, 0] * fx + row_x) * z, (h[1, 0] * fx + row_y) * z
                line[x] = _nearest(valid, u, v)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest(valid: np.ndarray, u: np.float32, v: np.float32) -> bool:
    """The pixel around a place; the border's where rounding leaves the image."""
    row, column = int(v + np.float32(0.5)), int(u + np.float32(0.5))
    return valid[min(row, valid.shape[0] - 1), min(column, valid.shape[1] - 1)]


def surface_costs(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    inverse_depth: Float32[np.ndarray, "h w"],
    offsets: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
) -> UInt8[np.ndarray, "h w d"]:
    """Cost of a surface moved in inverse depth: the windows follow its slant.

    Args:
        reference: The view.
        partners: Views to match against.
        inverse_depth: The surface; positive everywhere.
        offsets: Hypothesis k is `inverse_depth + offsets[k]`.
        window: Support of a match.
        noise_level: Standard deviation of the image noise, grey levels.

    Returns:
        0 (equal) to 255 (opposite) for each pixel and hypothesis.
    """
    reach = window.reach_px
    height = len(inverse_depth)
    transfers = [
        tuple(part.astype(np.float32) for part in pixel_transfer(reference.camera, p.camera))
        for p in partners
    ]

    whole = [bool(partner.valid.all()) for partner in partners]

    def warp(partner: int, step: int, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        linear, offset = transfers[partner]
        first = rows.start - reach
        lines = np.clip(np.arange(first, rows.stop + reach), 0, height - 1)
        surface = np.pad(inverse_depth[lines], ((0, 0), (reach, reach)), mode="edge")
        map_x, map_y = np.empty_like(surface), np.empty_like(surface)
        moved = np.float32(offsets[step])
        _surface_map(linear, offset, surface, first, -reach, moved, map_x, map_y)
        image = partners[partner]
        grey = cv2.remap(
            image.grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        inner = np.s_[reach:-reach, reach:-reach]
        seen = np.empty(map_x[inner].shape, np.uint8)
        _surface_seen(map_x[inner], map_y[inner], image.valid, whole[partner], seen)
        return grey, seen

    return _costs(reference, len(partners), len(offsets), warp, window, noise_level)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _surface_map(
    linear: np.ndarray,
    offset: np.ndarray,
    inverse_depth: np.ndarray,
    first_row: int,
    first_column: int,
    step: np.float32,
    map_x: np.ndarray,
    map_y: np.ndarray,
) -> None:
    """Where the pixels of the moved surface fall in the partner; far outside if behind it."""
    height, width = inverse_depth.shape
    outside = np.float32(-1e4)
    for y in range(height):
        fy = np.float32(first_row + y)
        row_x = linear[0, 1] * fy + linear[0, 2]
        row_y = linear[1, 1] * fy + linear[1, 2]
        row_z = linear[2, 1] * fy + linear[2, 2]
        for x in range(np.uint64(width)):
            fx = np.float32(first_column + np.int64(x))
            w = max(inverse_depth[y, x] + step, np.float32(0))
            z = linear[2, 0] * fx + row_z + offset[2] * w
            ahead = z > np.float32(_NEAREST_Z)
            scale = np.float32(1.0) / z
            u = (linear[0, 0] * fx + row_x + offset[0] * w) * scale
            v = (linear[1, 0] * fx + row_y + offset[1] * w) * scale
            map_x[y, x] = u if ahead else outside
            map_y[y, x] = v if ahead else outside


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _surface_seen(
    map_x: np.ndarray, map_y: np.ndarray, valid: np.ndarray, whole: bool, seen: np.ndarray
) -> None:
    """Where the nearest pixel of the partner holds data."""
    height, width = valid.shape
    half = np.float32(-0.5)
    right, bottom = np.float32(width - 0.5), np.float32(height - 0.5)
    for y in range(seen.shape[0]):
        for x in range(np.uint64(seen.shape[1])):
            u, v = map_x[y, x], map_y[y, x]
            seen[y, x] = (u >= half) & (u < right) & (v >= half) & (v < bottom)
        if whole:
            continue
        for x in range(seen.shape[1]):
            if seen[y, x] != 0:
                seen[y, x] = _nearest(valid, map_x[y, x], map_y[y, x])


def _costs(
    reference: MatchImage,
    partner_count: int,
    hypothesis_count: int,
    warp: Warp,
    window: Window,
    noise_level: float,
) -> UInt8[np.ndarray, "h w d"]:
    height, width = reference.grey.shape
    volume = np.empty((hypothesis_count, height, width), np.uint8)
    noise, reach = np.float32(noise_level**2), window.reach_px
    correlate = correlation(window.samples_across, window.stride_px)
    padded = np.pad(reference.grey, reach, mode="edge")
    inside = np.pad(np.ones((height, width), np.uint8), reach)
    strip_rows = max(STRIP_PIXELS // width, 1)
    scores = np.empty((partner_count, strip_rows, width), np.float32)
    for first in range(0, height, strip_rows):
        last = min(first + strip_rows, height)
        own = padded[first : last + 2 * reach]
        windows = support(own, inside[first : last + 2 * reach], window, noise_level**2)
        found = scores[:, : last - first]
        for step in range(hypothesis_count):
            for partner in range(partner_count):
                grey, seen = warp(partner, step, slice(first, last))
                correlate(own, windows, grey, seen, noise, found[partner])
            _best_half_cost(found, volume[step, first:last])
    return np.ascontiguousarray(volume.transpose(1, 2, 0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _best_half_cost(scores: np.ndarray, out: np.ndarray) -> None:
    """Mean cost over the better half of the partners that see the point: others are occluded."""
    partners, height, width = scores.shape
    row = np.empty((partners, width), np.float32)
    total, seen = np.empty(width, np.float32), np.empty(width, np.int32)
    for y in range(height):
        for x in range(width):
            total[x] = 0
            seen[x] = 0
        for p in range(partners):
            for x in range(width):
                row[p, x] = scores[p, y, x]
                seen[x] += np.int32(scores[p, y, x] > np.float32(UNSEEN))
        _sort_descending(row)
        for k in range((partners + 1) // 2):
            for x in range(width):
                total[x] += row[k, x] if k < (seen[x] + 1) // 2 else np.float32(0)
        for x in range(width):
            half = np.float32(max((seen[x] + 1) // 2, 1))
            value = np.float32(127.5) * (np.float32(1) - total[x] / half)
            value = min(max(value, np.float32(0)), np.float32(255))
            out[y, x] = np.uint8(value) if seen[x] > 0 else np.uint8(NO_EVIDENCE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sort_descending(scores: np.ndarray) -> None:
    """Sorts each column: odd-even transposition, one row against the next."""
    partners, width = scores.shape
    for step in range(partners):
        for p in range(step & 1, partners - 1, 2):
            for x in range(width):
                first, second = scores[p, x], scores[p + 1, x]
                scores[p, x] = max(first, second)
                scores[p + 1, x] = min(first, second)
