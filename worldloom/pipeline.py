"""The method, top-down: from frames to a point cloud and a mesh."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from worldloom.bench import Bench
from worldloom.config import CLOUD_SPACING_PX, VOXEL_PX, ReconstructionConfig
from worldloom.depth import (
    CHECK,
    ESTIMATE,
    REFINE,
    RETRIEVE,
    CheckResult,
    CheckWork,
    EstimateResult,
    EstimateWork,
    RefineWork,
    RetrieveResult,
    RetrieveWork,
)
from worldloom.errors import PlanError, ReconstructionError
from worldloom.exposure import BALANCE, SAMPLE, Balance, balance_work, sample_work
from worldloom.job import Job
from worldloom.learned import (
    ALIGN,
    PREDICT,
    Alignment,
    AlignResult,
    AlignWork,
    ModelCard,
    PredictWork,
    read_model_card,
)
from worldloom.memory import (
    CONTRIBUTE,
    FUSE_SHARD,
    Contribution,
    FusedShard,
    contribute_work,
    load_cloud,
    plan_shards,
    shards_in_view,
)
from worldloom.plan import (
    EVIDENCE,
    FEATURES,
    EvidenceResult,
    EvidenceWork,
    FeatureWork,
    ViewPlan,
    depth_ranges,
    match_candidates,
    plan_views,
    replan_view,
)
from worldloom.registration import PoseCorrection, measure_residuals, refine_poses
from worldloom.response import ViewExposure
from worldloom.scene import (
    Chunk,
    DepthRef,
    Frame,
    Mesh,
    PointCloud,
    Texture,
    TextureKind,
    UnwrappedMesh,
)
from worldloom.stage import Failure, ProgressCallback, Runner, StageReport
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

PRIOR_SPACING_PX = 2.0
"""Cells of the memory between the rounds, in footprints of a pixel of round 1: a prior, not a
product, so it may be coarse."""


@dataclass(frozen=True)
class ViewReport:
    """What is known of one view."""

    view_id: int
    name: str
    near: float
    """Depth range searched, world unit."""
    far: float
    range_points: int
    """Points that the depth range rests on."""
    range_source: str
    """Whose points: own, neighbours or scene."""
    residual_px: float | None
    """Median distance of feature matches from their epipolar lines; None without matches."""
    reprojection_residual_px: float | None
    """Median distance between features and the projections of their places, as other views have
    them in the memory, pixels of the image; None without enough of them."""
    partners: tuple[int, ...]
    angles_deg: tuple[float, ...]
    kept_share: float | None
    """Share of pixels with a confirmed depth; None where the view failed."""
    learned: Alignment | None
    """How the prediction of the depth model was aligned, or why it is not used; None without."""
    gain_rgb: tuple[float, float, float] | None
    """Exposure over that of the other views; None where it was not estimated."""
    correction: PoseCorrection | None
    """What refinement made of the given pose; None without refinement."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What the pipeline made."""

    frames: tuple[Frame, ...]
    depth: tuple[DepthRef, ...]
    """Depth maps, by view id; views that failed are missing."""
    min_confidence: float
    """Confidence from which on depth went into the surface, 0 to 1."""
    point_cloud: PointCloud
    mesh: Mesh
    chunks: tuple[Chunk, ...]
    """The plan that the surface was fused by."""
    voxel_m: float
    truncation_m: float
    """Distance from the surface at which the signed distance saturated, world unit."""
    cell_m: float
    balance: Balance | None
    """Exposures that were undone in all colours; None where they were taken as they are."""
    views: tuple[ViewReport, ...]
    stages: tuple[StageReport, ...]
    failures: tuple[Failure, ...]
    models: tuple[ModelCard, ...]
    """Trained models that took part, with their licences."""
    depth_note: str = "confirmed by other views"
    """Where the depth comes from, in a few words."""
    evidence: dict[str, object] = field(default_factory=dict[str, object])
    """What else decisions rest on, by name; plain JSON values or dataclasses."""
    texture_inputs: TextureInputs | None = None
    """What textures are made from, so that they can be made later as well; None where there are no
    views of a surface."""
    texture_set: TextureSet | None = None
    """References to what was made of them; None where none were made."""
    unwrapped: UnwrappedMesh | None = None
    """What the textures lie on; None where none were made."""
    textures: dict[TextureKind, Texture] = field(default_factory=dict[TextureKind, Texture])
    """By kind; empty where none were made."""


@dataclass(frozen=True, eq=False)
class _Planned:
    """Views with all that planning found."""

    plans: list[ViewPlan]
    points: list[np.ndarray]
    """Sparse points of each view, world."""
    evidence: list[EvidenceResult | None]
    unusable: set[int]
    """Views whose image cannot be read: recorded as failures, left out of what follows."""


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
    estimates, checked = _sweep(job, frames, planned)
    plans = planned.plans
    learned: dict[int, AlignResult] = {}
    if config.depth_estimation:
        plans, checked, learned = _refine(job, frames, planned, estimates, checked, model)
    depth = [None if check is None else check.depth for check in checked]
    residuals = measure_residuals(job, frames, planned.evidence, depth)
    voxel_m = config.voxel_m or VOXEL_PX * _footprint(checked)
    cell_m = CLOUD_SPACING_PX[config.point_cloud_density] * _footprint(checked)
    truncation_m = config.surface.truncation_m(voxel_m, _noise(checked))
    contributions = _contribute(job, checked, cell_m, voxel_m, truncation_m / 2)
    balance = _balance(job, contributions) if config.exposure.estimate else None
    exposures = {view.view_id: view for view in balance.exposures} if balance else {}
    shards = _fuse(job, contributions, exposures)
    surface, chunks = _surface(job, checked, contributions, exposures, voxel_m, truncation_m)
    depth = [None if check is None else check.depth for check in checked]
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
    sizes = [frame_size(frame, job.config.poses.resolution_px) for frame in frames]
    registration = refine_poses(job, frames, sizes)
    return registration.frames, registration.corrections


def _plan(job: Job, frames: Sequence[Frame]) -> _Planned:
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
            FeatureWork(frame, *frame_size(frame, job.config.resolution), config.max_features)
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
    return _Planned(plans, points, [found.get(view) for view in range(len(frames))], unusable)


def _sweep(
    job: Job, frames: Sequence[Frame], planned: _Planned
) -> tuple[list[EstimateResult | None], list[CheckResult | None]]:
    """Round 1: every view against its partners, then against their depth."""
    config = job.config
    longer_px = config.resolution
    if config.depth_estimation:
        smallest = min(config.min_sweep_px, config.resolution)
        longer_px = max(round(config.resolution * config.sweep_share), smallest)
    works = [
        EstimateWork(
            frames[plan.view_id],
            tuple(frames[j] for j in plan.partners),
            plan.depth_range.near,
            plan.depth_range.far,
            *frame_size(frames[plan.view_id], longer_px),
            config.sweep,
        )
        for plan in planned.plans
        if plan.view_id not in planned.unusable
    ]
    found = {
        result.depth.frame.view_id: result
        for result in job.run(ESTIMATE, works)
        if result is not None
    }
    estimates = [found.get(view) for view in range(len(frames))]
    depth = [None if estimate is None else estimate.depth for estimate in estimates]
    return estimates, _check(job, depth, planned.plans, final=not config.depth_estimation)


def _check(
    job: Job, depth: Sequence[DepthRef | None], plans: Sequence[ViewPlan], *, final: bool
) -> list[CheckResult | None]:
    """Asks other views about the depth of each; only the last maps hold what none confirms."""
    config = job.config.consistency
    if not final:
        config = replace(config, keep_unconfirmed=False)
    works = [
        CheckWork(
            own,
            tuple(other for j in plan.witnesses if (other := depth[j]) is not None),
            config,
        )
        for own, plan in zip(depth, plans, strict=True)
        if own is not None
    ]
    by_view = {
        result.depth.frame.view_id: result for result in job.run(CHECK, works) if result is not None
    }
    return [by_view.get(view) for view in range(len(depth))]


def _refine(
    job: Job,
    frames: Sequence[Frame],
    planned: _Planned,
    estimates: Sequence[EstimateResult | None],
    checked: Sequence[CheckResult | None],
    model: ModelCard | None,
) -> tuple[list[ViewPlan], list[CheckResult | None], dict[int, AlignResult]]:
    """Round 2: the memories say what each view should see, and who else sees it."""
    cell_m = PRIOR_SPACING_PX * _footprint(checked)
    shards = _fuse(job, _contribute(job, checked, cell_m, cell_m, 0.0), {})
    retrieved = _retrieve(job, planned.plans, estimates, shards)
    learned = {} if model is None else _predict(job, model, checked, retrieved)
    cameras = [frame.camera for frame in frames]
    plans = list(planned.plans)
    works: list[RefineWork] = []
    for view, plan in enumerate(planned.plans):
        estimate, check, memory = estimates[view], checked[view], retrieved.get(view)
        if estimate is None or check is None or memory is None:
            continue
        guess = learned.get(view)
        shared = [(other.view_id, other.share) for other in memory.covisible]
        plans[view] = replan_view(plan, shared, cameras, planned.points[view], job.config.plan)
        works.append(
            RefineWork(
                tuple(frames[j] for j in plans[view].partners),
                estimate,
                check.depth,
                memory.artifact,
                *frame_size(frames[view], job.config.resolution),
                job.config.refine,
                guess.artifact if guess is not None and guess.alignment.refusal is None else None,
            )
        )
    refined: list[DepthRef | None] = [None] * len(frames)
    for result in job.run(REFINE, works):
        if result is not None:
            refined[result.depth.frame.view_id] = result.depth
    return plans, _check(job, refined, plans, final=True), learned


def _predict(
    job: Job,
    model: ModelCard,
    checked: Sequence[CheckResult | None],
    retrieved: dict[int, RetrieveResult],
) -> dict[int, AlignResult]:
    """What a trained model guesses of each view, aligned to what the memory knows of it."""
    _logger.info("depth model %s, licence %s", model.name, model.licence)
    size_px = job.config.resolution
    known = {
        result.depth.frame.view_id: result.depth
        for result in checked
        if result is not None and result.depth.frame.view_id in retrieved
    }
    predicted = job.run(
        PREDICT,
        [
            PredictWork(ref.frame, model.ref, *frame_size(ref.frame, size_px))
            for ref in known.values()
        ],
    )
    works = [
        AlignWork(
            result.artifact,
            model.ref.quantity,
            known[result.frame.view_id],
            retrieved[result.frame.view_id].artifact,
            job.config.learned.alignment,
        )
        for result in predicted
        if result is not None
    ]
    aligned = {r.frame.view_id: r for r in job.run(ALIGN, works) if r is not None}
    refused = [r for r in aligned.values() if r.alignment.refusal is not None]
    if refused:
        _logger.warning(
            "the depth model is not used in %d of %d views; the first: %s: %s",
            *(len(refused), len(known), refused[0].frame.name, refused[0].alignment.refusal),
        )
    return aligned


def _retrieve(
    job: Job,
    plans: Sequence[ViewPlan],
    estimates: Sequence[EstimateResult | None],
    shards: Sequence[FusedShard],
) -> dict[int, RetrieveResult]:
    works: list[RetrieveWork] = []
    for plan, estimate in zip(plans, estimates, strict=True):
        if estimate is None:
            continue
        near, far = plan.depth_range.near, plan.depth_range.far
        camera = estimate.depth.camera
        works.append(
            RetrieveWork(
                estimate.depth.frame,
                shards_in_view(shards, camera, near, far),
                near,
                far,
                estimate.depth.width_px,
                estimate.depth.height_px,
            )
        )
    results = job.run(RETRIEVE, works)
    return {result.frame.view_id: result for result in results if result is not None}


def _contribute(
    job: Job,
    checked: Sequence[CheckResult | None],
    cell_m: float,
    voxel_m: float,
    margin_m: float,
) -> list[Contribution]:
    """Writes the views into the geometric memory."""
    config = job.config
    works = [
        contribute_work(result.depth, config.memory, cell_m, voxel_m, margin_m / voxel_m)
        for result in checked
        if result is not None
    ]
    return [c for c in job.run(CONTRIBUTE, works) if c is not None]


def _balance(job: Job, contributions: Sequence[Contribution]) -> Balance | None:
    """Finds exposure and white balance of the views from the cells that they share."""
    config = job.config.exposure
    works = [sample_work(contribution, config.samples) for contribution in contributions]
    sampled = [view for view in job.run(SAMPLE, works) if view is not None]
    (balance,) = job.run(BALANCE, [balance_work(sampled, config)])
    return balance


def _fuse(
    job: Job, contributions: Sequence[Contribution], exposures: Mapping[int, ViewExposure]
) -> list[FusedShard]:
    """Fuses the geometric memory shard by shard, with the exposures undone."""
    works = plan_shards(contributions, job.config.memory, exposures)
    return [shard for shard in job.run(FUSE_SHARD, works) if shard is not None]


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


def frame_size(frame: Frame, longer_px: int) -> tuple[int, int]:
    """Width and height of a frame whose longer side is at most `longer_px`; never enlarged."""
    intrinsics = frame.camera.intrinsics
    longer = max(intrinsics.width_px, intrinsics.height_px)
    scale = min(1.0, longer_px / longer)
    return (
        max(1, round(intrinsics.width_px * scale)),
        max(1, round(intrinsics.height_px * scale)),
    )


def _footprint(checked: Sequence[CheckResult | None]) -> float:
    """Side of a depth pixel at the median depth, median over the views, world unit.

    Raises:
        ReconstructionError: no view has a confirmed depth.
    """
    sides = [
        result.depth_median / result.depth.camera.intrinsics.fx
        for result in checked
        if result is not None and result.depth_median > 0
    ]
    if not sides:
        raise ReconstructionError(
            "no depth was confirmed by a second view; check the poses (order, direction, axes), "
            "the overlap of the views, and that the scene does not move",
            stage="check",
        )
    return float(np.median(sides))


def _noise(checked: Sequence[CheckResult | None]) -> float:
    """Standard deviation of a depth at its median, median over the views, world unit."""
    noise = [r.noise * r.depth_median for r in checked if r is not None and r.depth_median > 0]
    return float(np.median(noise))


def _view_reports(
    frames: Sequence[Frame],
    plans: Sequence[ViewPlan],
    planned: _Planned,
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
