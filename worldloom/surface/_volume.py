"""The signed distance on the voxels of some blocks, summed view by view."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, UInt16

from worldloom.lattice import cells_from_keys
from worldloom.surface import _kernels as kernels
from worldloom.surface._view import SurfaceView, visible_blocks


@dataclass(frozen=True, eq=False)
class Volume:
    """Truncated signed distance of blocks, positive before the surface.

    Each block holds the samples on its far faces as well, so it is complete on its own: what it
    holds depends on the views alone, not on which other blocks are here.
    """

    voxel_m: float
    block_keys: Int64[np.ndarray, "n"]
    """Morton keys of the blocks (`worldloom.lattice`), ascending."""
    distances: Float32[np.ndarray, "n 17 17 17"]
    """Sums of weight times signed distance over truncation distance, -1 to 1."""
    weights: Float32[np.ndarray, "n 17 17 17"]
    seen: UInt16[np.ndarray, "n 17 17 17"]
    """Number of views that have the sample near their surface."""

    @classmethod
    def empty(cls, block_keys: Int64[np.ndarray, "n"], voxel_m: float) -> "Volume":
        """Returns blocks that no view has said anything about."""
        shape = (len(block_keys), *3 * (kernels.SAMPLES,))
        return cls(
            voxel_m,
            block_keys,
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.uint16),
        )

    def integrate(self, view: SurfaceView, truncation_m: float, carve_weight: float) -> None:
        """Adds one view; call in ascending order of view ids.

        Truncated signed distances after Curless and Levoy 1996. Behind the surface the weight
        falls to zero at the truncation distance (Bylow et al. 2013, figure 3), so that the back
        of a thin thing survives its front.

        Args:
            view: The view, prepared with the same truncation.
            truncation_m: Distance at which the signed distance saturates, world unit.
            carve_weight: Weight of the empty space further before the surface.
        """
        kernels.integrate(
            cells_from_keys(self.block_keys),
            visible_blocks(view, self.block_keys, self.voxel_m),
            self.distances,
            self.weights,
            self.seen,
            view.planes,
            view.cam_from_world,
            view.lens,
            self.voxel_m,
            truncation_m,
            carve_weight,
        )
