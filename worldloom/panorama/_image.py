"""Sampling a panorama without aliasing, across its seam and over its poles."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from worldloom.cameras import Camera
from worldloom.panorama._rays import TURN, pixels_from_rays, rays_from_pixels

_BORDER_PX = 4
"""More than what bicubic interpolation reaches."""
_BLUR_PX = 0.5
"""Deviation of the filter at a stride of one pixel more than one; about that of a box."""
_BAND_ROWS = 256
_FULL_LEVEL = 254
"""A pixel of a view has data only if all of what it shows has, up to rounding."""


class PanoramaImage:
    """The colours of one panorama, ready to be sampled by any view of its resolution or more.

    Rows near the poles show the same few directions over and over; they are smoothed along
    themselves, by a Gaussian that grows with 1 / cos(latitude), so that no view that crosses them
    in fewer steps finds aliases there. The smoothing runs round the seam.

    Args:
        rgb: Equirectangular image, sRGB, twice as wide as high.
        data: True where it holds data; None for everywhere.
        focal_px: Pixels a radian of the finest view that will be asked for; where that is coarser
            than the panorama, the panorama is averaged down first.
    """

    def __init__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        data: Bool[np.ndarray, "h w"] | None,
        focal_px: float,
    ) -> None:
        height = rgb.shape[0]
        # Averaged down to the pitch of the views at most, never up.
        height = min(height, max(16, math.ceil(focal_px * math.pi)))
        self._rgb = _bordered(_smoothed(_reduced(rgb, height)))
        level = None if data is None else np.where(data, np.uint8(255), np.uint8(0))
        self._level = None if level is None else _bordered(_reduced(level, height))
        self._size = 2 * height, height

    def view(
        self, lens: Camera, pano_from_view: Float64[np.ndarray, "3 3"]
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"] | None]:
        """Returns what a perspective view shows: colours, and where there are any.

        Args:
            lens: Undistorted camera; its pose does not count.
            pano_from_view: Rotation from the axes of the view to those of the panorama.

        Returns:
            Colours, sRGB; and data, None where all of it is.
        """
        rays = view_rays(lens) @ pano_from_view.T
        # OpenCV's first pixel centre is 0, ours 0.5, and the border comes before it.
        position = pixels_from_rays(rays, *self._size) + (_BORDER_PX - 0.5)
        x, y = position[..., 0].astype(np.float32), position[..., 1].astype(np.float32)
        rgb = cv2.remap(self._rgb, x, y, cv2.INTER_CUBIC)
        if self._level is None:
            return rgb, None
        data = cv2.remap(self._level, x, y, cv2.INTER_LINEAR) >= _FULL_LEVEL
        return rgb, None if data.all() else data


def view_rays(camera: Camera) -> Float64[np.ndarray, "h w 3"]:
    """Returns the rays through the pixel centres of a view, length 1 along its +z."""
    lens = camera.intrinsics
    x = (np.arange(lens.width_px) + 0.5 - lens.cx) / lens.fx
    y = (np.arange(lens.height_px) + 0.5 - lens.cy) / lens.fy
    rays = np.ones((lens.height_px, lens.width_px, 3))
    rays[..., 0], rays[..., 1] = x[None, :], y[:, None]
    return rays


def panorama_from_view(
    camera: Camera, world_from_pano: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "3 3"]:
    """Returns the rotation from the axes of a view to those of its panorama."""
    return world_from_pano[:3, :3].T @ camera.world_from_cam[:3, :3]


def equatorial_pixels(width_px: int, height_px: int) -> Float32[np.ndarray, "h"]:
    """Returns how many pixels of each row span the angle of one pixel of the equator."""
    middle = np.stack([np.zeros(height_px), np.arange(height_px) + 0.5], axis=-1)
    level = np.hypot(*rays_from_pixels(middle, width_px, height_px)[:, [0, 2]].T)
    return (1 / level).astype(np.float32)


def reduced_image(rgb: UInt8[np.ndarray, "h w 3"], height_px: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Returns a panorama at another height, no larger: averaged, and smoothed near the poles."""
    return _smoothed(_reduced(rgb, height_px))


def _reduced(image: np.ndarray, height_px: int) -> np.ndarray:
    """Averages over areas; these end at the seam and at the poles, so nothing has to wrap."""
    if image.shape[0] == height_px:
        return image
    return cv2.resize(image, (2 * height_px, height_px), interpolation=cv2.INTER_AREA)


def _smoothed(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    height, width = rgb.shape[:2]
    stride = equatorial_pixels(width, height)
    deviation = _BLUR_PX * np.sqrt(np.maximum(stride**2 - 1, 0))
    # The Fourier transform of a Gaussian is one; along a row it wraps by itself.
    frequency = TURN * np.fft.rfftfreq(width)
    smoothed = rgb.copy()
    for top in range(0, height, _BAND_ROWS):
        rows = np.nonzero(deviation[top : top + _BAND_ROWS] > 0.1)[0] + top
        if not len(rows):
            continue
        gain = np.exp(-0.5 * (deviation[rows, None] * frequency) ** 2)
        spectrum = np.fft.rfft(rgb[rows].astype(np.float32), axis=1)
        band = np.fft.irfft(spectrum * gain[..., None], n=width, axis=1)
        smoothed[rows] = np.clip(np.rint(band), 0, 255).astype(np.uint8)
    return smoothed


def _bordered(image: np.ndarray) -> np.ndarray:
    """Puts around an image what lies beyond its edges on the sphere."""
    across = np.roll(image, image.shape[1] // 2, axis=1)
    over_top = across[:_BORDER_PX][::-1]
    over_bottom = across[-_BORDER_PX:][::-1]
    tall = np.concatenate([over_top, image, over_bottom])
    return np.concatenate([tall[:, -_BORDER_PX:], tall, tall[:, :_BORDER_PX]], axis=1)
