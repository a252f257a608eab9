"""Undistortion: from the image of a real lens to that of a pinhole camera."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.errors import TrajectoryError

_NEWTON_STEPS = 30
_INVERTED_PX = 1e-3


@dataclass(frozen=True, eq=False)
class Undistortion:
    """The pinhole camera of an undistorted image, and how to make that image.

    The image keeps its size. It is zoomed, with one factor for both axes, to the largest centred
    view in which every pixel has data, so nothing has to be masked.
    """

    intrinsics: CameraIntrinsics
    """Pinhole camera of the undistorted image."""
    map_x: Float32[np.ndarray, "h w"]
    """Column in the distorted image of each pixel, as `cv2.remap` counts (first centre = 0)."""
    map_y: Float32[np.ndarray, "h w"]
    """Row in the distorted image of each pixel, as `cv2.remap` counts (first centre = 0)."""
    valid: Bool[np.ndarray, "h w"]
    """True where the position lies inside the distorted image: everywhere, but for rounding."""

    def apply(self, image: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w *c"]:
        """Returns the undistorted image, bilinearly resampled."""
        undistorted = cv2.remap(
            image, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(undistorted, np.uint8)

    def apply_mask(self, mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Returns the undistorted mask, by nearest neighbour; 0 where there is no data."""
        undistorted = cv2.remap(
            mask, self.map_x, self.map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        return np.where(self.valid, np.asarray(undistorted, np.uint8), np.uint8(0))


def undistortion(intrinsics: CameraIntrinsics) -> Undistortion:
    """Prepares the undistortion of all images of one lens; make it once and keep it.

    Model: Brown-Conrady in OpenCV's form (https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html).
    An undistorted lens comes back unchanged with identity maps.

    Raises:
        TrajectoryError: the distortion folds over inside the image, so no pinhole image exists.
    """
    width, height = intrinsics.width_px, intrinsics.height_px
    pinhole = replace(intrinsics, k1=0.0, k2=0.0, p1=0.0, p2=0.0, k3=0.0)
    if intrinsics.is_distorted:
        pinhole = _zoomed(pinhole, _inner_rectangle(intrinsics))
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack(
        [(columns - pinhole.cx) / pinhole.fx, (rows - pinhole.cy) / pinhole.fy], axis=-1
    )
    pixels = distorted_pixels(rays.reshape(-1, 2), intrinsics).reshape(height, width, 2) - 0.5
    map_x, map_y = pixels[..., 0].astype(np.float32), pixels[..., 1].astype(np.float32)
    slack = 1e-2
    valid = (map_x >= -slack) & (map_x <= width - 1 + slack)
    valid &= (map_y >= -slack) & (map_y <= height - 1 + slack)
    return Undistortion(pinhole, map_x, map_y, valid)


def distorted_pixels(
    rays: Float64[np.ndarray, "n 2"], intrinsics: CameraIntrinsics
) -> Float64[np.ndarray, "n 2"]:
    """Returns the pixel positions in the distorted image of rays (x/z, y/z)."""
    bent = _bent(rays, intrinsics)
    return bent * (intrinsics.fx, intrinsics.fy) + (intrinsics.cx, intrinsics.cy)


def undistorted_rays(
    pixels: Float64[np.ndarray, "n 2"], intrinsics: CameraIntrinsics
) -> Float64[np.ndarray, "n 2"]:
    """Returns the rays (x/z, y/z) of pixel positions in the distorted image, by Newton's method.

    Raises:
        TrajectoryError: the distortion cannot be inverted there: it folds over.
    """
    bent = (pixels - (intrinsics.cx, intrinsics.cy)) / (intrinsics.fx, intrinsics.fy)
    rays = bent.copy()
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON_STEPS):
            (xx, xy, yy), determinant = _bending_slopes(rays, intrinsics)
            miss = bent - _bent(rays, intrinsics)
            step_x = (yy * miss[:, 0] - xy * miss[:, 1]) / determinant
            step_y = (xx * miss[:, 1] - xy * miss[:, 0]) / determinant
            rays = rays + np.stack([step_x, step_y], axis=-1)
        _, determinant = _bending_slopes(rays, intrinsics)
        error_px = np.abs(distorted_pixels(rays, intrinsics) - pixels)
    if not (error_px < _INVERTED_PX).all() or not (determinant > 0).all():
        raise TrajectoryError(
            "the lens distortion folds over inside the image "
            f"(k1, k2, p1, p2, k3 = {intrinsics.distortion} at "
            f"{intrinsics.width_px}x{intrinsics.height_px}); check the order of the coefficients, "
            "or undistort the images with the software that made them"
        )
    return rays


def _bent(
    rays: Float64[np.ndarray, "n 2"], intrinsics: CameraIntrinsics
) -> Float64[np.ndarray, "n 2"]:
    k1, k2, p1, p2, k3 = intrinsics.distortion
    x, y = rays[:, 0], rays[:, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _bending_slopes(
    rays: Float64[np.ndarray, "n 2"], intrinsics: CameraIntrinsics
) -> tuple[Float64[np.ndarray, "3 n"], Float64[np.ndarray, "n"]]:
    """Returns (dx/dx, dx/dy = dy/dx, dy/dy) of `_bent`, and the determinant."""
    k1, k2, p1, p2, k3 = intrinsics.distortion
    x, y = rays[:, 0], rays[:, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    by_r2 = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    xx = radial + 2 * x * x * by_r2 + 2 * p1 * y + 6 * p2 * x
    yy = radial + 2 * y * y * by_r2 + 6 * p1 * y + 2 * p2 * x
    xy = 2 * x * y * by_r2 + 2 * p1 * x + 2 * p2 * y
    return np.stack([xx, xy, yy]), xx * yy - xy * xy


@dataclass(frozen=True)
class _RayRectangle:
    left: float
    top: float
    right: float
    bottom: float


def _inner_rectangle(intrinsics: CameraIntrinsics) -> _RayRectangle:
    """Returns a rectangle of rays that all have data: inside the bent border of the image."""
    width, height = intrinsics.width_px, intrinsics.height_px
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5

    def rays(x: Float64[np.ndarray, "#n"], y: Float64[np.ndarray, "#n"]) -> np.ndarray:
        return undistorted_rays(np.stack(np.broadcast_arrays(x, y), axis=-1), intrinsics)

    first, right, bottom = np.array([0.5]), np.array([width - 0.5]), np.array([height - 0.5])
    return _RayRectangle(
        left=float(rays(first, rows)[:, 0].max()),
        top=float(rays(columns, first)[:, 1].max()),
        right=float(rays(right, rows)[:, 0].min()),
        bottom=float(rays(columns, bottom)[:, 1].min()),
    )


def _zoomed(pinhole: CameraIntrinsics, rectangle: _RayRectangle) -> CameraIntrinsics:
    """Returns the camera whose first and last pixel centres stay inside the rectangle."""
    span_x, span_y = rectangle.right - rectangle.left, rectangle.bottom - rectangle.top
    zoom = max(
        (pinhole.width_px - 1) / span_x / pinhole.fx, (pinhole.height_px - 1) / span_y / pinhole.fy
    )
    fx, fy = pinhole.fx * zoom, pinhole.fy * zoom
    return replace(
        pinhole,
        fx=fx,
        fy=fy,
        cx=pinhole.width_px / 2 - (rectangle.left + rectangle.right) / 2 * fx,
        cy=pinhole.height_px / 2 - (rectangle.top + rectangle.bottom) / 2 * fy,
    )
