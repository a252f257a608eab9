"""Matching cost of depth hypotheses: zero-mean NCC between a view and its warped partners."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from worldloom.cameras import Camera
from worldloom.depth._correlation import NO_EVIDENCE as NO_EVIDENCE
from worldloom.depth._correlation import UNSEEN, Support, Window, correlate, support
from worldloom.depth._warp import Partners, warp

STRIP_PIXELS = 2**13
"""Pixels worked on at a time, in whole rows, so that what they need stays in a core's cache."""


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
    """Cost of fronto-parallel planes.

    Args:
        reference: The view.
        partners: Views to match against.
        inverse_depths: Inverse depth of each plane, 1 / world unit.
        window: Support of a match.
        noise_level: Standard deviation of the image noise, grey levels.

    Returns:
        0 (equal) to 255 (opposite) for each pixel and plane.
    """
    flat = np.zeros_like(reference.grey)
    return surface_costs(
        reference, partners, flat, inverse_depths, window=window, noise_level=noise_level
    )


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
    height, width = reference.grey.shape
    noise, reach = np.float32(noise_level**2), window.reach_px
    others = match_partners(reference, partners)
    grey, surface = (np.pad(image, reach, mode="edge") for image in (reference.grey, inverse_depth))
    inside = np.pad(np.ones((height, width), np.uint8), reach)
    steps = offsets.astype(np.float32)
    volume = np.empty((len(steps), height, width), np.uint8)
    strip_rows = max(STRIP_PIXELS // width, 1)
    for first in range(0, height, strip_rows):
        last = min(first + strip_rows, height)
        strip = slice(first, last + 2 * reach)
        windows = support(grey[strip], inside[strip], window, noise_level**2)
        _strip_costs(
            grey[strip],
            windows,
            window.shape,
            others,
            surface[strip],
            steps,
            first,
            noise,
            volume[:, first:last],
        )
    return np.ascontiguousarray(volume.transpose(1, 2, 0))


def match_partners(reference: MatchImage, partners: Sequence[MatchImage]) -> Partners:
    """Returns partners as the kernels take them."""
    transfers = [np.column_stack(pixel_transfer(reference.camera, p.camera)) for p in partners]
    return Partners(
        np.stack([partner.grey for partner in partners]),
        np.stack([partner.valid.view(np.uint8) for partner in partners]),
        np.array([partner.valid.all() for partner in partners]),
        np.stack(transfers).astype(np.float32),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _strip_costs(
    grey: np.ndarray,
    windows: Support,
    shape: tuple[tuple[int, ...], tuple[int, ...]],
    partners: Partners,
    surface: np.ndarray,
    steps: np.ndarray,
    first_row: int,
    noise: np.float32,
    out: np.ndarray,
) -> None:
    count, (height, width) = len(partners.grey), out.shape[1:]
    warped, seen = np.empty(grey.shape, np.float32), np.empty((height, width), np.uint8)
    scores = np.empty((count, height, width), np.float32)
    for k in range(len(steps)):
        for p in range(count):
            warp(partners, p, surface, steps[k], first_row, warped, seen)
            correlate(grey, windows, shape, warped, seen, noise, scores[p])
        _best_half_cost(scores, out[k])


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
