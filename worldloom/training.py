"""Methods that train a model of the scene on top of multi-view stereo, as the driver runs them."""

import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from worldloom.depth import CheckResult
from worldloom.errors import ConfigError, ReconstructionError
from worldloom.implicit import fit_surface
from worldloom.job import Job
from worldloom.memory import FusedShard
from worldloom.merge import Merge, MergedMesh
from worldloom.neural import FIT_FIELD
from worldloom.reconstruction import TrainingReport
from worldloom.response import ViewExposure
from worldloom.rounds import contribute, footprint, fuse, surface
from worldloom.scene import Chunk, Splats
from worldloom.splat import (
    MERGE_SPLATS,
    SPLAT_DEPTH,
    TRAIN,
    SplatDepthWork,
    TrainedChunk,
    TrainWork,
    continued,
    load_splats,
    merge_splats_work,
    neighbours,
    validation_places,
)
from worldloom.store import ArtifactKey
from worldloom.surface import FuseChunkWork

_logger = logging.getLogger(__name__)
_SEED_VIEWS = 1
"""Views that must see a cell before it is a seed: what the others do not bear out fades, and what
has no seed stays a hole."""


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What multi-view stereo has made, for a model to be trained on."""

    checked: Sequence[CheckResult | None]
    """Depth maps with what other views say of them, by view id."""
    exposures: Mapping[int, ViewExposure]
    shards: Sequence[FusedShard]
    """The geometric memory."""
    surface: MergedMesh
    works: Sequence[FuseChunkWork]
    """The chunks that the surface was fused by, and their views."""
    voxel_m: float
    truncation_m: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What a trained model has made of the scene."""

    merge: Merge
    """Fused from the depth of the model."""
    chunks: tuple[Chunk, ...]
    """The plan that it was fused by."""
    splats: Splats | None
    report: TrainingReport
    evidence: dict[str, object]
    """What is to be known of the training; plain values or dataclasses."""


def train_model(job: Job, inputs: TrainingInputs) -> Trained | None:
    """Trains what the method asks for.

    Returns:
        What came of it; None where the method trains nothing, or where it failed for every chunk:
        then the surface of multi-view stereo stands, and the record of the job says why.
    """
    method = _METHODS.get(job.config.method)
    if method is None:
        return None
    try:
        return method(job, inputs)
    except ReconstructionError as error:
        # What failed is in the record of the job already.
        _logger.warning("the scene is that of multi-view stereo: %s", error)
        return None


def _splats(job: Job, inputs: TrainingInputs) -> Trained:
    """Gaussians seeded from the memory; the surface from their depth."""
    return _trained_splats(job, inputs, anchored=False)


def _hybrid(job: Job, inputs: TrainingInputs) -> Trained:
    """Gaussians seeded onto the surface; the depth that it was fused from is refined by theirs."""
    return _trained_splats(job, inputs, anchored=True)


def _neural(job: Job, inputs: TrainingInputs) -> Trained:
    """A distance field that starts from the fused one and is fitted to the images."""
    fitted = fit_surface(job, inputs.works, inputs.shards)
    seconds = sum(stage.seconds for stage in job.stages if stage.stage == FIT_FIELD.name)
    report = TrainingReport(job.config.neural.steps * len(fitted.chunks), seconds, gaussians=None)
    return Trained(fitted.merge, fitted.chunks, None, report, {})


_METHODS: dict[str, Callable[[Job, TrainingInputs], Trained]] = {
    "splat": _splats,
    "hybrid": _hybrid,
    "neural": _neural,
}
"""By `ReconstructionConfig.method`; a method that trains nothing is not here."""


def _trained_splats(job: Job, inputs: TrainingInputs, *, anchored: bool) -> Trained:
    works = _train_works(job, inputs, anchored=anchored)
    trained = _trained_in_rounds(job, works)
    chunks = [work.chunk for work in works]
    (merged,) = job.run(MERGE_SPLATS, [merge_splats_work(trained, chunks, inputs.voxel_m)])
    assert merged is not None  # a stage whose only item fails has raised
    checked = _depth_of_splats(job, inputs, merged.artifact, anchored=anchored)
    cell_m, margin_m = inputs.works[0].voxel_m, inputs.truncation_m / 2
    contributions = contribute(job, checked, cell_m, inputs.voxel_m, margin_m)
    merge, fused = surface(
        *(job, checked, contributions, inputs.shards, inputs.exposures),
        *(inputs.voxel_m, inputs.truncation_m),
    )
    report = TrainingReport(
        steps=sum(chunk.steps for chunk in trained),
        seconds=sum(stage.seconds for stage in job.stages if stage.stage == TRAIN.name),
        gaussians=merged.gaussians,
    )
    halo = merged.halo + sum(chunk.halo for chunk in trained)
    evidence = {"backend": works[0].backend, "halo_gaussians": halo, "chunks": trained}
    return Trained(
        merge,
        tuple(work.chunk for work in fused),
        load_splats(job.bench, merged.artifact),
        report,
        {"splats": evidence},
    )


def _trained_in_rounds(job: Job, works: Sequence[TrainWork]) -> list[TrainedChunk]:
    """Trains the chunks; between rounds each gets to see what the others have become.

    A chunk that fails in a later round stays as the round before has left it; where all fail, the
    rounds end.
    """
    config = job.config.splat
    beside = neighbours([work.chunk for work in works], config.halo_blocks)
    turns = list(zip(works, beside, strict=True))
    latest: dict[int, TrainedChunk] = {}
    rounds = config.rounds if len(works) > 1 else 1
    for number in range(1, rounds + 1):
        until = config.steps * number // rounds
        try:
            made = job.run(TRAIN, [continued(work, near, latest, until) for work, near in turns])
        except ReconstructionError as error:
            if not latest:
                raise
            # What failed is in the record of the job already.
            _logger.warning("the splats are those of round %d: %s", number - 1, error)
            break
        turns = [turn for turn, chunk in zip(turns, made, strict=True) if chunk is not None]
        latest |= {chunk.chunk_id: chunk for chunk in made if chunk is not None}
    return [latest[chunk_id] for chunk_id in sorted(latest)]


def _depth_of_splats(
    job: Job, inputs: TrainingInputs, splats: ArtifactKey, *, anchored: bool
) -> list[CheckResult | None]:
    """Depth maps to fuse: those of the splats, or those of the views refined by them.

    They are not checked against each other: splats are of one scene already, and where views say
    nothing of each other there would be holes (measured).
    """
    works = [SplatDepthWork(splats, r.depth, anchored) for r in inputs.checked if r is not None]
    found = {r.depth.frame.view_id: r.depth for r in job.run(SPLAT_DEPTH, works) if r is not None}
    return [
        None
        if result is None or result.depth.frame.view_id not in found
        else replace(result, depth=found[result.depth.frame.view_id])
        for result in inputs.checked
    ]


def _train_works(job: Job, inputs: TrainingInputs, *, anchored: bool) -> list[TrainWork]:
    config = job.config.splat
    backend = _backend(job)
    spacing_m = config.seed_spacing_px * footprint(inputs.checked)
    shards = fuse(job, contribute(job, inputs.checked, spacing_m, spacing_m, 0.0), inputs.exposures)
    depth = {r.depth.frame.view_id: r.depth for r in inputs.checked if r is not None}
    views = sorted({view for work in inputs.works for view in work.chunk.views})
    validation = tuple(views[place] for place in validation_places(len(views), config))
    return [
        TrainWork(
            work.chunk,
            len(inputs.works) == 1,
            inputs.voxel_m,
            tuple(depth[view] for view in work.chunk.views),
            tuple(inputs.exposures.get(view) for view in work.chunk.views),
            tuple(shard for shard in shards if shard.cells),
            _SEED_VIEWS,
            inputs.surface if anchored else None,
            backend,
            # A round is told where it ends, and does not depend on how many there are.
            replace(config, rounds=1),
            validation,
            config.steps,
        )
        for work in inputs.works
    ]


def _backend(job: Job) -> Literal["cpu", "cuda"]:
    """What rasterises on the workers; settled once, in the driver."""
    backend = job.config.splat.backend
    if backend == "cpu" or (backend == "auto" and importlib.util.find_spec("gsplat") is None):
        return "cpu"
    if job.runner.has_cuda(TRAIN.role):
        return "cuda"
    if backend == "cuda":
        raise ConfigError(
            "the cuda backend of splats is asked for, and the workers of chunks have no CUDA "
            "device; give them a share of a GPU (--chunk-gpus) on Ray, install torch for CUDA, or "
            "take --splat.backend cpu",
            field="backend",
        )
    return "cpu"
