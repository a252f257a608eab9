"""Splats as they are filmed; the only place here that knows their rasteriser."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.cameras import Camera
from worldloom.scene import Splats


@runtime_checkable
class SplatRender(Protocol):
    """What the rasteriser returns."""

    @property
    def rgb(self) -> Float32[np.ndarray, "h w 3"]:
        """sRGB, 0 to 1, premultiplied by `alpha`."""
        ...

    @property
    def alpha(self) -> Float32[np.ndarray, "h w"]:
        """Share of the light that Gaussians stop, 0 to 1."""
        ...


class SplatViews:
    """Shows Gaussians.

    Args:
        splats: At least one.
        background: sRGB where nothing is.
    """

    name = "splats"

    def __init__(self, splats: Splats, background: tuple[int, int, int]) -> None:
        self._splats = splats
        self._background = np.array(background, np.float32) / 255

    def view(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        """Returns what an undistorted camera sees, sRGB."""
        seen = _rendered(self._splats, camera)
        through = (1 - seen.alpha)[..., None] * self._background
        return np.rint(np.clip(seen.rgb + through, 0, 1) * 255).astype(np.uint8)


def _rendered(splats: Splats, camera: Camera) -> SplatRender:
    # Its kernels are compiled when it is imported, which only films of splats have to wait for.
    import importlib

    splat: Any = importlib.import_module("worldloom.splat")
    return splat.render_splats(splats, camera)
