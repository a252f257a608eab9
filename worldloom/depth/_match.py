"""From frames to match images, and from cost volumes to depth."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from worldloom.bench import Bench
from worldloom.depth._config import RefineConfig, SweepConfig
from worldloom.depth._normals import depth_normals
from worldloom.depth._semi_global import aggregate_cost
from worldloom.depth._sweep import NO_EVIDENCE, MatchImage
from worldloom.scene import DepthRef, Frame
from worldloom.store import ArtifactKey

_DISTINCT_STEPS, _DISTINCT_RISE = 3, 12
"""A match is distinct if three planes away its cost, of 255, is higher by more than this."""


def match_image(bench: Bench, frame: Frame, width_px: int, height_px: int) -> MatchImage:
    """Loads a frame for matching; pixels without data take the colour around them."""
    image = bench.image(frame, width_px, height_px)
    valid = bench.mask(frame, width_px, height_px)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if not valid.all():
        grey = _fill(grey, valid)
    return MatchImage(frame.camera.resized(width_px, height_px), grey, valid)


def _fill(
    grey: Float32[np.ndarray, "h w"], valid: Bool[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """Replaces invalid pixels by means over ever larger windows, so that no false edge is left."""
    filled = np.where(valid, grey, np.float32(0))
    known = valid.astype(np.float32)
    values, window = filled, 3
    while not known.all() and window < 4 * max(grey.shape):
        weight = cv2.blur(known, (window, window))
        mean = cv2.blur(values * known, (window, window)) / np.maximum(weight, 1e-6)
        fresh = (known == 0) & (weight > 1e-6)
        values = np.where(fresh, mean, values)
        known = np.where(fresh, np.float32(1), known)
        window *= 2
    return values


@dataclass(frozen=True, eq=False)
class Winner:
    """The hypothesis chosen at each pixel."""

    hypothesis: Float32[np.ndarray, "h w"]
    """Index, to a fraction."""
    confidence: Float32[np.ndarray, "h w"]
    """0 (matches no better than chance, or no data) to 1 (equal)."""


def choose(
    cost: UInt8[np.ndarray, "h w d"], reference: MatchImage, config: SweepConfig | RefineConfig
) -> Winner:
    """Regularises a cost volume and picks the best hypothesis of each pixel."""
    aggregated = aggregate_cost(
        cost,
        reference.grey.astype(np.uint8),
        small_step=config.small_step,
        large_step=config.large_step,
        guide_scale=config.guide_scale,
    )
    best = best_hypothesis(aggregated)
    matched = np.clip(1 - cost_at(cost, best).astype(np.float32) / np.float32(NO_EVIDENCE), 0, 1)
    return Winner(best, np.where(reference.valid, matched, 0).astype(np.float32))


def store_depth(
    bench: Bench,
    key: ArtifactKey,
    frame: Frame,
    depth: Float32[np.ndarray, "h w"],
    confidence: Float32[np.ndarray, "h w"],
) -> DepthRef:
    """Writes a depth map with its normals as `depth.npz`."""
    height, width = depth.shape
    ref = DepthRef(frame, key, width, height)
    bench.write_arrays(
        key,
        "depth.npz",
        depth=depth,
        confidence=confidence,
        normal_in_world=depth_normals(depth, ref.camera),
    )
    return ref


def best_hypothesis(aggregated: UInt16[np.ndarray, "h w d"]) -> Float32[np.ndarray, "h w"]:
    """Returns the index of least cost, to a fraction by the parabola through its neighbours."""
    count = aggregated.shape[2]
    best = aggregated.argmin(axis=2)
    inner = np.clip(best, 1, count - 2)[..., None]
    before, at, after = (
        np.take_along_axis(aggregated, inner + step, axis=2)[..., 0].astype(np.float32)
        for step in (-1, 0, 1)
    )
    curvature = before - 2 * at + after
    shift = np.where(curvature > 0, (before - after) / np.maximum(2 * curvature, 1e-6), 0)
    shift = np.where(best == inner[..., 0], np.clip(shift, -0.5, 0.5), 0)
    return (best + shift).astype(np.float32)


def lean_on_prior(
    cost: UInt8[np.ndarray, "h w d"], texture: Float32[np.ndarray, "_ _"], prior_cost: float
) -> None:
    """Adds to the cost of hypotheses away from the middle one where texture is weak, in place.

    Args:
        cost: Matching cost; the middle hypothesis is the prior.
        texture: 1 where texture tells depth, down to 0 where it says nothing; of any size.
        prior_cost: Cost of the outermost hypothesis without texture.
    """
    height, width, count = cost.shape
    lack = 1 - cv2.resize(texture, (width, height), interpolation=cv2.INTER_LINEAR)
    middle = count // 2
    for k in range(count):
        away = prior_cost * abs(k - middle) / max(middle, 1)
        if away > 0:
            extra = np.minimum(255, cost[..., k] + np.float32(away) * lack)
            cost[..., k] = extra.astype(np.uint8)


def distinct_share(
    cost: UInt8[np.ndarray, "h w d"], hypothesis: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """Returns how distinct the match is around each pixel, 0 to 1.

    A pixel is distinct if its cost rises on both sides of its hypothesis. Flat colour is not, nor
    is an edge along the motion of all partners, however well it matches.

    Args:
        cost: Matching cost, not aggregated, in planes that move a point by about a pixel.
        hypothesis: The chosen one.

    Returns:
        The share of distinct pixels in a 7x7 window.
    """
    index = np.rint(hypothesis).astype(np.intp)
    at, before, after = (
        np.take_along_axis(cost, np.clip(index + step, 0, cost.shape[2] - 1)[..., None], axis=2)
        for step in (0, -_DISTINCT_STEPS, _DISTINCT_STEPS)
    )
    rise = np.minimum(before, after)[..., 0].astype(np.int16) - at[..., 0]
    return cv2.blur((rise > _DISTINCT_RISE).astype(np.float32), (7, 7))


def cost_at(
    cost: UInt8[np.ndarray, "h w d"], hypothesis: Float32[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w"]:
    """Returns the matching cost at the nearest whole hypothesis."""
    index = np.rint(hypothesis).astype(np.intp)[..., None]
    return np.take_along_axis(cost, index, axis=2)[..., 0]
