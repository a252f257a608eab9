"""What every splat writer gets: Gaussians in the axes of the file."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32
from scipy.spatial.transform import Rotation

from worldloom.export._axes import Placement
from worldloom.export._harmonics import SH_DC, turned_harmonics
from worldloom.scene import Splats

ROWS = 100_000
"""Gaussians that are converted at a time."""
_EXTENT_SIGMAS = 3.0


def placed_splats(splats: Splats, placement: Placement) -> Splats:
    """Returns Gaussians in the axes of a file; centres, axes and colours turn together.

    The unit of the world is kept.
    """
    if not placement.is_turned:
        return splats
    turn = Rotation.from_matrix(placement.turn)
    own = Rotation.from_quat(splats.rotations.astype(np.float64), scalar_first=True)
    return replace(
        splats,
        means_in_world=placement.turned(splats.means_in_world),
        rotations=(turn * own).as_quat(scalar_first=True).astype(np.float32),
        sh=turned_harmonics(splats.sh, placement.turn),
    )


def flat_colors(splats: Splats) -> Float32[np.ndarray, "n 3"]:
    """Returns the colours without what depends on the direction, sRGB, 0 to 1."""
    return np.clip(0.5 + SH_DC * splats.sh[:, 0], 0, 1).astype(np.float32)


def extent_of(splats: Splats) -> Float32[np.ndarray, "2 3"]:
    """Returns the corners of a box that holds all Gaussians to three standard deviations."""
    reach = _EXTENT_SIGMAS * splats.scales_m.max(axis=1, keepdims=True)
    means = splats.means_in_world
    return np.stack([(means - reach).min(axis=0), (means + reach).max(axis=0)])
