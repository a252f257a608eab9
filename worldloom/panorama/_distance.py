"""Distance panoramas: how far the surface is in each direction, and reading it between pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from worldloom.panorama._rays import pixel_rays, pixels_from_rays

_SMOOTH_RATIO = 1.15
"""Neighbours whose distances differ by more are not averaged: they may be two surfaces."""
_CENTRE = 1 - 1e-6
"""Weight from which on a ray goes through the centre of a pixel, whose number then stays as it
is."""


@dataclass(frozen=True, eq=False)
class DistancePanorama:
    """Distance along the ray of every pixel of a panorama."""

    distance: Float32[np.ndarray, "h w"]
    """World unit; 0 = no surface is known there."""
    confidence: Float32[np.ndarray, "h w"]
    """0 to 1."""


def distance_from_face_z(
    z: Float[np.ndarray, "h w"],
) -> Float64[np.ndarray, "h w"]:
    """Returns distances along the ray, from depth along the axis of the cube face.

    Args:
        z: Depth along that of the six axes that is nearest to the ray: what a renderer of the six
            faces of a cube gives.
    """
    rays = pixel_rays(z.shape[1], z.shape[0])
    return z / np.abs(rays).max(axis=-1)


def sampled_distance(
    panorama: Float32[np.ndarray, "h w"], rays: Float[np.ndarray, "*n 3"]
) -> Float32[np.ndarray, "*n"]:
    """Reads a distance panorama in any directions.

    Inverse distance, which is linear in the ray on a plane, is interpolated between the four pixels
    around a ray if these may be one surface; else the nearest pixel counts. At a pixel centre that
    is exactly the pixel.

    Args:
        panorama: Distances; 0 = unknown.
        rays: Directions in the frame of the panorama, of any length.

    Returns:
        Distances along the unit rays; 0 = unknown.
    """
    height, width = panorama.shape
    position = pixels_from_rays(rays, width, height) - 0.5
    corner = np.floor(position)
    share = (position - corner).astype(np.float32)
    x, y = corner[..., 0].astype(np.int64), corner[..., 1].astype(np.int64)
    corners = np.stack([_at(panorama, x + i, y + j) for j in (0, 1) for i in (0, 1)])
    weights = np.stack(
        [
            (share[..., 0] if i else 1 - share[..., 0])
            * (share[..., 1] if j else 1 - share[..., 1])
            for j in (0, 1)
            for i in (0, 1)
        ]
    )
    nearest = np.take_along_axis(corners, weights.argmax(axis=0)[None], axis=0)[0]
    known = corners.min(axis=0) > 0
    safe = np.where(corners > 0, corners, 1)
    between = weights.max(axis=0) < _CENTRE
    one_surface = known & between & (corners.max(axis=0) <= _SMOOTH_RATIO * safe.min(axis=0))
    blended = 1 / (weights / safe).sum(axis=0)
    return np.where(one_surface, blended, nearest).astype(np.float32)


def sampled_nearest(
    panorama: Float32[np.ndarray, "h w"], rays: Float[np.ndarray, "*n 3"]
) -> Float32[np.ndarray, "*n"]:
    """Reads a panorama at the pixels that are nearest to rays."""
    height, width = panorama.shape
    position = np.floor(pixels_from_rays(rays, width, height)).astype(np.int64)
    return _at(panorama, position[..., 0], position[..., 1])


def resampled(panorama: DistancePanorama, height_px: int) -> DistancePanorama:
    """Returns a distance panorama at another height; unchanged where it has that already."""
    if panorama.distance.shape[0] == height_px:
        return panorama
    rays = pixel_rays(2 * height_px, height_px)
    return DistancePanorama(
        sampled_distance(panorama.distance, rays), sampled_nearest(panorama.confidence, rays)
    )


def wrapped(shape: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row and column of pixels that may lie beyond the seam or a pole (by one turn)."""
    height, width = shape[:2]
    over = (y < 0) | (y >= height)
    row = np.where(y < 0, -1 - y, np.where(y >= height, 2 * height - 1 - y, y))
    return np.asarray(row), np.asarray(np.where(over, x + width // 2, x) % width)


def _at(panorama: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return panorama[wrapped(panorama.shape, x, y)]


def known_share(distance: Float32[np.ndarray, "h w"]) -> float:
    """Returns the share of the sphere whose distance is known."""
    height = distance.shape[0]
    area = np.cos((np.arange(height) + 0.5) / height * np.pi - np.pi / 2)
    known: Bool[np.ndarray, "h w"] = distance > 0
    return float((known.mean(axis=1) * area).sum() / area.sum())
