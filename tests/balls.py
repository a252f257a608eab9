"""Exact panoramas of a room with a ball in it, from anywhere inside, for tests."""

from dataclasses import dataclass

import numpy as np

from worldloom.panorama import pixel_rays


@dataclass(frozen=True)
class BallRoom:
    """The box |x| <= a, |y| <= b, |z| <= c around the origin, and a ball."""

    half_m: tuple[float, float, float] = (2.0, 1.4, 2.6)
    ball_m: tuple[float, float, float] = (0.3, 0.2, 1.2)
    radius_m: float = 0.35

    def distance(self, rays: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Along unit rays from a place inside, to the ball or a wall."""
        wall = self.wall_distance(rays, centre)
        offset = centre - np.array(self.ball_m)
        along = rays @ offset
        root = along**2 - (offset @ offset - self.radius_m**2)
        near = -along - np.sqrt(np.maximum(root, 0))
        return np.where((root > 0) & (near > 0), near, wall)

    def wall_distance(self, rays: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Along unit rays from a place inside, to a wall."""
        with np.errstate(divide="ignore"):
            reach = (np.where(rays > 0, 1, -1) * np.array(self.half_m) - centre) / rays
        return np.where(rays == 0, np.inf, reach).min(axis=-1)

    def colors(self, points: np.ndarray) -> np.ndarray:
        """Smooth colours of space, sRGB."""
        waves = np.stack([np.sin(2.1 * points[..., k] + k) for k in range(3)], axis=-1)
        return np.clip(np.rint(128 + 100 * waves), 0, 255).astype(np.uint8)

    def panorama(
        self, height_px: int, world_from_pano: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and distance (float32) of a panorama."""
        rays = pixel_rays(2 * height_px, height_px) @ world_from_pano[:3, :3].T
        distance = self.distance(rays, world_from_pano[:3, 3])
        points = world_from_pano[:3, 3] + distance[..., None] * rays
        return self.colors(points), distance.astype(np.float32)

    def off_surface(self, points: np.ndarray) -> np.ndarray:
        """Distance of points to the nearest surface."""
        to_wall = np.abs(np.array(self.half_m) - np.abs(points)).min(axis=-1)
        to_ball = np.abs(np.linalg.norm(points - np.array(self.ball_m), axis=-1) - self.radius_m)
        return np.minimum(to_wall, to_ball)

    def off_walls(self, points: np.ndarray) -> np.ndarray:
        """Distance of points to the nearest wall."""
        return np.abs(np.array(self.half_m) - np.abs(points)).min(axis=-1)


def turned(yaw_deg: float, pitch_deg: float, position: tuple[float, float, float]) -> np.ndarray:
    """A pose: turned about y, then about x."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = about_y @ about_x, position
    return pose
