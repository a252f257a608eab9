"""Splats as cameras see them, for previews and scores."""

import numpy as np

from worldloom.cameras import Camera
from worldloom.render import RenderedView
from worldloom.scene import Splats
from worldloom.splat._crew import Crew
from worldloom.splat._geometry import render_geometry
from worldloom.splat._rasterizer import scene_of


class SplatRenderer:
    """Renders splats on the CPU.

    Args:
        splats: What is rendered.
        threads: 0 for all; the result does not depend on it.
    """

    def __init__(self, splats: Splats, threads: int = 0) -> None:
        self._scene, self._degree = scene_of(splats), splats.sh_degree
        self._crew = Crew(threads)

    def render(self, camera: Camera) -> RenderedView:
        """Returns what a camera sees; black behind all.

        Args:
            camera: At the size of the result.
        """
        seen = render_geometry(self._scene, camera, self._degree, self._crew)
        image = np.rint(np.clip(seen.image, 0, 1) * 255).astype(np.uint8)
        return RenderedView(camera, image, seen.depth, seen.normal_in_world)
