"""Smooth camera paths with parallax: an orbit, a walk with look-around, and long laps."""

import math

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline

from worldloom.synthetic._layouts import Layout, Point

_UP = np.array([0.0, 1.0, 0.0])


def look_at(
    position_in_world: Float64[np.ndarray, "3"], target_in_world: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """Returns world_from_cam of a level camera at a place that looks at a target; y is up."""
    forward = target_in_world - position_in_world
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, _UP)
    right /= np.linalg.norm(right)
    world_from_cam = np.eye(4)
    world_from_cam[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=-1)
    world_from_cam[:3, 3] = position_in_world
    return world_from_cam


def orbit(layout: Layout, frames: int, arc_deg: float) -> list[Float64[np.ndarray, "4 4"]]:
    """Returns poses on an arc around the middle of a layout, rising and sinking gently."""
    path = layout.orbit
    target = np.array(path.target)
    poses: list[np.ndarray] = []
    for share in np.linspace(0, 1, frames):
        angle = math.radians(path.start_deg + arc_deg * share)
        sway = math.sin(2 * math.pi * share)
        position = np.array(
            [
                target[0] + path.radius_x_m * math.sin(angle),
                path.height_m + 0.18 * path.height_m * sway,
                target[2] + path.radius_z_m * math.cos(angle),
            ]
        )
        poses.append(look_at(position, target + np.array([0.0, 0.1 * sway, 0.0])))
    return poses


def walk(layout: Layout, frames: int) -> list[Float64[np.ndarray, "4 4"]]:
    """Returns poses once round the waypoints of a layout, looking at its sights."""
    shares = np.linspace(0, 1, frames, endpoint=False)
    places, sights = _closed(layout.waypoints), _closed(layout.sights)
    return [look_at(places(share), sights(share)) for share in shares]


def laps(layout: Layout, frames: int, frames_per_lap: int) -> list[Float64[np.ndarray, "4 4"]]:
    """Returns poses lap after lap, each lap a little higher or lower and with another view.

    The step from frame to frame does not depend on how many frames there are.
    """
    places, sights = _closed(layout.waypoints), _closed(layout.sights)
    poses: list[np.ndarray] = []
    for frame in range(frames):
        turns = frame / frames_per_lap
        lift = 0.22 * math.sin(2 * math.pi * turns * 0.381966)
        nod = 0.35 * math.sin(2 * math.pi * turns * 1.618034)
        poses.append(
            look_at(places(turns % 1) + lift * _UP, sights((turns + 0.02 * nod) % 1) + nod * _UP)
        )
    return poses


def _closed(points: tuple[Point, ...]) -> CubicSpline:
    """Returns the closed smooth curve through points, over a parameter of 0 to 1."""
    knots = np.linspace(0, 1, len(points) + 1)
    return CubicSpline(knots, np.array([*points, points[0]], np.float64), bc_type="periodic")
