"""Splats as they are filmed; the only place here that knows their rasteriser."""

import importlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from worldloom.cameras import Camera
from worldloom.render import RenderedView
from worldloom.scene import Splats


@runtime_checkable
class SplatRasteriser(Protocol):
    """What the rasteriser of splats offers."""

    def render(self, camera: Camera) -> RenderedView:
        """Returns what a camera sees, black behind all."""
        ...


class SplatViews:
    """Shows Gaussians; black where nothing is.

    Args:
        splats: At least one.
    """

    name = "splats"

    def __init__(self, splats: Splats) -> None:
        # Its kernels are compiled when it is imported, which only films of splats have to wait for.
        module: Any = importlib.import_module("worldloom.splat")
        # One thread a frame: frames are what runs side by side.
        self._rasteriser: SplatRasteriser = module.SplatRenderer(splats, threads=1)

    def view(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        """Returns what an undistorted camera sees, sRGB."""
        return self._rasteriser.render(camera).image
