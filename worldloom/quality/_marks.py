"""The marks of single views: what each face of a scene shows of it, against what the camera saw."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.bench import Bench
from worldloom.exposure import fit_exposure
from worldloom.metrics import (
    ConsistencyCounts,
    JudgedView,
    ViewScore,
    score_view,
    view_consistency,
)
from worldloom.quality._basis import QualityBasis
from worldloom.quality._scoring import (
    EveryPixel,
    OnceRenderer,
    SceneRenderer,
    ViewRenderer,
    judge_held_out,
    judge_input,
)
from worldloom.render import MeshRenderer, RenderedView, TexturedRenderer
from worldloom.response import Response, ViewExposure, exposed
from worldloom.scene import DepthRef, Frame
from worldloom.splat import SplatRenderer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Faces:
    """The renderers of a scene, one for each of its faces."""

    mesh: MeshRenderer
    textured: TexturedRenderer | None
    splats: SplatRenderer | None

    def of_view(self) -> "_OfView":
        """Those for one view, which render it once."""
        return _OfView(
            OnceRenderer(self.mesh),
            None if self.textured is None else OnceRenderer(self.textured),
            None if self.splats is None else OnceRenderer(self.splats),
        )


@dataclass(frozen=True, eq=False)
class _OfView:
    """The renderers for one view."""

    mesh: OnceRenderer
    textured: OnceRenderer | None
    splats: OnceRenderer | None

    @property
    def best(self) -> ViewRenderer:
        """The surface in the best colours that the scene has."""
        return SceneRenderer(self.mesh, self.textured if self.splats is None else self.splats)


@dataclass(frozen=True)
class InputMarks:
    """Scores of one view that the scene was made from; None where it cannot be scored."""

    consistency: ConsistencyCounts
    mesh: ViewScore | None
    splats: ViewScore | None
    textured: ViewScore | None


@dataclass(frozen=True)
class HeldOutScore:
    """Scores of one view that was kept out, as rendered and at the gain that fits best."""

    plain: ViewScore
    fitted: ViewScore | None
    """None where exposures were not estimated."""


@dataclass(frozen=True)
class HeldOutMarks:
    """Scores of one view that was kept out; None where the scene has no such face."""

    mesh: HeldOutScore
    splats: HeldOutScore | None
    textured: HeldOutScore | None


def mark_input(
    bench: Bench, basis: QualityBasis, faces: Faces, ref: DepthRef
) -> tuple[InputMarks, JudgedView]:
    """Renders a view once with each face of the scene, and scores all of it."""
    shown = faces.of_view()
    mask = bench.mask(ref.frame, ref.width_px, ref.height_px)
    depth_map = bench.depth_map(ref).trusted(basis.min_confidence)
    exposure = basis.exposure_of(ref.frame)

    def score(renderer: ViewRenderer | None) -> ViewScore | None:
        if renderer is None:
            return None
        pair = _pair(bench, renderer, ref.frame, ref.width_px, ref.height_px)
        return None if pair is None else pair.score(exposure)

    marks = InputMarks(
        view_consistency(shown.mesh.render(ref.camera).depth, depth_map, mask),
        score(shown.mesh),
        score(None if shown.splats is None else EveryPixel(shown.splats)),
        score(shown.textured),
    )
    return marks, judge_input(bench, basis, shown.best, ref)


def mark_held_out(
    bench: Bench, basis: QualityBasis, faces: Faces, frame: Frame
) -> tuple[HeldOutMarks, JudgedView] | None:
    """The same for a view that was kept out; None where it holds no data."""
    shown = faces.of_view()
    judged = judge_held_out(bench, basis, shown.best, frame)
    if judged is None:
        return None
    lens = frame.camera.intrinsics

    def score(renderer: ViewRenderer, width_px: int, height_px: int) -> HeldOutScore | None:
        pair = _pair(bench, renderer, frame, width_px, height_px)
        if pair is None:
            return None
        fitted = None if basis.response is None else pair.fitted(basis.response)
        return HeldOutScore(pair.score(None), fitted)

    size = frame.size_within(basis.longer_px)
    mesh = score(shown.mesh, *size)
    assert mesh is not None  # a view without data is not judged
    marks = HeldOutMarks(
        mesh,
        None if shown.splats is None else score(EveryPixel(shown.splats), *size),
        None if shown.textured is None else score(shown.textured, lens.width_px, lens.height_px),
    )
    return marks, judged


@dataclass(frozen=True, eq=False)
class _Pair:
    """A view as the mesh shows it, and as the camera saw it."""

    frame: Frame
    rendered: RenderedView
    image: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]

    def score(self, exposure: ViewExposure | None) -> ViewScore:
        """Compares the two; the rendering gets the exposure of the view first, if there is one."""
        shown = self.rendered
        if exposure is not None:
            shown = replace(shown, image=exposed(shown.image, exposure))
        return score_view(shown, self.image, self.mask)

    def fitted(self, response: Response) -> ViewScore:
        """Compares the two with the gains that fit best."""
        covered = self.rendered.hit & self.mask
        view = self.frame.view_id
        return self.score(fit_exposure(view, self.rendered.image, self.image, covered, response))


def _pair(
    bench: Bench, renderer: ViewRenderer, frame: Frame, width_px: int, height_px: int
) -> _Pair | None:
    mask = bench.mask(frame, width_px, height_px)
    if not mask.any():
        _logger.warning("view %s holds no data and is not scored", frame.name)
        return None
    rendered = renderer.render(frame.camera.resized(width_px, height_px))
    return _Pair(frame, rendered, bench.image(frame, width_px, height_px), mask)
