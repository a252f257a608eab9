"""Camera intrinsics: pinhole with Brown-Conrady distortion."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from worldloom.errors import TrajectoryError


@dataclass(frozen=True)
class CameraIntrinsics:
    """Focal lengths, principal point, image size and lens distortion, OpenCV model."""

    fx: float | int
    """Horizontal focal length, pixels."""
    fy: float | int
    """Vertical focal length, pixels."""
    cx: float | int
    """Principal point x, pixels; the centre of the top-left pixel is 0.5."""
    cy: float | int
    """Principal point y, pixels; the centre of the top-left pixel is 0.5."""
    width_px: int
    """Image width."""
    height_px: int
    """Image height."""
    k1: float | int = 0.0
    """Radial distortion, r^2."""
    k2: float | int = 0.0
    """Radial distortion, r^4."""
    p1: float | int = 0.0
    """Tangential distortion."""
    p2: float | int = 0.0
    """Tangential distortion."""
    k3: float | int = 0.0
    """Radial distortion, r^6."""

    def __post_init__(self) -> None:
        for name in ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3"):
            # Whole numbers become floats, so that equal cameras have equal digests.
            object.__setattr__(self, name, float(getattr(self, name)))
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.isfinite(values).all():
            raise TrajectoryError(f"intrinsics are not finite: {self}; give numbers")
        if self.fx <= 0 or self.fy <= 0:
            raise TrajectoryError(f"focal lengths must be positive, got fx={self.fx}, fy={self.fy}")
        if self.width_px < 1 or self.height_px < 1:
            raise TrajectoryError(
                f"image size must be positive, got {self.width_px}x{self.height_px}"
            )

    @property
    def matrix(self) -> Float64[np.ndarray, "3 3"]:
        """The calibration matrix K, in the convention of this class."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    @property
    def distortion(self) -> tuple[float, float, float, float, float]:
        """The coefficients in OpenCV's order (k1, k2, p1, p2, k3)."""
        return (self.k1, self.k2, self.p1, self.p2, self.k3)

    @property
    def is_distorted(self) -> bool:
        """True where the lens bends straight lines."""
        return any(self.distortion)

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view of an image with a centred principal point, degrees."""
        return math.degrees(2 * math.atan(self.width_px / (2 * self.fx)))

    @classmethod
    def from_fov_deg(
        cls, fov_deg: float | int, width_px: int, height_px: int
    ) -> "CameraIntrinsics":
        """Returns an undistorted camera with square pixels and a centred principal point.

        Args:
            fov_deg: Horizontal field of view, degrees.
            width_px: Image width.
            height_px: Image height.
        """
        if not 0 < fov_deg < 180:
            raise TrajectoryError(f"the field of view must be within 0 and 180°, got {fov_deg}")
        focal_px = width_px / (2 * math.tan(math.radians(fov_deg) / 2))
        return cls(focal_px, focal_px, width_px / 2, height_px / 2, width_px, height_px)

    def with_fov_deg(self, fov_deg: float | int) -> "CameraIntrinsics":
        """Returns the same camera zoomed to a horizontal field of view, degrees."""
        if not 0 < fov_deg < 180:
            raise TrajectoryError(f"the field of view must be within 0 and 180°, got {fov_deg}")
        if math.isclose(fov_deg, self.fov_deg, rel_tol=1e-12):
            return self
        zoom = self.width_px / (2 * math.tan(math.radians(fov_deg) / 2)) / self.fx
        return replace(self, fx=self.fx * zoom, fy=self.fy * zoom)

    def resized(self, width_px: int, height_px: int) -> "CameraIntrinsics":
        """Returns the intrinsics of the same image resampled to another size."""
        sx, sy = width_px / self.width_px, height_px / self.height_px
        return replace(
            self,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
            width_px=width_px,
            height_px=height_px,
        )
