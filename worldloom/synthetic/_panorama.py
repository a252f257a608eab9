"""Exact panoramas of a synthetic scene, with their distances."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from worldloom.panorama import pixel_rays
from worldloom.render import RayHits
from worldloom.synthetic._scene import SyntheticScene, developed
from worldloom.synthetic._shading import shade


@dataclass(frozen=True, eq=False)
class RenderedPanorama:
    """An equirectangular picture and what it shows."""

    world_from_pano: Float64[np.ndarray, "4 4"]
    image: UInt8[np.ndarray, "h w 3"]
    """sRGB; black where nothing is hit."""
    distance: Float32[np.ndarray, "h w"]
    """Along the ray of each pixel centre, metres; 0 where nothing is hit."""


def render_panorama(
    scene: SyntheticScene, world_from_pano: Float64[np.ndarray, "4 4"], height_px: int
) -> RenderedPanorama:
    """Renders a panorama of a scene, by rays through parts of its pixels, without noise.

    Args:
        scene: What to render; its `supersampling` is used.
        world_from_pano: Pose; see `worldloom.panorama` for its axes.
        height_px: Height; the width is twice that.
    """
    samples = scene.spec.supersampling
    fine = _cast(scene, world_from_pano, height_px * samples)
    footprint = fine.distance * np.float32(np.pi / (height_px * samples))
    radiance = shade(scene.surface, fine.face, fine.barycentric, footprint)
    radiance = radiance.reshape(height_px, samples, 2 * height_px, samples, 3).mean(axis=(1, 3))
    centre = fine if samples == 1 else _cast(scene, world_from_pano, height_px)
    distance = centre.distance.reshape(height_px, 2 * height_px)
    return RenderedPanorama(world_from_pano, developed(radiance), distance)


def _cast(
    scene: SyntheticScene, world_from_pano: Float64[np.ndarray, "4 4"], height_px: int
) -> RayHits:
    rays = pixel_rays(2 * height_px, height_px).reshape(-1, 3) @ world_from_pano[:3, :3].T
    origins = np.broadcast_to(world_from_pano[:3, 3], rays.shape)
    return scene.caster.cast(origins, rays)
