"""Depth as a picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_DARKEST = 36
_UNKNOWN = 60


def depth_span(maps: Sequence[Float32[np.ndarray, "_ _"]]) -> tuple[float, float]:
    """Returns the depths between which pictures of some maps differ: 1st and 99th percentile."""
    known = [depth[depth > 0].ravel() for depth in maps]
    joined = np.concatenate([*known, np.empty(0, np.float32)])
    joined = joined[np.isfinite(joined)]
    if not len(joined):
        return 1.0, 2.0
    low, high = (float(value) for value in np.percentile(joined, [1, 99]))
    return low, max(high, low * 1.01)


def depth_picture(
    depth: Float32[np.ndarray, "h w"], low: float, high: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns depth in colours on a logarithmic scale, sRGB: near is bright, unknown is grey.

    Args:
        depth: Along +z, world unit; 0 = unknown.
        low: Depth of the brightest colour, above 0.
        high: Depth of the darkest colour, above `low`.
    """
    known = depth > 0
    share = np.log(high / np.where(known, depth, high)) / np.log(high / low)
    level = np.rint(_DARKEST + (255 - _DARKEST) * np.clip(share, 0, 1)).astype(np.uint8)
    colored = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.where(known[..., None], colored, np.uint8(_UNKNOWN))
