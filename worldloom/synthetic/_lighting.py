"""Light that reaches each vertex: soft shadows of area lights, and ambient occlusion."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from worldloom.render import RayCaster
from worldloom.synthetic._patches import Number

_LIFT_M = 0.004
_BATCH_RAYS = 1_000_000


@dataclass(frozen=True)
class AreaLight:
    """A rectangle that shines to the side edge_u x edge_v."""

    origin: tuple[Number, Number, Number]
    edge_u: tuple[Number, Number, Number]
    edge_v: tuple[Number, Number, Number]
    color: tuple[float, float, float]
    """Radiance, linear RGB."""


@dataclass(frozen=True)
class Lighting:
    """All light of a scene."""

    lights: tuple[AreaLight, ...]
    ambient: tuple[float, float, float] = (0.42, 0.42, 0.45)
    """Irradiance of an open point, over pi, linear RGB."""
    ambient_reach_m: float = 1.1
    """Distance at which things stop to dim the ambient light."""


def vertex_light(
    caster: RayCaster,
    points_in_world: Float64[np.ndarray, "v 3"],
    normals_in_world: Float64[np.ndarray, "v 3"],
    lighting: Lighting,
    rays: int,
) -> Float32[np.ndarray, "v 3"]:
    """Gathers light at points: radiance that a white Lambert surface sends back, linear RGB.

    Args:
        caster: The scene that casts shadows.
        points_in_world: Where light arrives.
        normals_in_world: Unit normals there.
        lighting: The lights.
        rays: Rays a light, and for the ambient part twice as many; more gives less noise.
    """
    batch = max(1, _BATCH_RAYS // (2 * rays))
    parts = [
        _gather(
            caster, points_in_world[k : k + batch], normals_in_world[k : k + batch], lighting, rays
        )
        for k in range(0, len(points_in_world), batch)
    ]
    return np.concatenate(parts).astype(np.float32)


def _gather(
    caster: RayCaster,
    points: np.ndarray,
    normals: np.ndarray,
    lighting: Lighting,
    rays: int,
) -> np.ndarray:
    lifted = points + _LIFT_M * normals
    total = _openness(caster, lifted, normals, lighting.ambient_reach_m, 2 * rays)[
        :, None
    ] * np.array(lighting.ambient)
    for light in lighting.lights:
        total += _direct(caster, lifted, normals, light, rays)[:, None] * np.array(light.color)
    return total


def _openness(
    caster: RayCaster, points: np.ndarray, normals: np.ndarray, reach_m: float, rays: int
) -> np.ndarray:
    """Cosine-weighted share of the hemisphere that is open up to `reach_m`."""
    u, v = _spread(rays)
    radius, turn = np.sqrt(u), 2 * math.pi * v
    local = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.sqrt(1 - u)], axis=-1)
    helper = np.where(np.abs(normals[:, :1]) > 0.8, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(helper, normals)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
    frame = np.stack([tangent, np.cross(normals, tangent), normals], axis=1)
    directions = np.einsum("rk,vkc->vrc", local, frame)
    origins = np.broadcast_to(points[:, None], directions.shape)
    blocked = caster.occluded(origins.reshape(-1, 3), directions.reshape(-1, 3), reach_m)
    return 1 - blocked.reshape(-1, rays).mean(axis=1)


def _direct(
    caster: RayCaster, points: np.ndarray, normals: np.ndarray, light: AreaLight, rays: int
) -> np.ndarray:
    """Form factor from each point to a light, with visibility (light of unit radiance)."""
    edge_u, edge_v = np.array(light.edge_u), np.array(light.edge_v)
    facing = np.cross(edge_u, edge_v)
    area = float(np.linalg.norm(facing))
    facing /= area
    u, v = _spread(rays)
    targets = np.array(light.origin) + u[:, None] * edge_u + v[:, None] * edge_v
    to_light = targets[None] - points[:, None]
    square = np.maximum((to_light**2).sum(-1), 0.05)
    cos_here = (to_light * normals[:, None]).sum(-1) / np.sqrt(square)
    cos_there = -(to_light @ facing) / np.sqrt(square)
    factor = np.maximum(cos_here, 0) * np.maximum(cos_there, 0) * area / (math.pi * square)
    origins = np.broadcast_to(points[:, None], to_light.shape)
    blocked = caster.occluded(origins.reshape(-1, 3), to_light.reshape(-1, 3), 0.98)
    return (factor * ~blocked.reshape(factor.shape)).mean(axis=1)


def _spread(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns evenly spread points of the unit square.

    The R2 sequence: Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018,
    https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences/
    """
    plastic = 1.32471795724474602596
    k = np.arange(1, count + 1)
    return (0.5 + k / plastic) % 1, (0.5 + k / plastic**2) % 1
