"""Colours of vertices: what the views that see them show there."""

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from worldloom.surface import _kernels as kernels
from worldloom.surface._view import SurfaceView


class VertexColors:
    """Running mean of the colours of vertices, view by view in ascending order of view ids.

    Args:
        points_in_world: Positions of the vertices.
        voxel_m: Side of a voxel; views count the less, the further their own surface is from the
            vertex in voxels.
        truncation_m: Views whose surface is further away do not count.
    """

    def __init__(
        self, points_in_world: Float64[np.ndarray, "v 3"], voxel_m: float, truncation_m: float
    ) -> None:
        self._points = points_in_world
        self._voxel_m = voxel_m
        self._truncation_m = truncation_m
        self._sums = np.zeros((len(points_in_world), 4))

    def add(
        self,
        view: SurfaceView,
        image: UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"],
        candidates: Bool[np.ndarray, "v"],
    ) -> None:
        """Adds one view.

        Args:
            view: The view.
            image: Its colours, at the size of its depth map; levels above 255 are cut after the
                mean.
            candidates: False where the view cannot see the vertex.
        """
        kernels.sample(
            self._points,
            candidates,
            view.planes,
            view.cam_from_world,
            view.lens,
            image,
            self._voxel_m,
            self._truncation_m,
            self._sums,
        )

    def colors(self) -> UInt8[np.ndarray, "v 3"]:
        """Returns the mean colours, sRGB; mid grey where no view counts."""
        weight = self._sums[:, 3:]
        known = weight > 0
        grey = np.full_like(self._points, 128)
        mean = np.divide(self._sums[:, :3], weight, out=grey, where=known)
        return np.minimum(np.rint(mean), 255).astype(np.uint8)
