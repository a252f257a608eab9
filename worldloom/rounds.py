"""Depth in two rounds around the geometric memory, as the driver runs them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
from worldloom.errors import ReconstructionError
from worldloom.job import Job
from worldloom.learned import (
    ALIGN,
    PREDICT,
    AlignResult,
    AlignWork,
    ModelCard,
    PredictWork,
)
from worldloom.memory import (
    CONTRIBUTE,
    FUSE_SHARD,
    Contribution,
    FusedShard,
    ShardIndex,
    contribute_work,
    plan_shards,
)
from worldloom.merge import Merge, merge_chunks
from worldloom.plan import (
    EvidenceResult,
    ViewPlan,
    replan_view,
)
from worldloom.response import ViewExposure
from worldloom.scene import (
    DepthRef,
    Frame,
)
from worldloom.surface import (
    FUSE_CHUNK,
    ChunkFaces,
    FuseChunkWork,
    plan_chunks,
)

_logger = logging.getLogger(__name__)

PRIOR_SPACING_PX = 2.0
"""Cells of the memory between the rounds, in footprints of a pixel of round 1: a prior, not a
product, so it may be coarse."""


@dataclass(frozen=True, eq=False)
class Planned:
    """Views with all that planning found."""

    plans: list[ViewPlan]
    points: list[np.ndarray]
    """Sparse points of each view, world."""
    evidence: list[EvidenceResult | None]
    unusable: set[int]
    """Views whose image cannot be read: recorded as failures, left out of what follows."""


def sweep(
    job: Job, frames: Sequence[Frame], planned: Planned
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
            *frames[plan.view_id].size_within(longer_px),
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


def refine(
    job: Job,
    frames: Sequence[Frame],
    planned: Planned,
    estimates: Sequence[EstimateResult | None],
    checked: Sequence[CheckResult | None],
    model: ModelCard | None,
) -> tuple[list[ViewPlan], list[CheckResult | None], dict[int, AlignResult]]:
    """Round 2: the memories say what each view should see, and who else sees it."""
    cell_m = PRIOR_SPACING_PX * footprint(checked)
    contributions = contribute(job, checked, cell_m, cell_m, 0.0)
    shards = fuse(job, contributions, {})
    retrieved = _retrieve(job, planned.plans, estimates, contributions, shards)
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
                *frames[view].size_within(job.config.resolution),
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
            PredictWork(ref.frame, model.ref, *ref.frame.size_within(size_px))
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
    contributions: Sequence[Contribution],
    shards: Sequence[FusedShard],
) -> dict[int, RetrieveResult]:
    works: list[RetrieveWork] = []
    own = {contribution.view_id: contribution.artifact for contribution in contributions}
    index = ShardIndex(shards)
    for plan, estimate in zip(plans, estimates, strict=True):
        if estimate is None:
            continue
        near, far = plan.depth_range.near, plan.depth_range.far
        camera = estimate.depth.camera
        works.append(
            RetrieveWork(
                estimate.depth.frame,
                own.get(plan.view_id),
                index.in_view(camera, near, far),
                near,
                far,
                estimate.depth.width_px,
                estimate.depth.height_px,
            )
        )
    results = job.run(RETRIEVE, works)
    return {result.frame.view_id: result for result in results if result is not None}


def contribute(
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


def fuse(
    job: Job, contributions: Sequence[Contribution], exposures: Mapping[int, ViewExposure]
) -> list[FusedShard]:
    """Fuses the geometric memory shard by shard, with the exposures undone."""
    works = plan_shards(contributions, job.config.memory, exposures)
    return [shard for shard in job.run(FUSE_SHARD, works) if shard is not None]


def surface(
    job: Job,
    checked: Sequence[CheckResult | None],
    contributions: Sequence[Contribution],
    shards: Sequence[FusedShard],
    exposures: Mapping[int, ViewExposure],
    voxel_m: float,
    truncation_m: float,
) -> tuple[Merge, tuple[FuseChunkWork, ...]]:
    """Fuses the depth chunk by chunk on one lattice, and merges the chunks.

    Args:
        job: Runs the stages.
        checked: Depth of the views.
        contributions: What they wrote into the memory: where their surface is.
        shards: The memory that the chunks are held against.
        exposures: By view id, undone in colours.
        voxel_m: Side of a voxel, world unit.
        truncation_m: Distance at which the signed distance saturates, world unit.
    """
    depth = {r.depth.frame.view_id: r.depth for r in checked if r is not None}
    works = plan_chunks(
        *(job.bench, contributions, depth, voxel_m, truncation_m),
        *(job.config.surface, exposures),
    )
    # The longest first: a long one begun last keeps one worker busy and the others idle.
    order = sorted(works, key=lambda work: -len(work.views) * len(work.chunk.blocks))
    fused = [chunk for chunk in job.run(FUSE_CHUNK, order) if chunk is not None]
    chunks = sorted(fused, key=lambda chunk: chunk.chunk_id)
    return merge_surface(job, chunks, shards, voxel_m), works


def merge_surface(
    job: Job, chunks: Sequence[ChunkFaces], shards: Sequence[FusedShard], voxel_m: float
) -> Merge:
    """Merges chunks of one plan by the settings of a job."""
    return merge_chunks(
        *(job.run, job.bench, chunks, shards, voxel_m),
        *(job.config.surface.min_component_faces, job.config.merge),
    )


def footprint(checked: Sequence[CheckResult | None]) -> float:
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


def confirmed_noise(checked: Sequence[CheckResult | None]) -> float:
    """Standard deviation of a depth at its median, median over the views, world unit."""
    noise = [r.noise * r.depth_median for r in checked if r is not None and r.depth_median > 0]
    return float(np.median(noise))
