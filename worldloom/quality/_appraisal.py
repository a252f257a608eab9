"""Appraisal of a finished reconstruction: scene metrics, held-out views, and the contact sheet."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.bench import Bench
from worldloom.export import PreviewView, contact_sheet, pick_views
from worldloom.exposure import Balance, fit_exposure
from worldloom.metrics import (
    QualityReport,
    ViewScore,
    score_view,
    summed_consistency,
    view_consistency,
)
from worldloom.quality._basis import QualityBasis, quality_basis
from worldloom.quality._scoring import (
    JUDGED_VIEWS,
    EveryPixel,
    ViewRenderer,
    measured_quality,
    scene_renderer,
    textured_renderer,
)
from worldloom.reconstruction import Reconstruction
from worldloom.render import MeshRenderer, RenderedView, TexturedRenderer
from worldloom.response import Response, ViewExposure, exposed
from worldloom.scene import DepthMap, DepthRef, Frame, Splats
from worldloom.splat import SplatRenderer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Appraisal:
    """How good a scene is, and what it looks like."""

    metrics: dict[str, float | None]
    """By name; None where nothing could be measured.

    `completeness`, `geometric_consistency`: see `worldloom.metrics`, 0 to 1. `input_psnr_db`,
    `input_ssim`: the mesh rendered into input views against the images, medians, over covered
    pixels; where exposures were undone in the colours of the mesh, the rendering gets the exposure
    of the view first. `holdout_psnr_db`, `holdout_ssim`: the same for views kept out of everything,
    as rendered, since their exposure is unknown. `holdout_fitted_psnr_db`: with the gain of each
    channel that fits the image best, so without what exposure contributes; not where exposures
    were not estimated. `holdout_coverage`: the share of their pixels that the mesh covers.
    `pose_residual_px`: median over the views of the median distance of feature matches from their
    epipolar lines. `reprojection_residual_px`: median over the views of their distance from what
    others have put into the memory. The same names with `texture_` before them: the light mesh with
    its textures in place of the fine one with its colours, held-out views at their full size.
    Of a scene with splats `input_*` and `holdout_*` are those of the splats, over all pixels with
    data whether covered or not, at the size that they were trained at; those of its mesh have
    `mesh_` before them. `gaussians`, `train_steps`, `train_seconds`: how many, and what they took
    (in this run, where it was resumed).
    `color_spread_levels`: mean distance of a cell's colour in one
    view from its mean over the views, exposures undone, levels of 255; None where they were not
    estimated.
    """
    preview: UInt8[np.ndarray, "h w 3"]
    """Contact sheet, sRGB."""
    quality: QualityReport
    """Of the scene, its chunks and its seams, each number 0 to 1."""
    basis: QualityBasis
    """What `quality` was measured on."""


def appraise(
    bench: Bench,
    made: Reconstruction,
    held_out: Sequence[Frame],
    *,
    title: str,
) -> Appraisal:
    """Measures a reconstruction and draws its contact sheet.

    Args:
        bench: Store and caches.
        made: What to appraise.
        held_out: Views that nothing was made from.
        title: First line of the contact sheet.
    """
    renderer = MeshRenderer(made.mesh)
    textured = textured_renderer(made.unwrapped, made.textures)
    judged = [made.depth[i] for i in pick_views(len(made.depth), JUDGED_VIEWS)]
    consistency = summed_consistency(
        view_consistency(
            renderer,
            bench.depth_map(ref).trusted(made.min_confidence),
            bench.mask(ref.frame, ref.width_px, ref.height_px),
        )
        for ref in judged
    )
    exposures = {} if made.balance is None else {v.view_id: v for v in made.balance.exposures}
    inputs = _input_scores(bench, renderer, judged, exposures)
    metrics = {
        "completeness": consistency.completeness,
        "geometric_consistency": consistency.geometric_consistency,
        "input_psnr_db": _median(score.psnr_db for score in inputs),
        "input_ssim": _median(score.ssim for score in inputs),
        "pose_residual_px": _median(view.residual_px for view in made.views),
        "reprojection_residual_px": _median(view.reprojection_residual_px for view in made.views),
        "color_spread_levels": None if made.balance is None else made.balance.spread_levels,
    }
    if held_out:
        metrics |= _held_out_scores(bench, made, renderer, held_out)
    if made.splats is not None:
        metrics |= _splat_metrics(bench, made, made.splats, judged, held_out, metrics, exposures)
    if textured is not None:
        metrics |= _texture_metrics(bench, made, textured, judged, held_out, exposures)
    subtitle = (
        f"{len(made.frames)} views, {len(made.point_cloud):,} points, "
        f"{len(made.mesh.faces):,} faces"
    )
    columns = [
        _column(bench, made.depth[i], made.min_confidence) for i in pick_views(len(made.depth))
    ]
    preview = contact_sheet(columns, renderer, title, subtitle, made.depth_note)
    basis = quality_basis(made, held_out)
    quality = measured_quality(bench, basis, scene_renderer(renderer, textured, made.splats))
    return Appraisal(metrics, preview, quality, basis)


def _input_scores(
    bench: Bench,
    renderer: ViewRenderer,
    judged: Sequence[DepthRef],
    exposures: Mapping[int, ViewExposure],
) -> list[ViewScore]:
    return [
        pair.score(exposures.get(ref.frame.view_id))
        for ref in judged
        if (pair := _pair(bench, renderer, ref.frame, ref.width_px, ref.height_px))
    ]


def _held_out_scores(
    bench: Bench, made: Reconstruction, renderer: ViewRenderer, held_out: Sequence[Frame]
) -> dict[str, float | None]:
    longer_px = max(max(ref.width_px, ref.height_px) for ref in made.depth)
    pairs = [_pair(bench, renderer, frame, *frame.size_within(longer_px)) for frame in held_out]
    return _holdout_metrics([pair for pair in pairs if pair], made.balance)


def _splat_metrics(
    bench: Bench,
    made: Reconstruction,
    splats: Splats,
    judged: Sequence[DepthRef],
    held_out: Sequence[Frame],
    of_mesh: Mapping[str, float | None],
    exposures: Mapping[int, ViewExposure],
) -> dict[str, float | None]:
    """The same scores for the splats, and how they came about; those of the mesh get its name."""
    renderer = EveryPixel(SplatRenderer(splats))
    inputs = _input_scores(bench, renderer, judged, exposures)
    renamed = {
        f"mesh_{name}": value
        for name, value in of_mesh.items()
        if name.startswith(("input_", "holdout_"))
    }
    training = made.training
    return {
        **renamed,
        "input_psnr_db": _median(score.psnr_db for score in inputs),
        "input_ssim": _median(score.ssim for score in inputs),
        **(_held_out_scores(bench, made, renderer, held_out) if held_out else {}),
        "gaussians": float(len(splats)),
        "train_steps": None if training is None else float(training.steps),
        "train_seconds": None if training is None else training.seconds,
    }


def _texture_metrics(
    bench: Bench,
    made: Reconstruction,
    renderer: TexturedRenderer,
    judged: Sequence[DepthRef],
    held_out: Sequence[Frame],
    exposures: Mapping[int, ViewExposure],
) -> dict[str, float | None]:
    """The same scores for the textured mesh, at the full size of the views kept out."""
    scores = _input_scores(bench, renderer, judged, exposures)
    metrics = {"texture_input_psnr_db": _median(score.psnr_db for score in scores)}
    if held_out:
        lenses = [frame.camera.intrinsics for frame in held_out]
        pairs = [
            _pair(bench, renderer, frame, lens.width_px, lens.height_px)
            for frame, lens in zip(held_out, lenses, strict=True)
        ]
        kept_out = _holdout_metrics([pair for pair in pairs if pair], made.balance)
        metrics |= {f"texture_{name}": value for name, value in kept_out.items()}
    return metrics


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


def _holdout_metrics(pairs: Sequence[_Pair], balance: Balance | None) -> dict[str, float | None]:
    scores = [pair.score(None) for pair in pairs]
    metrics = {
        "holdout_psnr_db": _median(score.psnr_db for score in scores),
        "holdout_ssim": _median(score.ssim for score in scores),
        "holdout_coverage": _median(score.coverage for score in scores),
    }
    if balance is not None:
        fitted = [pair.fitted(balance.response) for pair in pairs]
        metrics["holdout_fitted_psnr_db"] = _median(score.psnr_db for score in fitted)
    return metrics


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _column(bench: Bench, ref: DepthRef, min_confidence: float) -> PreviewView:
    depth_map: DepthMap = bench.depth_map(ref).trusted(min_confidence)
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    return PreviewView(ref.frame.name, image, depth_map)
