"""Seeds: a flat Gaussian on each cell of the memory, as its normal and its colour say."""

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from worldloom.splat._gaussians import SH_C0, Gaussians

_WIDTH, _THICKNESS = 0.6, 0.12
"""Deviations along and across the surface, in spacings: neighbours overlap, the sheet is thin."""
_OPACITY = 0.7


def seed_gaussians(
    points_in_world: Float64[np.ndarray, "n 3"],
    normals_in_world: Float32[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
    spacing_m: float,
    sh_degree: int,
) -> Gaussians:
    """Returns one Gaussian a point, its third axis along the normal.

    Args:
        points_in_world: Positions.
        normals_in_world: Unit normals; 0 = unknown, which makes a ball.
        colors: sRGB.
        spacing_m: Distance between neighbours, world unit.
        sh_degree: Degree to make room for; all but degree 0 is 0.
    """
    count = len(points_in_world)
    scales = np.full((count, 3), _WIDTH * spacing_m, np.float32)
    known = np.linalg.norm(normals_in_world, axis=1) > 0.5
    scales[known, 2] = _THICKNESS * spacing_m
    sh = np.zeros((count, (sh_degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (colors.astype(np.float32) / 255 - 0.5) / SH_C0
    logit = np.log(_OPACITY / (1 - _OPACITY))
    return Gaussians(
        points_in_world.astype(np.float32),
        np.log(scales),
        _rotations(normals_in_world),
        np.full(count, logit, np.float32),
        sh,
    )


def _rotations(normals: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 4"]:
    """Quaternions that turn the third axis to the normal, or to its opposite: a sheet has no front.

    The shortest turn from z to n is (1 + n_z, z x n), not normalised; n is flipped where it would
    be near half a turn.
    """
    n = np.where(normals[:, 2:] < 0, -normals, normals).astype(np.float64)
    quaternions = np.stack([1 + n[:, 2], -n[:, 1], n[:, 0], np.zeros(len(n))], axis=1)
    return (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).astype(np.float32)
