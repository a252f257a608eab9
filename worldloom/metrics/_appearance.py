"""Likeness of a rendering and an image, pixel by pixel: fine detail, and tone."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

DETAIL_SIGMA_PX = 2.0
"""Deviation of the window in which detail is compared."""
REACH_PX = 2
"""Detail counts as there if it is at most this far from its place."""
TONE_SIGMA_PX = 5.0
"""Deviation of the window over which colours are averaged before they are compared."""
TONE_SCALE = 10.0
"""Difference of mean colours, CIE76 delta E, that scores 1 / e."""
_STABILITY = (0.03 * 255) ** 2
_KNOWN = 0.5


@dataclass(frozen=True, eq=False)
class PixelScores:
    """One measure of each pixel."""

    score: Float32[np.ndarray, "h w"]
    """0 to 1."""
    weight: Float32[np.ndarray, "h w"]
    """How much the pixel counts; 0 where it is not judged."""


def detail_scores(
    rendered: UInt8[np.ndarray, "h w 3"],
    image: UInt8[np.ndarray, "h w 3"],
    covered: Bool[np.ndarray, "h w"],
) -> PixelScores:
    """Returns how much of the fine detail of an image a rendering shows.

    The contrast-structure term of SSIM (Wang et al., "Multiscale structural similarity", 2003,
    equation 2 and 3, C2 = (0.03 * 255)^2) of the luma, at the best of the shifts of up to
    `REACH_PX` pixels: where a detail stands is a matter of geometry. Pixels count by their
    information (Wang and Li, "Information content weighting", TIP 2011, equation 29, of the image
    alone): flat ones show nothing. Only pixels whose whole window is covered are judged.
    """
    ours, theirs = _luma(rendered), _luma(image)
    radius = round(2 * DETAIL_SIGMA_PX) + REACH_PX
    inner = cv2.erode(covered.astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0
    mean, variance = _moments(theirs)
    score = np.zeros(ours.shape, np.float32)
    for dy in range(-REACH_PX, REACH_PX + 1):
        for dx in range(-REACH_PX, REACH_PX + 1):
            moved = np.roll(ours, (dy, dx), axis=(0, 1))
            own_mean, own_variance = _moments(moved)
            both = _window(moved * theirs) - own_mean * mean
            np.maximum(
                score, (2 * both + _STABILITY) / (own_variance + variance + _STABILITY), out=score
            )
    weight = np.where(inner, np.log2(1 + variance / _STABILITY), 0)
    return PixelScores(np.clip(score, 0, 1), weight.astype(np.float32))


def tone_scores(
    rendered: UInt8[np.ndarray, "h w 3"],
    image: UInt8[np.ndarray, "h w 3"],
    covered: Bool[np.ndarray, "h w"],
) -> PixelScores:
    """Returns how well the local mean colours of a rendering and an image agree.

    exp(-d / `TONE_SCALE`) with d the CIE76 difference of the means in CIELAB, over a Gaussian
    window, of covered pixels alone. Detail is averaged out, so blur costs nothing here.
    """
    share = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), TONE_SIGMA_PX)
    judged = covered & (share > _KNOWN)
    difference = np.where(covered[..., None], _lab(rendered) - _lab(image), 0).astype(np.float32)
    mean = cv2.GaussianBlur(difference, (0, 0), TONE_SIGMA_PX)
    mean /= np.maximum(share, _KNOWN)[..., None]
    score = np.exp(-np.linalg.norm(mean, axis=-1) / TONE_SCALE)
    return PixelScores(score.astype(np.float32), judged.astype(np.float32))


def _luma(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _lab(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _window(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    return cv2.GaussianBlur(values, (0, 0), DETAIL_SIGMA_PX)


def _moments(
    values: Float32[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    mean = _window(values)
    return mean, np.maximum(_window(values * values) - mean * mean, 0)
