"""Exact depth maps of analytic shapes, for tests of fusion."""

from dataclasses import dataclass

import numpy as np

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.scene import DepthMap


def camera_at(
    position: tuple[float, float, float],
    target: tuple[float, float, float],
    *,
    width_px: int = 96,
    height_px: int = 72,
    focal_px: float = 60.0,
) -> Camera:
    """A camera that looks from a position at a target; world +y is down."""
    forward = np.subtract(target, position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    down = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    world_from_cam = np.eye(4)
    world_from_cam[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    world_from_cam[:3, 3] = position
    lens = CameraIntrinsics(
        focal_px, focal_px, width_px / 2 + 0.3, height_px / 2 - 0.4, width_px, height_px
    )
    return Camera(lens, world_from_cam)


@dataclass(frozen=True)
class SphereInBox:
    """A sphere around a point, inside the cube |x|, |y|, |z| <= half_side_m around the origin."""

    centre: tuple[float, float, float] = (0.1, -0.05, 0.07)
    radius_m: float = 0.5
    half_side_m: float = 1.5

    def depth_map(self, view_id: int, camera: Camera, *, outer: bool = True) -> DepthMap:
        """Exact depth, unit confidence and exact normals; without the box if not `outer`."""
        lens = camera.intrinsics
        v, u = np.mgrid[0 : lens.height_px, 0 : lens.width_px] + 0.5
        rays_in_cam = np.stack(
            [(u - lens.cx) / lens.fx, (v - lens.cy) / lens.fy, np.ones_like(u)], axis=-1
        )
        rays = rays_in_cam @ camera.world_from_cam[:3, :3].T
        origin = camera.centre_in_world
        depth = np.zeros(u.shape)
        normal = np.zeros((*u.shape, 3))
        if outer:
            with np.errstate(divide="ignore"):
                reach = (np.where(rays > 0, self.half_side_m, -self.half_side_m) - origin) / rays
            axis = reach.argmin(axis=-1)
            depth = reach.min(axis=-1)
            sign = np.take_along_axis(rays, axis[..., None], -1)[..., 0]
            np.put_along_axis(normal, axis[..., None], -np.sign(sign)[..., None], -1)
        b = rays @ (origin - self.centre)
        a = (rays**2).sum(axis=-1)
        square = b**2 - a * (((origin - self.centre) ** 2).sum() - self.radius_m**2)
        hit = square > 0
        near = (-b - np.sqrt(np.where(hit, square, 0))) / a
        depth = np.where(hit, near, depth)
        ball = (origin + near[..., None] * rays - self.centre) / self.radius_m
        normal = np.where(hit[..., None], ball, normal)
        return DepthMap(
            view_id,
            camera,
            depth.astype(np.float32),
            (depth > 0).astype(np.float32),
            normal.astype(np.float32),
        )

    def distance(self, points_in_world: np.ndarray, *, outer: bool = True) -> np.ndarray:
        """Distance of points from the nearest surface."""
        ball = np.abs(np.linalg.norm(points_in_world - self.centre, axis=1) - self.radius_m)
        if not outer:
            return ball
        return np.minimum(ball, np.abs(self.half_side_m - np.abs(points_in_world)).min(axis=1))


def ring(count: int, radius_m: float = 1.2, height_m: float = 0.5) -> list[Camera]:
    """Cameras that look at the origin from all sides, above and below in turn."""
    cameras: list[Camera] = []
    for i in range(count):
        angle = 2 * np.pi * i / count
        height = height_m * (1 if i % 2 else -1)
        position = (radius_m * np.cos(angle), height, radius_m * np.sin(angle))
        cameras.append(camera_at(position, (0.0, 0.0, 0.0)))
    return cameras


def colors_of(depth_map: DepthMap) -> np.ndarray:
    """A colour image of the depth map's size: the normals."""
    return np.clip(depth_map.normal_in_world * 127 + 128, 0, 255).astype(np.uint8)
