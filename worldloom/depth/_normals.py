"""Surface normals of a depth map."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from worldloom.cameras import Camera


def depth_normals(
    depth: Float32[np.ndarray, "h w"], camera: Camera
) -> Float32[np.ndarray, "h w 3"]:
    """Estimates unit normals that point towards the camera, in world axes.

    The surface is taken as a plane in inverse depth, which a real plane is exactly: w = a x + b y
    + c has the normal K^T (a, b, c) in camera axes. Slopes come from a 5x5 least-squares window.

    Args:
        depth: Depth along +z, world unit; 0 = unknown.
        camera: Camera at the size of the map.

    Returns:
        Normals; 0 where depth, or too much of the window, is unknown.
    """
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + np.float32(0.5), y + np.float32(0.5)
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-12), 0).astype(np.float32)
    slopes = inverse_slopes(inverse, reach=2)
    at_origin = inverse - slopes.along_x * x - slopes.along_y * y
    plane = np.stack([slopes.along_x, slopes.along_y, at_origin], axis=-1)
    normals_in_cam = -(plane @ camera.pixel_from_cam.astype(np.float32))
    length = np.linalg.norm(normals_in_cam, axis=-1, keepdims=True)
    normals_in_cam = normals_in_cam / np.maximum(length, 1e-20)
    normals = normals_in_cam @ camera.world_from_cam[:3, :3].T.astype(np.float32)
    return np.where(slopes.known[..., None], normals, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Slopes:
    """How inverse depth changes, per pixel."""

    along_x: Float32[np.ndarray, "h w"]
    along_y: Float32[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    """False where inverse depth, or too much of the window, is unknown: slopes mean nothing."""


def inverse_slopes(inverse: Float32[np.ndarray, "h w"], reach: int) -> Slopes:
    """Fits a plane to inverse depth in the square window around each pixel.

    Args:
        inverse: Inverse depth, 1 / world unit; 0 = unknown.
        reach: Half the side of the window, pixels.
    """
    least = 2 * (2 * reach + 1)
    known = (inverse > 0).astype(np.float32)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    flat = np.ones(2 * reach + 1, np.float32)

    def windowed(image: np.ndarray, along_x: np.ndarray, along_y: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(image, -1, along_x, along_y, borderType=cv2.BORDER_CONSTANT)

    count = windowed(known, flat, flat)
    sum_x, sum_y = windowed(known, offsets, flat), windowed(known, flat, offsets)
    sum_xx, sum_yy = windowed(known, offsets**2, flat), windowed(known, flat, offsets**2)
    sum_xy = windowed(known, offsets, offsets)
    sum_w = windowed(inverse, flat, flat)
    sum_xw, sum_yw = windowed(inverse, offsets, flat), windowed(inverse, flat, offsets)
    safe = np.maximum(count, 1)
    xx, yy = sum_xx - sum_x**2 / safe, sum_yy - sum_y**2 / safe
    xy = sum_xy - sum_x * sum_y / safe
    xw, yw = sum_xw - sum_x * sum_w / safe, sum_yw - sum_y * sum_w / safe
    determinant = xx * yy - xy**2
    good = (known > 0) & (count >= least) & (determinant > 1e-3)
    determinant = np.where(good, determinant, 1)
    slope_x, slope_y = (xw * yy - yw * xy) / determinant, (yw * xx - xw * xy) / determinant
    return Slopes(slope_x.astype(np.float32), slope_y.astype(np.float32), good)
