"""The method, top-down: from frames to a point cloud and a mesh."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from worldloom.bench import Bench
from worldloom.config import CLOUD_SPACING_PX, VOXEL_PX, ReconstructionConfig
from worldloom.depth import (
    CheckResult,
)
from worldloom.errors import PlanError, ReconstructionError
from worldloom.exposure import BALANCE, SAMPLE, Balance, balance_work, sample_work
from worldloom.job import Job
from worldloom.learned import (
    AlignResult,
    ModelCard,
    read_model_card,
)
from worldloom.memory import BoundedCloud, Contribution, FusedShard, load_cloud
from worldloom.merge import Merge, load_mesh
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
from worldloom.rounds import (
    Planned,
    confirmed_noise,
    contribute,
    footprint,
    fuse,
    refine,
    surface,
    sweep,
)
from worldloom.scene import DepthRef, Frame
from worldloom.stage import ProgressCallback, Runner
from worldloom.surface import FuseChunkWork
from worldloom.texture import (
    TextureInputs,
    TextureSet,
    load_maps,
    load_unwrapped,
    texture_inputs,
    texture_surface,
)
from worldloom.training import TrainingInputs, train_model

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
    depth = _depth(job, frames, planned, model)
    fused = _fused(job, depth.checked)
    trained = train_model(job, fused.training_inputs(depth.checked))
    merge = fused.merge if trained is None else trained.merge
    inputs = texture_inputs(
        *(merge.mesh, frames, depth.maps, fused.exposures, fused.voxel_m, planned.unusable)
    )
    textured = _texture(job, inputs) if config.texture.textures else None
    return Reconstruction(
        tuple(frames),
        tuple(result.depth for result in depth.checked if result is not None),
        config.surface.min_confidence,
        fused.points.cloud,
        load_mesh(bench, merge.mesh),
        tuple(work.chunk for work in fused.works) if trained is None else trained.chunks,
        fused.voxel_m,
        fused.truncation_m,
        fused.cell_m,
        fused.balance,
        _view_reports(frames, planned, depth, corrections, fused.exposures),
        tuple(job.stages),
        tuple(job.failures),
        () if model is None else (model,),
        evidence={
            "seams": merge.seams,
            "chunk_alignment": merge.alignments,
            "point_bound": fused.points.bound,
        }
        | ({} if trained is None else trained.evidence),
        texture_inputs=inputs,
        texture_set=textured,
        unwrapped=None if textured is None else load_unwrapped(bench, textured),
        textures={} if textured is None else load_maps(bench, textured),
        splats=None if trained is None else trained.splats,
        training=None if trained is None else trained.report,
    )


@dataclass(frozen=True, eq=False)
class _Depth:
    """What is known of the depth of the views, by view id."""

    plans: Sequence[ViewPlan]
    checked: Sequence[CheckResult | None]
    learned: Mapping[int, AlignResult]
    residuals: Sequence[float | None]
    """Distance from what others have put into the memory, pixels."""

    @property
    def maps(self) -> list[DepthRef | None]:
        """Depth maps; None where a view has none."""
        return [None if check is None else check.depth for check in self.checked]


@dataclass(frozen=True, eq=False)
class _Fused:
    """What the views make together."""

    balance: Balance | None
    exposures: dict[int, ViewExposure]
    shards: Sequence[FusedShard]
    merge: Merge
    works: Sequence[FuseChunkWork]
    points: BoundedCloud
    voxel_m: float
    cell_m: float
    truncation_m: float

    def training_inputs(self, checked: Sequence[CheckResult | None]) -> TrainingInputs:
        """What a model is trained on."""
        return TrainingInputs(
            *(checked, self.exposures, self.shards, self.merge.mesh, self.works),
            *(self.voxel_m, self.truncation_m),
        )


def _depth(job: Job, frames: Sequence[Frame], planned: Planned, model: ModelCard | None) -> _Depth:
    """Both rounds of depth, or the first alone."""
    estimates, checked = sweep(job, frames, planned)
    plans = planned.plans
    learned: dict[int, AlignResult] = {}
    if job.config.depth_estimation:
        plans, checked, learned = refine(job, frames, planned, estimates, checked, model)
    maps = [None if check is None else check.depth for check in checked]
    return _Depth(plans, checked, learned, measure_residuals(job, frames, planned.evidence, maps))


def _fused(job: Job, checked: Sequence[CheckResult | None]) -> _Fused:
    """Memory, exposures, surface and point cloud, from the depth of the views."""
    config = job.config
    voxel_m = config.voxel_m or VOXEL_PX * footprint(checked)
    cell_m = CLOUD_SPACING_PX[config.point_cloud_density] * footprint(checked)
    truncation_m = config.surface.truncation_m(voxel_m, confirmed_noise(checked))
    contributions = contribute(job, checked, cell_m, voxel_m, truncation_m / 2)
    balance = _balance(job, contributions) if config.exposure.estimate else None
    exposures = {view.view_id: view for view in balance.exposures} if balance else {}
    shards = fuse(job, contributions, exposures)
    merge, works = surface(job, checked, contributions, shards, exposures, voxel_m, truncation_m)
    points = load_cloud(job.bench, shards, config.memory.min_views, config.memory.max_points)
    if points.bound is not None:
        _logger.warning(
            "the point cloud is bounded to %d of its %d points by max_points",
            *(points.bound.max_points, points.bound.found),
        )
    return _Fused(
        *(balance, exposures, shards, merge, works, points, voxel_m, cell_m, truncation_m)
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
    planned: Planned,
    depth: _Depth,
    corrections: Sequence[PoseCorrection | None],
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
            depth.learned[frame.view_id].alignment if frame.view_id in depth.learned else None,
            exposures[frame.view_id].gain_rgb if frame.view_id in exposures else None,
            correction,
        )
        for frame, plan, evidence, residual, check, correction in zip(
            *(frames, depth.plans, planned.evidence, depth.residuals, depth.checked, corrections),
            strict=True,
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
