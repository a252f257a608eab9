"""What every cloud writer gets: a point cloud, which of its columns to write, and its axes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from worldloom.export._axes import Placement
from worldloom.scene import PointCloud

ROWS = 200_000
"""Points that are converted at a time."""


def _kept() -> Placement:
    return Placement(np.eye(3))


@dataclass(frozen=True, eq=False)
class CloudView:
    """A point cloud on its way into a file."""

    cloud: PointCloud
    placement: Placement = field(default_factory=_kept)
    has_colors: bool = True
    has_normals: bool = True

    def points(self, first: int, last: int) -> Float64[np.ndarray, "n 3"]:
        """Returns positions from one row up to another, in the axes of the file."""
        return self.placement.turned(self.cloud.points_in_world[first:last])

    def normals(self, first: int, last: int) -> Float32[np.ndarray, "n 3"]:
        """Returns normals from one row up to another, in the axes of the file."""
        return self.placement.turned(self.cloud.normals_in_world[first:last])

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yields first and last row of each piece."""
        for first in range(0, len(self.cloud), ROWS):
            yield first, min(first + ROWS, len(self.cloud))

    def bounds(self) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
        """Returns the corners of the box around the points, in the axes of the file."""
        points = self.cloud.points_in_world
        corners = self.placement.turned(np.stack([points.min(axis=0), points.max(axis=0)]))
        return corners.min(axis=0), corners.max(axis=0)
