"""What an image, a depth and the Gaussians themselves should be like, with gradients."""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from jaxtyping import Bool, Float32

_WINDOW_PX, _SIGMA_PX = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, eq=False)
class Target:
    """A view as training wants it, with what does not change from step to step."""

    image: Float32[np.ndarray, "h w 3"]
    """sRGB, 0 to 1."""
    judged: Bool[np.ndarray, "h w"]
    """Where there is data; elsewhere nothing is asked."""
    depth: Float32[np.ndarray, "h w"]
    """World unit; 0 = unknown."""
    depth_weight: Float32[np.ndarray, "h w"]
    """0 to 1, by confidence."""
    mean: Float32[np.ndarray, "h w 3"]
    """Of `image` under the window of SSIM."""
    square: Float32[np.ndarray, "h w 3"]
    """Mean of the square of `image` under the window."""


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss and its gradients."""

    value: float
    image: Float32[np.ndarray, "h w 3"]
    """Gradient by the rendered image."""


def target_of(
    image: Float32[np.ndarray, "h w 3"],
    judged: Bool[np.ndarray, "h w"],
    depth: Float32[np.ndarray, "h w"],
    depth_weight: Float32[np.ndarray, "h w"],
) -> Target:
    """Returns a target with the moments that SSIM needs."""
    return Target(image, judged, depth, depth_weight, _windowed(image), _windowed(image * image))


def _windowed(values: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Gaussian window with zeros around the image: its own adjoint."""
    return cv2.GaussianBlur(
        values, (_WINDOW_PX, _WINDOW_PX), _SIGMA_PX, borderType=cv2.BORDER_CONSTANT
    )


def photometric_loss(
    shown: Float32[np.ndarray, "h w 3"], target: Target, ssim_weight: float
) -> Loss:
    """Returns (1 - w) L1 + w (1 - SSIM) over the pixels with data (Kerbl et al. 2023, eq. 7).

    SSIM after Wang et al. 2004 with a Gaussian window of 11 pixels and deviation 1.5, whose
    outside is 0. Pixels without data are set to the target first, so that they lend nothing.

    Args:
        shown: The rendering, sRGB.
        target: What it should be.
        ssim_weight: w, 0 to 1.
    """
    count = int(target.judged.sum()) * 3
    if not count:
        return Loss(0.0, np.zeros_like(shown))
    whole = count == target.image.size
    x = shown if whole else np.where(target.judged[..., None], shown, target.image)
    x = np.ascontiguousarray(x)
    mean, square, both = _windowed(x), _windowed(x * x), _windowed(x * target.image)
    by_mean, by_square, by_both = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    likeness = _likeness(
        *(mean, square, both, target.mean, target.square, target.judged),
        *(by_mean, by_square, by_both),
    )
    slope = np.empty_like(x)
    difference = _combine(
        *(x, target.image, target.judged),
        *(_windowed(by_mean), _windowed(by_square), _windowed(by_both)),
        *((1 - ssim_weight) / count, -ssim_weight / count, slope),
    )
    value = (1 - ssim_weight) * difference / count + ssim_weight * (1 - likeness / count)
    return Loss(value, slope)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _likeness(
    mean: np.ndarray,
    square: np.ndarray,
    both: np.ndarray,
    target_mean: np.ndarray,
    target_square: np.ndarray,
    judged: np.ndarray,
    by_mean: np.ndarray,
    by_square: np.ndarray,
    by_both: np.ndarray,
) -> float:
    """The sum of SSIM over judged pixels, and its gradients by the three moments."""
    total = 0.0
    c1, c2, two = np.float32(_C1), np.float32(_C2), np.float32(2)
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            for k in range(3):
                if not judged[y, x]:
                    by_mean[y, x, k] = by_square[y, x, k] = by_both[y, x, k] = np.float32(0)
                    continue
                m, t = mean[y, x, k], target_mean[y, x, k]
                a, b = two * m * t + c1, two * (both[y, x, k] - m * t) + c2
                c = m * m + t * t + c1
                d = square[y, x, k] - m * m + target_square[y, x, k] - t * t + c2
                similar = a * b / (c * d)
                total += similar
                by_square[y, x, k] = -similar / d
                by_both[y, x, k] = two * a / (c * d)
                by_mean[y, x, k] = two * (
                    t * b / (c * d) - m * similar / c + m * similar / d - t * a / (c * d)
                )
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _combine(
    shown: np.ndarray,
    target: np.ndarray,
    judged: np.ndarray,
    by_mean: np.ndarray,
    by_square: np.ndarray,
    by_both: np.ndarray,
    l1_share: float,
    ssim_share: float,
    slope: np.ndarray,
) -> float:
    """The sum of absolute differences over judged pixels; fills the gradient by the image."""
    total = 0.0
    l1, ssim = np.float32(l1_share), np.float32(ssim_share)
    for y in range(shown.shape[0]):
        for x in range(shown.shape[1]):
            for k in range(3):
                if not judged[y, x]:
                    slope[y, x, k] = np.float32(0)
                    continue
                off = shown[y, x, k] - target[y, x, k]
                total += abs(off)
                sign = np.float32(1) if off > 0 else np.float32(-1)
                slope[y, x, k] = l1 * (sign if off != 0 else np.float32(0)) + ssim * (
                    by_mean[y, x, k]
                    + np.float32(2) * shown[y, x, k] * by_square[y, x, k]
                    + target[y, x, k] * by_both[y, x, k]
                )
    return total


@dataclass(frozen=True, eq=False)
class DepthLoss:
    """A loss of the depth and its gradients."""

    value: float
    depth: Float32[np.ndarray, "h w"]
    """Gradient by the sum of weight times depth."""
    alpha: Float32[np.ndarray, "h w"]
    """Gradient by the sum of the weights."""


def depth_loss(
    depth: Float32[np.ndarray, "h w"], alpha: Float32[np.ndarray, "h w"], target: Target
) -> DepthLoss:
    """Returns the mean of |mean depth - target| / target by confidence, where half is covered."""
    known = target.judged & (target.depth > 0) & (alpha > 0.5)
    share = np.where(known, target.depth_weight, 0) / max(1, target.depth.size)
    safe, goal = np.where(known, alpha, 1), np.where(known, target.depth, 1)
    off = depth / safe - goal
    slope = np.where(known, np.sign(off) * share / goal / safe, 0).astype(np.float32)
    value = float((np.abs(off) / goal * share).sum())
    return DepthLoss(value, slope, (-slope * depth / safe).astype(np.float32))


@dataclass(frozen=True, eq=False)
class SpreadLoss:
    """A loss of how far the Gaussians of a ray lie apart, and its gradients."""

    value: float
    depth: Float32[np.ndarray, "h w"]
    """Gradient by the sum of weight times depth."""
    square: Float32[np.ndarray, "h w"]
    """By the sum of weight times squared depth."""
    alpha: Float32[np.ndarray, "h w"]
    """By the sum of the weights."""


def spread_loss(
    depth: Float32[np.ndarray, "h w"],
    square: Float32[np.ndarray, "h w"],
    alpha: Float32[np.ndarray, "h w"],
    target: Target,
) -> SpreadLoss:
    """Returns the mean distortion of the rays with known depth, relative to that depth squared.

    The distortion of a ray is the sum of w_i w_j (z_i - z_j)^2 over its pairs of Gaussians (Huang
    et al., "2D Gaussian Splatting", 2024, section 4.1, with depth in place of its inverse), which
    is A S - D^2 with the sums A of the weights, D of weighted depth and S of weighted squares.
    """
    known = target.judged & (target.depth > 0)
    goal = np.where(known, target.depth, 1)
    share = np.where(known, 1 / (goal * goal) / max(1, target.depth.size), 0).astype(np.float32)
    spread = alpha * square - depth * depth
    share[spread <= 0] = 0  # one Gaussian, but for rounding
    return SpreadLoss(
        float((spread * share).sum()),
        (-2 * depth * share).astype(np.float32),
        (alpha * share).astype(np.float32),
        (square * share).astype(np.float32),
    )
