"""The method, top-down: from frames to a point cloud and a mesh."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from worldloom.bench import Bench
from worldloom.config import CLOUD_SPACING_PX, VOXEL_PX, ReconstructionConfig
from worldloom.depth import (
    CheckResult,
)
from worldloom.errors import PlanError, ReconstructionError
from worldloom.exposure import BALANCE, SAMPLE, Balance, balance_work, sample_work
from worldloom.implicit import fit_surface
from worldloom.job import Job
from worldloom.learned import (
    AlignResult,
    read_model_card,
)
from worldloom.memory import (
    Contribution,
    load_cloud,
)
from worldloom.plan import (
    EVIDENCE,
    FEATURES,
    EvidenceWork,
    FeatureWork,
    ViewPlan,
    depth_ranges,
    match_candidates,
    plan_views,
)
from worldloom.reconstruction import Reconstruction, ViewReport
from worldloom.registration import PoseCorrection, measure_residuals, refine_poses
from worldloom.response import ViewExposure
from worldloom.rounds import Planned, confirmed_noise, contribute, footprint, fuse, refine, sweep
from worldloom.scene import (
    Chunk,
    Frame,
)
from worldloom.stage import ProgressCallback, Runner
from worldloom.surface import FUSE_CHUNK, MERGE, MergedMesh, load_mesh, merge_work, plan_chunks
from worldloom.texture import (
    TextureInputs,
    TextureSet,
    load_maps,
    load_unwrapped,
    texture_inputs,
    texture_surface,
)

_logger = logging.getLogger(__name__)


def reconstruct(
    frames: Sequence[Frame],
    config: ReconstructionConfig,
    runner: Runner,
    bench: Bench,
    on_progress: ProgressCallback,
) -> Reconstruction:
    """Makes a point cloud and a mesh from frames with known cameras.

    Args:
        frames: The views; view ids are their positions.
        config: Settings.
        runner: Executes the stages; the result does not depend on it.
        bench: Store and caches of this process, on the same store as the runner's.
        on_progress: Called after each work item.

    Raises:
        ConfigError, InputError: the depth model that the settings name cannot be used.
        PlanError: no two views can be triangulated.
        ReconstructionError: a stage failed for every item.
    """
    job = Job(runner, bench, config, on_progress)
    model = None if config.learned.depth_model is None else read_model_card(config.learned)
    frames, corrections = _registered(job, frames)
    planned = _plan(job, frames)
    estimates, checked = sweep(job, frames, planned)
    plans = planned.plans
    learned: dict[int, AlignResult] = {}
    if config.depth_estimation:
        plans, checked, learned = refine(job, frames, planned, estimates, checked, model)
    depth = [None if check is None else check.depth for check in checked]
    residuals = measure_residuals(job, frames, planned.evidence, depth)
    voxel_m = config.voxel_m or VOXEL_PX * footprint(checked)
    cell_m = CLOUD_SPACING_PX[config.point_cloud_density] * footprint(checked)
    truncation_m = config.surface.truncation_m(voxel_m, confirmed_noise(checked))
    contributions = contribute(job, checked, cell_m, voxel_m, truncation_m / 2)
    balance = _balance(job, contributions) if config.exposure.estimate else None
    exposures = {view.view_id: view for view in balance.exposures} if balance else {}
    shards = fuse(job, contributions, exposures)
    surface, chunks = _surface(job, checked, contributions, exposures, voxel_m, truncation_m)
    inputs = texture_inputs(surface, frames, depth, exposures, voxel_m, planned.unusable)
    textured = _texture(job, inputs) if config.texture.textures else None
    return Reconstruction(
        tuple(frames),
        tuple(result.depth for result in checked if result is not None),
        config.surface.min_confidence,
        load_cloud(bench, shards, config.memory.min_views),
        load_mesh(bench, surface),
        chunks,
        voxel_m,
        truncation_m,
        cell_m,
        balance,
        _view_reports(frames, plans, planned, checked, residuals, corrections, learned, exposures),
        tuple(job.stages),
        tuple(job.failures),
        () if model is None else (model,),
        texture_inputs=inputs,
        texture_set=textured,
        unwrapped=None if textured is None else load_unwrapped(bench, textured),
        textures={} if textured is None else load_maps(bench, textured),
    )


def _registered(
    job: Job, frames: Sequence[Frame]
) -> tuple[Sequence[Frame], Sequence[PoseCorrection | None]]:
    """Frames with the poses to use, and what was done to each."""
    if not job.config.refine_poses or len(frames) < 2:
        return frames, [None] * len(frames)
    sizes = [frame.size_within(job.config.poses.resolution_px) for frame in frames]
    registration = refine_poses(job, frames, sizes)
    return registration.frames, registration.corrections


def _plan(job: Job, frames: Sequence[Frame]) -> Planned:
    """Depth range and partners of every view, from matched features."""
    if len(frames) < 2:
        raise PlanError(
            f"{len(frames)} view is not enough: depth comes from at least two views of the same "
            "things; give more frames or a smaller --every"
        )
    config = job.config.plan
    described = job.run(
        FEATURES,
        [
            FeatureWork(frame, *frame.size_within(job.config.resolution), config.max_features)
            for frame in frames
        ],
    )
    cameras = [frame.camera for frame in frames]
    candidates = match_candidates(cameras, config.matched_views)
    works = [
        EvidenceWork(
            own,
            tuple(other for j in candidates[view] if (other := described[j]) is not None),
            config.max_epipolar_px,
        )
        for view, own in enumerate(described)
        if own is not None
    ]
    found = {result.view_id: result for result in job.run(EVIDENCE, works) if result is not None}
    points = [
        job.bench.arrays(found[view].artifact, "points.npz")["points_in_world"]
        if view in found
        else np.zeros((0, 3))
        for view in range(len(frames))
    ]
    ranges = depth_ranges(cameras, points, config)
    unusable = {view for view, own in enumerate(described) if own is None}
    plans = plan_views(cameras, ranges, points, config, unusable)
    return Planned(plans, points, [found.get(view) for view in range(len(frames))], unusable)


def _balance(job: Job, contributions: Sequence[Contribution]) -> Balance | None:
    """Finds exposure and white balance of the views from the cells that they share."""
    config = job.config.exposure
    works = [sample_work(contribution, config.samples) for contribution in contributions]
    sampled = [view for view in job.run(SAMPLE, works) if view is not None]
    (balance,) = job.run(BALANCE, [balance_work(sampled, config)])
    return balance


def _surface(
    job: Job,
    checked: Sequence[CheckResult | None],
    contributions: Sequence[Contribution],
    exposures: Mapping[int, ViewExposure],
    voxel_m: float,
    truncation_m: float,
) -> tuple[MergedMesh, tuple[Chunk, ...]]:
    """Fuses the depth chunk by chunk on one lattice, and merges the chunks."""
    depth = {r.depth.frame.view_id: r.depth for r in checked if r is not None}
    works = plan_chunks(
        *(job.bench, contributions, depth, voxel_m, truncation_m),
        *(job.config.surface, exposures),
    )
    if job.config.method == "neural":
        return fit_surface(job, works)
    chunks = [chunk for chunk in job.run(FUSE_CHUNK, works) if chunk is not None]
    (merged,) = job.run(MERGE, [merge_work(chunks, voxel_m, job.config.surface)])
    assert merged is not None  # a stage whose only item fails has raised
    return merged, tuple(work.chunk for work in works)


def _texture(job: Job, inputs: TextureInputs) -> TextureSet | None:
    """Textures of the surface; a scene without them is still one."""
    try:
        return texture_surface(job.run, inputs, job.config.texture)
    except ReconstructionError as error:
        # What failed is in the record of the job already.
        _logger.warning("the scene has no textures: %s", error)
        return None


def _view_reports(
    frames: Sequence[Frame],
    plans: Sequence[ViewPlan],
    planned: Planned,
    checked: Sequence[CheckResult | None],
    residuals: Sequence[float | None],
    corrections: Sequence[PoseCorrection | None],
    learned: dict[int, AlignResult],
    exposures: Mapping[int, ViewExposure],
) -> tuple[ViewReport, ...]:
    return tuple(
        ViewReport(
            frame.view_id,
            frame.name,
            plan.depth_range.near,
            plan.depth_range.far,
            plan.depth_range.points,
            plan.depth_range.source,
            None if evidence is None else evidence.residual_px,
            residual,
            plan.partners,
            plan.angles_deg,
            None if check is None else check.kept_share,
            learned[frame.view_id].alignment if frame.view_id in learned else None,
            exposures[frame.view_id].gain_rgb if frame.view_id in exposures else None,
            correction,
        )
        for frame, plan, evidence, residual, check, correction in zip(
            frames, plans, planned.evidence, residuals, checked, corrections, strict=True
        )
    )


def split_holdout(
    frames: Sequence[Frame], every: int
) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    """Splits frames into those used, renumbered from 0, and those kept out.

    Args:
        frames: All views.
        every: Every n-th view is kept out, from the n-th on; 0 keeps none out.
    """
    out = tuple(f for f in frames if every and f.view_id % every == every - 1)
    used = [f for f in frames if not (every and f.view_id % every == every - 1)]
    return tuple(replace(f, view_id=i) for i, f in enumerate(used)), out
