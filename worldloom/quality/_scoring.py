"""The quality of a scene, from what its views show and what a renderer makes of it."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.export import pick_views
from worldloom.exposure import fit_exposure
from worldloom.metrics import (
    JudgedView,
    QualityReport,
    pixel_quality,
    quality_report,
    regions_from_chunks,
)
from worldloom.quality._basis import QualityBasis
from worldloom.quality._threads import in_threads
from worldloom.render import RenderedView, TexturedRenderer
from worldloom.response import ViewExposure, exposed
from worldloom.scene import DepthRef, Frame, Splats, Texture, TextureKind, UnwrappedMesh
from worldloom.splat import SplatRenderer

_logger = logging.getLogger(__name__)
JUDGED_VIEWS = 12
"""Views, evenly spread, on which quality is measured, so that long videos do not take longer."""


@runtime_checkable
class ViewRenderer(Protocol):
    """Renders a scene, with its vertex colours or its textures: what it shows is judged."""

    def render(self, camera: Camera) -> RenderedView:
        """Returns what a camera sees."""
        ...


class OnceRenderer:
    """Renders one view once for each size, however often it is asked.

    Args:
        renderer: Renders the scene.
    """

    def __init__(self, renderer: ViewRenderer) -> None:
        self._renderer = renderer
        self._made: dict[tuple[int, int], RenderedView] = {}

    def render(self, camera: Camera) -> RenderedView:
        """Returns what the camera of the view sees, at its size."""
        size = camera.intrinsics.width_px, camera.intrinsics.height_px
        if size not in self._made:
            self._made[size] = self._renderer.render(camera)
        return self._made[size]


class SceneRenderer:
    """Renders the surface of a scene in the colours of its textures or splats, where it has some.

    Geometry is that of the full mesh: the one below the textures is lighter.

    Args:
        surface: Renders the full surface.
        textured: Renders textures or splats; without it the colours are those of the vertices.
    """

    def __init__(self, surface: ViewRenderer, textured: ViewRenderer | None) -> None:
        self._surface, self._textured = surface, textured

    def render(self, camera: Camera) -> RenderedView:
        """Returns what a camera sees."""
        surface = self._surface.render(camera)
        if self._textured is None:
            return surface
        shown = self._textured.render(camera)
        return replace(surface, image=np.where(shown.hit[..., None], shown.image, surface.image))


def scene_renderer(
    surface: ViewRenderer, textured: TexturedRenderer | None, splats: Splats | None
) -> SceneRenderer:
    """Returns what renders a scene in the best colours that it has: splats, textures, vertices."""
    return SceneRenderer(surface, textured if splats is None else SplatRenderer(splats))


class EveryPixel:
    """Renders a scene of which every pixel counts: what nothing covers is black, and wrong.

    Args:
        renderer: Renders the scene.
    """

    def __init__(self, renderer: ViewRenderer) -> None:
        self._renderer = renderer

    def render(self, camera: Camera) -> RenderedView:
        """Returns what a camera sees, with a depth that hits everywhere and is none."""
        shown = self._renderer.render(camera)
        return replace(shown, depth=np.ones_like(shown.depth))


def textured_renderer(
    unwrapped: UnwrappedMesh | None, textures: Mapping[TextureKind, Texture]
) -> TexturedRenderer | None:
    """Returns what renders the base colour of a scene, or None where it has none."""
    if unwrapped is None or "albedo" not in textures:
        return None
    return TexturedRenderer(unwrapped, textures["albedo"], threads=0)


def measured_quality(
    bench: Bench, basis: QualityBasis, renderer: ViewRenderer, views: int = JUDGED_VIEWS
) -> QualityReport:
    """Measures the quality of a scene without a truth; see `docs/metrics.md`.

    Args:
        bench: Store and caches.
        basis: The evidence.
        renderer: Renders the scene.
        views: At most this many views are judged, evenly spread; views that were kept out are
            all judged.

    Raises:
        ConfigError: `views` is below 1.
        StoreError: an image or a depth map is gone.
    """
    if views < 1:
        raise ConfigError(f"views is {views}; judge at least 1", field="views")
    refs = [basis.depth[i] for i in pick_views(len(basis.depth), views)]
    seen = in_threads(partial(judge_input, bench, basis, renderer), refs)
    kept_out = in_threads(partial(judge_held_out, bench, basis, renderer), basis.held_out)
    return quality_report(
        seen,
        (view for view in kept_out if view is not None),
        regions_from_chunks(basis.chunks, basis.voxel_m),
    )


def judge_input(
    bench: Bench, basis: QualityBasis, renderer: ViewRenderer, ref: DepthRef
) -> JudgedView:
    """Returns what a view that the scene was made from says of it."""
    mask = bench.mask(ref.frame, ref.width_px, ref.height_px)
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    rendered = _in_light_of(renderer.render(ref.camera), basis.exposure_of(ref.frame))
    depth_map = bench.depth_map(ref).trusted(basis.min_confidence)
    quality = pixel_quality(rendered, depth_map, image, mask)
    return JudgedView(ref.frame.name, quality, rendered, depth_map)


def judge_held_out(
    bench: Bench, basis: QualityBasis, renderer: ViewRenderer, frame: Frame
) -> JudgedView | None:
    """Returns what a view that was kept out says of the scene; None where it holds no data."""
    size = frame.size_within(basis.longer_px)
    mask = bench.mask(frame, *size)
    if not mask.any():
        _logger.warning("view %s holds no data and is not scored", frame.name)
        return None
    image = bench.image(frame, *size)
    rendered = renderer.render(frame.camera.resized(*size))
    if basis.response is not None:
        covered = rendered.hit & mask
        fitted = fit_exposure(frame.view_id, rendered.image, image, covered, basis.response)
        rendered = _in_light_of(rendered, fitted)
    return JudgedView(frame.name, pixel_quality(rendered, None, image, mask), rendered, None)


def _in_light_of(rendered: RenderedView, exposure: ViewExposure | None) -> RenderedView:
    if exposure is None:
        return rendered
    return replace(rendered, image=exposed(rendered.image, exposure))
