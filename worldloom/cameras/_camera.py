"""The pinhole camera with a pose: what every algorithm sees after ingest."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64

from worldloom.cameras._intrinsics import CameraIntrinsics


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera at a pose: OpenCV axes (+x right, +y down, +z forward)."""

    intrinsics: CameraIntrinsics
    """Lens and image size, pixels; the centre of the top-left pixel is (0.5, 0.5)."""
    world_from_cam: Float64[np.ndarray, "4 4"]
    """Rigid transform from camera to world coordinates, world unit."""

    @cached_property
    def cam_from_world(self) -> Float64[np.ndarray, "4 4"]:
        """Rigid transform from world to camera coordinates."""
        inverse = np.eye(4)
        rotation = self.world_from_cam[:3, :3].T
        inverse[:3, :3] = rotation
        inverse[:3, 3] = -rotation @ self.world_from_cam[:3, 3]
        return inverse

    @property
    def centre_in_world(self) -> Float64[np.ndarray, "3"]:
        """Centre of projection."""
        return self.world_from_cam[:3, 3]

    @property
    def forward_in_world(self) -> Float64[np.ndarray, "3"]:
        """Unit viewing direction (+z of the camera)."""
        return self.world_from_cam[:3, 2]

    @property
    def pixel_from_cam(self) -> Float64[np.ndarray, "3 3"]:
        """The calibration matrix K."""
        return self.intrinsics.matrix

    def resized(self, width_px: int, height_px: int) -> "Camera":
        """Returns the camera of the same image resampled to another size."""
        return replace(self, intrinsics=self.intrinsics.resized(width_px, height_px))

    def project(
        self, points_in_world: Float[np.ndarray, "n 3"]
    ) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n"]]:
        """Projects world points.

        Args:
            points_in_world: Points in world coordinates.

        Returns:
            Pixel positions (x, y) and depths along +z; pixels are meaningful where depth > 0.
        """
        points_in_cam = points_in_world @ self.cam_from_world[:3, :3].T + self.cam_from_world[:3, 3]
        depth = points_in_cam[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = points_in_cam[:, 0] / depth * self.intrinsics.fx + self.intrinsics.cx
            y = points_in_cam[:, 1] / depth * self.intrinsics.fy + self.intrinsics.cy
        return np.stack([x, y], axis=-1), depth

    def unproject(
        self, pixels: Float[np.ndarray, "n 2"], depth: Float[np.ndarray, "n"]
    ) -> Float64[np.ndarray, "n 3"]:
        """Returns the world points at the given pixels and depths along +z."""
        ray_x = (pixels[:, 0].astype(np.float64) - self.intrinsics.cx) / self.intrinsics.fx
        ray_y = (pixels[:, 1].astype(np.float64) - self.intrinsics.cy) / self.intrinsics.fy
        points_in_cam = np.stack([ray_x * depth, ray_y * depth, depth.astype(np.float64)], axis=-1)
        return points_in_cam @ self.world_from_cam[:3, :3].T + self.world_from_cam[:3, 3]
