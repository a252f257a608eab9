"""The equirectangular picture: which pixel shows which direction.

The frame of a panorama has OpenCV axes: +x right, +y down, +z forward. The middle column looks
along +z, the left and the right edge along -z, the top edge is the zenith (-y), the bottom edge the
nadir (+y). Columns are longitude, rows are latitude, both linear in pixels. The centre of the
top-left pixel is (0.5, 0.5).
"""

import math

import numpy as np
from jaxtyping import Float, Float64

TURN = 2 * math.pi


def rays_from_pixels(
    pixels: Float[np.ndarray, "*n 2"], width_px: int, height_px: int
) -> Float64[np.ndarray, "*n 3"]:
    """Returns the directions that pixels of a panorama show.

    Args:
        pixels: Positions (x, y); x counts modulo the width.
        width_px: Width of the panorama: a full turn.
        height_px: Height of the panorama: zenith to nadir.

    Returns:
        Unit rays in the frame of the panorama.
    """
    longitude = (pixels[..., 0] / width_px - 0.5) * TURN
    latitude = (pixels[..., 1] / height_px - 0.5) * math.pi
    level = np.cos(latitude)
    return np.stack(
        [level * np.sin(longitude), np.sin(latitude), level * np.cos(longitude)], axis=-1
    )


def pixels_from_rays(
    rays: Float[np.ndarray, "*n 3"], width_px: int, height_px: int
) -> Float64[np.ndarray, "*n 2"]:
    """Returns where a panorama shows directions.

    Args:
        rays: Directions of any length but 0, in the frame of the panorama.
        width_px: Width of the panorama: a full turn.
        height_px: Height of the panorama: zenith to nadir.

    Returns:
        Positions (x, y); x from 0 to below the width, y from 0 to the height. At the poles, where
        every column shows the same, x is that of the middle.
    """
    x, y, z = (rays[..., axis].astype(np.float64) for axis in range(3))
    longitude = np.arctan2(x, z)
    latitude = np.arctan2(y, np.hypot(x, z))
    column = (longitude / TURN + 0.5) * width_px
    column = np.where(column >= width_px, column - width_px, column)
    return np.stack([column, (latitude / math.pi + 0.5) * height_px], axis=-1)


def pixel_rays(width_px: int, height_px: int) -> Float64[np.ndarray, "h w 3"]:
    """Returns the unit rays through all pixel centres, in the frame of the panorama."""
    x, y = np.meshgrid(np.arange(width_px) + 0.5, np.arange(height_px) + 0.5)
    return rays_from_pixels(np.stack([x, y], axis=-1), width_px, height_px)
