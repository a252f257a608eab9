"""What is filmed: a mesh by ray casting, or splats by their rasteriser."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from worldloom.cameras import Camera
from worldloom.errors import InputError
from worldloom.film._config import FilmSource
from worldloom.film._splats import SplatViews
from worldloom.render import MeshRenderer, TexturedRenderer
from worldloom.scene import ReconstructedScene

PAPER = (226, 229, 233)
"""Colour of what is not there, of a mesh, sRGB."""


@runtime_checkable
class ViewSource(Protocol):
    """Shows a scene from any camera."""

    @property
    def name(self) -> str:
        """What it shows, in a few words."""
        ...

    def view(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        """Returns what an undistorted camera sees, sRGB."""
        ...


class MeshViews:
    """Shows the mesh of a scene: textured where it has textures, else by its vertex colours.

    Args:
        scene: A scene with a mesh.
        samples: Rays a pixel each way.

    Raises:
        ConfigError: open3d cannot be loaded.
        InputError: the mesh has no faces.
    """

    def __init__(self, scene: ReconstructedScene, samples: int) -> None:
        if not len(scene.mesh.faces):
            raise InputError("the mesh of the scene has no faces; there is nothing to film")
        albedo = scene.textures.get("albedo")
        self._samples = samples
        if scene.unwrapped is not None and albedo is not None:
            self._renderer = TexturedRenderer(scene.unwrapped, albedo, PAPER)
            self.name = "textured mesh"
        else:
            self._renderer = MeshRenderer(scene.mesh, PAPER)
            self.name = "mesh"

    def view(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        """Returns what an undistorted camera sees, sRGB."""
        return self._renderer.render(camera, self._samples).image


def view_source(scene: ReconstructedScene, source: FilmSource, samples: int) -> ViewSource:
    """Returns what shows a scene.

    Args:
        scene: The scene.
        source: `auto` takes splats where the scene has some.
        samples: Rays a pixel each way, for the mesh.

    Raises:
        InputError: the scene does not have what is asked for.
        ConfigError: open3d cannot be loaded.
    """
    if source == "mesh" or (source == "auto" and scene.splats is None):
        return MeshViews(scene, samples)
    if scene.splats is None or not len(scene.splats):
        raise InputError(
            "the scene holds no splats: film its mesh (--source mesh), or reconstruct it with the "
            "method splat or hybrid"
        )
    return SplatViews(scene.splats)
