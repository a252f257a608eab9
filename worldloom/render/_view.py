"""What a camera sees of a surface."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from worldloom.cameras import Camera


@dataclass(frozen=True, eq=False)
class RenderedView:
    """Image, depth and normals of one camera."""

    camera: Camera
    image: UInt8[np.ndarray, "h w 3"]
    """sRGB; black where nothing is hit, unless a background was asked for."""
    depth: Float32[np.ndarray, "h w"]
    """Depth along +z at pixel centres, world unit; 0 where nothing is hit."""
    normal_in_world: Float32[np.ndarray, "h w 3"]
    """Unit surface normals that point towards the camera; 0 where nothing is hit."""

    @property
    def hit(self) -> Bool[np.ndarray, "h w"]:
        """True where the ray through the centre of the pixel meets the surface."""
        return self.depth > 0
