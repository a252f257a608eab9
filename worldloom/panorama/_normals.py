"""Normals of a panorama of distances in any directions."""

import numpy as np
from jaxtyping import Float, Float32, Float64

from worldloom.panorama._distance import sampled_distance


def normals_from_distance(
    distance: Float32[np.ndarray, "h w"], rays: Float[np.ndarray, "*n 3"]
) -> Float64[np.ndarray, "*n 3"]:
    """Returns unit normals that point towards the centre, frame of the panorama.

    Points one pixel to the sides span the surface; on each axis that side counts whose distance
    changes less, so that normals of an edge do not lean on what is behind it.

    Args:
        distance: Distance along the ray; 0 = unknown.
        rays: Unit rays.

    Returns:
        Normals; 0 where the distance of a ray, or of both sides on an axis, is unknown.
    """
    axes = np.eye(3)[np.abs(rays).argmin(axis=-1)]
    across = np.cross(axes, rays)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    step = np.pi / distance.shape[0]
    own = sampled_distance(distance, rays).astype(np.float64)
    spans = [_span(distance, rays, side, step, own) for side in (across, np.cross(rays, across))]
    normals = np.cross(spans[0], spans[1])
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 0, normals / np.where(length > 0, length, 1), 0)
    away = (normals * rays).sum(axis=-1, keepdims=True) > 0
    return np.where(away, -normals, normals)


def _span(
    distance: Float32[np.ndarray, "h w"],
    rays: Float[np.ndarray, "*n 3"],
    side: Float64[np.ndarray, "*n 3"],
    step: float,
    own: Float64[np.ndarray, "*n"],
) -> Float64[np.ndarray, "*n 3"]:
    """A tangent of the surface along one axis; 0 where it is unknown."""
    ahead_rays = np.cos(step) * rays + np.sin(step) * side
    back_rays = np.cos(step) * rays - np.sin(step) * side
    ahead = sampled_distance(distance, ahead_rays).astype(np.float64)
    back = sampled_distance(distance, back_rays).astype(np.float64)
    forth_jump = np.where((ahead > 0) & (own > 0), np.abs(ahead - own), np.inf)
    back_jump = np.where((back > 0) & (own > 0), np.abs(back - own), np.inf)
    here = own[..., None] * rays
    forth = ahead[..., None] * ahead_rays - here
    behind = here - back[..., None] * back_rays
    chosen = np.where((forth_jump <= back_jump)[..., None], forth, behind)
    known = np.isfinite(np.minimum(forth_jump, back_jump))
    return np.where(known[..., None], chosen, 0)
