"""Metrics without a truth: how much of the views a mesh explains, and how well they agree.

completeness          = view rays with data that hit the mesh / view rays with data
geometric_consistency = depth pixels d with a hit at depth m, |m - d| < 0.01 d / depth pixels

Both are 0 to 1, sums over views before the division, so large views count as their pixels do.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from worldloom.scene import DepthMap

_AGREEMENT = 0.01


@dataclass(frozen=True)
class ConsistencyCounts:
    """Pixels of one view, or of several summed."""

    rays: int
    """Pixels that hold data."""
    hits: int
    """Of those, pixels whose ray meets the mesh."""
    depths: int
    """Pixels with estimated depth."""
    agreeing: int
    """Of those, pixels whose depth and mesh agree within 1 %."""

    @property
    def completeness(self) -> float:
        """Share of the view rays that the mesh explains, 0 to 1."""
        return self.hits / self.rays if self.rays else 0.0

    @property
    def geometric_consistency(self) -> float:
        """Share of the depth pixels that agree with the mesh within 1 %, 0 to 1."""
        return self.agreeing / self.depths if self.depths else 0.0


def view_consistency(
    rendered: Float32[np.ndarray, "h w"],
    depth_map: DepthMap,
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> ConsistencyCounts:
    """Compares the mesh with the depth map of one view.

    Args:
        rendered: Depth of the mesh in the camera of the depth map; 0 where it is not hit.
        depth_map: Estimated depth.
        mask: True where the image holds data; None for everywhere.
    """
    depth = depth_map.depth
    data = np.ones(depth.shape, bool) if mask is None else mask
    known = depth > 0
    agreeing = known & (rendered > 0) & (np.abs(rendered - depth) < _AGREEMENT * depth)
    return ConsistencyCounts(
        rays=int(data.sum()),
        hits=int((data & (rendered > 0)).sum()),
        depths=int(known.sum()),
        agreeing=int(agreeing.sum()),
    )


def summed_consistency(views: Iterable[ConsistencyCounts]) -> ConsistencyCounts:
    """Returns the sum over views; its properties are the metrics of the scene."""
    total = [0, 0, 0, 0]
    for view in views:
        for k, value in enumerate((view.rays, view.hits, view.depths, view.agreeing)):
            total[k] += value
    return ConsistencyCounts(*total)
