"""Appraisal of a finished reconstruction: scene metrics, held-out views, and the contact sheet."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import UInt8

from worldloom.bench import Bench
from worldloom.export import PreviewView, contact_sheet, pick_views
from worldloom.metrics import (
    JudgedView,
    QualityReport,
    ViewScore,
    quality_report,
    regions_from_chunks,
    summed_consistency,
)
from worldloom.quality._basis import QualityBasis, quality_basis
from worldloom.quality._marks import (
    Faces,
    HeldOutMarks,
    HeldOutScore,
    InputMarks,
    mark_held_out,
    mark_input,
)
from worldloom.quality._scoring import JUDGED_VIEWS, textured_renderer
from worldloom.quality._threads import in_threads
from worldloom.reconstruction import Reconstruction
from worldloom.render import MeshRenderer
from worldloom.scene import DepthMap, DepthRef, Frame
from worldloom.splat import SplatRenderer


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
    basis = quality_basis(made, held_out)
    mesh = MeshRenderer(made.mesh, threads=0)
    faces = Faces(
        mesh,
        textured_renderer(made.unwrapped, made.textures),
        None if made.splats is None else SplatRenderer(made.splats),
    )
    inputs: list[InputMarks] = []
    kept_out: list[HeldOutMarks] = []

    def seen() -> Iterator[JudgedView]:
        judged = [made.depth[i] for i in pick_views(len(made.depth), JUDGED_VIEWS)]
        for marks, view in in_threads(partial(mark_input, bench, basis, faces), judged):
            inputs.append(marks)
            yield view

    def unseen() -> Iterator[JudgedView]:
        for found in in_threads(partial(mark_held_out, bench, basis, faces), held_out):
            if found is not None:
                kept_out.append(found[0])
                yield found[1]

    def drawn() -> np.ndarray:
        columns = [
            _column(bench, made.depth[i], made.min_confidence) for i in pick_views(len(made.depth))
        ]
        subtitle = (
            f"{len(made.frames)} views, {len(made.point_cloud):,} points, "
            f"{len(made.mesh.faces):,} faces"
        )
        return contact_sheet(columns, mesh, title, subtitle, made.depth_note)

    regions = regions_from_chunks(basis.chunks, basis.voxel_m)
    with ThreadPoolExecutor(1, thread_name_prefix="preview") as aside:
        drawing = aside.submit(drawn)
        quality = quality_report(seen(), unseen(), regions)
        preview = drawing.result()
    return Appraisal(_metrics(made, inputs, kept_out), preview, quality, basis)


def _metrics(
    made: Reconstruction, inputs: Sequence[InputMarks], kept_out: Sequence[HeldOutMarks]
) -> dict[str, float | None]:
    consistency = summed_consistency(marks.consistency for marks in inputs)
    metrics = {
        "completeness": consistency.completeness,
        "geometric_consistency": consistency.geometric_consistency,
        "pose_residual_px": _median(view.residual_px for view in made.views),
        "reprojection_residual_px": _median(view.reprojection_residual_px for view in made.views),
        "color_spread_levels": None if made.balance is None else made.balance.spread_levels,
    }
    of_mesh = _input_metrics(marks.mesh for marks in inputs)
    of_mesh |= _holdout_metrics([marks.mesh for marks in kept_out])
    if made.splats is None:
        metrics |= of_mesh
    else:
        metrics |= {f"mesh_{name}": value for name, value in of_mesh.items()}
        metrics |= _input_metrics(marks.splats for marks in inputs)
        metrics |= _holdout_metrics([marks.splats for marks in kept_out])
        training = made.training
        metrics["gaussians"] = float(len(made.splats))
        metrics["train_steps"] = None if training is None else float(training.steps)
        metrics["train_seconds"] = None if training is None else training.seconds
    if made.unwrapped is not None and made.textures:
        psnr_db = _median(marks.textured.psnr_db for marks in inputs if marks.textured)
        of_textures = _holdout_metrics([marks.textured for marks in kept_out])
        metrics["texture_input_psnr_db"] = psnr_db
        metrics |= {f"texture_{name}": value for name, value in of_textures.items()}
    return metrics


def _input_metrics(scores: Iterable[ViewScore | None]) -> dict[str, float | None]:
    known = [score for score in scores if score is not None]
    return {
        "input_psnr_db": _median(score.psnr_db for score in known),
        "input_ssim": _median(score.ssim for score in known),
    }


def _holdout_metrics(scores: Iterable[HeldOutScore | None]) -> dict[str, float | None]:
    """Medians over the views that were kept out; nothing where none was."""
    known = [score for score in scores if score is not None]
    if not known:
        return {}
    metrics = {
        "holdout_psnr_db": _median(score.plain.psnr_db for score in known),
        "holdout_ssim": _median(score.plain.ssim for score in known),
        "holdout_coverage": _median(score.plain.coverage for score in known),
    }
    fitted = [score.fitted for score in known if score.fitted is not None]
    if fitted:
        metrics["holdout_fitted_psnr_db"] = _median(score.psnr_db for score in fitted)
    return metrics


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _column(bench: Bench, ref: DepthRef, min_confidence: float) -> PreviewView:
    depth_map: DepthMap = bench.depth_map(ref).trusted(min_confidence)
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    return PreviewView(ref.frame.name, image, depth_map)
