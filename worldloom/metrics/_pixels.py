"""Quality pixel by pixel: what a view says of a surface that is rendered into it.

Four measures, each as a score of 0 to 1 and the weight with which it counts; `docs/metrics.md`
has the formulas and their limits.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from worldloom.errors import ConfigError
from worldloom.metrics._appearance import PixelScores, detail_scores, tone_scores
from worldloom.render import RenderedView
from worldloom.scene import DepthMap

AGREEMENT = 0.01
"""Difference of surface and depth, relative to depth, that scores 0.61."""
_BEYOND = 0.05
"""A surface this much farther than the depth, relative to it, is another one: there is a hole."""
_EDGE = 0.02
"""Depth that changes by more than this from pixel to pixel is an edge, where nothing is judged."""


@dataclass(frozen=True, eq=False)
class PixelQuality:
    """The measures of each pixel of one view."""

    completeness: PixelScores
    """1 where the surface explains the ray; counts where the image holds data."""
    geometric_consistency: PixelScores
    """Agreement with the depth of the view; counts by its confidence, where both are there."""
    texture_quality: PixelScores
    """Detail as in the image; counts by how much there is, inside the covered area."""
    view_consistency: PixelScores
    """Colour as in the image; counts inside the covered area."""


def pixel_quality(
    rendered: RenderedView,
    depth_map: DepthMap | None,
    image: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> PixelQuality:
    """Compares a rendering with what the view shows.

    Args:
        rendered: The scene from the view, in its exposure.
        depth_map: Depth of the view, at the size of the rendering; None for a view that was kept
            out, whose geometry is not judged.
        image: What the view shows, sRGB.
        mask: True where the image holds data; None for everywhere.

    Raises:
        ConfigError: the sizes differ.
    """
    shape = rendered.depth.shape
    if image.shape[:2] != shape or (depth_map is not None and depth_map.depth.shape != shape):
        raise ConfigError(
            f"a rendering of {shape} pixels cannot be compared with an image of "
            f"{image.shape[:2]}; render with the camera resized to the depth map",
            field="image",
        )
    data = np.ones(shape, bool) if mask is None else mask
    hit = rendered.hit
    known = np.zeros(shape, bool) if depth_map is None else depth_map.depth > 0
    depth = np.zeros(shape, np.float32) if depth_map is None else depth_map.depth
    beyond = known & hit & (rendered.depth > (1 + _BEYOND) * depth)
    explained = data & hit & ~beyond
    return PixelQuality(
        PixelScores(explained.astype(np.float32), data.astype(np.float32)),
        _agreement(rendered, depth_map, explained),
        detail_scores(rendered.image, image, explained),
        tone_scores(rendered.image, image, explained),
    )


def _agreement(
    rendered: RenderedView, depth_map: DepthMap | None, explained: Bool[np.ndarray, "h w"]
) -> PixelScores:
    shape = rendered.depth.shape
    if depth_map is None:
        return PixelScores(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    depth = depth_map.depth
    judged = explained & (depth > 0) & ~_at_edges(depth)
    error = np.where(judged, np.abs(rendered.depth - depth) / np.where(judged, depth, 1), 0)
    score = np.exp(-0.5 * (error / AGREEMENT) ** 2)
    weight = np.where(judged, depth_map.confidence, 0)
    return PixelScores(score.astype(np.float32), weight.astype(np.float32))


def _at_edges(depth: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels beside a step of depth, where half a pixel decides which surface is compared."""
    around = np.ones((3, 3), np.uint8)
    high = cv2.dilate(depth, around)
    low = cv2.erode(np.where(depth > 0, depth, np.float32(np.inf)), around)
    return np.asarray(high - low > _EDGE * 3 * high)


def measures() -> tuple[str, ...]:
    """Returns the names of the four measures, in their order."""
    return tuple(field.name for field in fields(PixelQuality))
