"""The stage that trains the Gaussians of one chunk."""

import logging
import zipfile
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from worldloom.bench import Bench
from worldloom.scene import Splats
from worldloom.splat._beginning import STATE_FILE, beginning
from worldloom.splat._config import SplatConfig
from worldloom.splat._cpu import CpuLearner
from worldloom.splat._crew import Crew
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._learner import Learner, weights_of
from worldloom.splat._region import region_keys
from worldloom.splat._state import State, state_bytes, state_from_bytes
from worldloom.splat._trained import TrainedChunk, save_splats
from worldloom.splat._trainer import Course, split_views, train
from worldloom.splat._views import views_of_chunk
from worldloom.splat._work import TrainWork
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

CHECKPOINT_FILE = "checkpoint.npz"
_FADED_OPACITY = 1 / 255
"""Gaussians that are fainter cannot be seen."""
_logger = logging.getLogger(__name__)


def _train(bench: Bench, key: ArtifactKey, work: TrainWork) -> TrainedChunk:
    region = None if work.whole else region_keys(work.chunk, work.config.halo_blocks)
    views = views_of_chunk(bench, work, region)
    begun = beginning(bench, work, region, [view.view_id for view in views])
    with Crew() as crew:
        state = _resumed(bench, key) or begun.state
        spacing_m = work.shards[0].cell_m
        learner = _learner(state, work, spacing_m, crew, begun.around)
        course = train(
            *(learner, [view.training for view in views]),
            split_views([view.view_id for view in views], work.validation),
            *(work.config, spacing_m, work.until),
            lambda state: bench.store.write(key, CHECKPOINT_FILE, state_bytes(state)),
        )
        state = learner.state()
    splats = _result(course, work.config)
    save_splats(bench, key, splats)
    if work.until < work.config.steps:
        bench.store.write(key, STATE_FILE, state_bytes(state))
    # The checkpoint has done its work; an empty one is no checkpoint.
    bench.store.write(key, CHECKPOINT_FILE, b"")
    return TrainedChunk(
        *(work.chunk.chunk_id, key, len(splats), begun.seeds),
        *(course.steps, course.best_step, course.validation_psnr_db),
        has_halo=not work.whole and not work.before,
        halo=begun.halo,
        around=0 if begun.around is None else len(begun.around),
    )


def _resumed(bench: Bench, key: ArtifactKey) -> State | None:
    """The state of the last checkpoint; None where there is none that can be read."""
    if not bench.store.holds(key, CHECKPOINT_FILE):
        return None
    data = bench.store.read(key, CHECKPOINT_FILE).to_pybytes()
    try:
        state = state_from_bytes(data)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("the checkpoint of %s is damaged (%s); training begins anew", key, error)
        return None
    _logger.info("training of %s goes on from step %d", key, state.step)
    return state


def _learner(
    state: State, work: TrainWork, spacing_m: float, crew: Crew, around: Gaussians | None
) -> Learner:
    weights = weights_of(work.config, spacing_m)
    if work.backend == "cpu":
        return CpuLearner(state, weights, crew, around)
    # gsplat and a CUDA build of torch are not needed on a CPU.
    from worldloom.splat._cuda import CudaLearner

    return CudaLearner(state, weights, around=around)


def _result(course: Course, config: SplatConfig) -> Splats:
    splats = course.gaussians.splats()
    # Bands that the schedule had not reached are 0 and are not kept.
    degree = min(config.sh_degree, course.best_step // config.sh_interval)
    splats = replace(splats, sh=splats.sh[:, : (degree + 1) ** 2])
    return splats.select(_sound(splats))


def _sound(splats: Splats) -> Bool[np.ndarray, "n"]:
    return splats.opacities >= _FADED_OPACITY


TRAIN = Stage("train-splats", 2, Role.CHUNK, TrainedChunk, _train)
"""Trains the Gaussians of one chunk."""
