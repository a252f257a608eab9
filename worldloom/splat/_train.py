"""The stage that trains the Gaussians of one chunk."""

import logging
import zipfile
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.memory import FusedShard, load_memory
from worldloom.merge import MergedMesh, load_mesh
from worldloom.response import ViewExposure, corrected
from worldloom.scene import Chunk, DepthRef, PointCloud, Splats
from worldloom.splat._anchor import anchored_cloud
from worldloom.splat._config import SplatConfig
from worldloom.splat._cpu import CpuLearner
from worldloom.splat._crew import Crew
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._learner import Learner, TrainingView, weights_of
from worldloom.splat._loss import target_of
from worldloom.splat._region import in_region, pixels_in_region, region_keys
from worldloom.splat._seeds import seed_gaussians
from worldloom.splat._state import State, new_state, state_bytes, state_from_bytes
from worldloom.splat._trainer import Course, train
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

SPLATS_FILE = "splats.npz"
CHECKPOINT_FILE = "checkpoint.npz"
_MIN_SHARE = 0.005
"""Views that show less of the chunk, as a share of their pixels, are left out."""
_FADED_OPACITY = 1 / 255
"""Gaussians that are fainter cannot be seen."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainWork:
    """A chunk to be trained, and all that says something about it."""

    chunk: Chunk
    whole: bool
    """True where this is the only chunk: then all of space is its business."""
    voxel_m: float
    """Side of a voxel of the surface lattice, world unit."""
    views: tuple[DepthRef, ...]
    """By view id, ascending."""
    exposures: tuple[ViewExposure | None, ...]
    """Of the views, in their order; undone in their images first."""
    shards: tuple[FusedShard, ...]
    """The memory, in cells of the spacing of the seeds."""
    min_views: int
    """Views that must see a cell before it is a seed."""
    anchor: MergedMesh | None
    """Surface that seeds are put onto; None leaves them where the memory is."""
    backend: Literal["cpu", "cuda"]
    config: SplatConfig

    @property
    def subject(self) -> str:
        """For people."""
        return f"chunk {self.chunk.chunk_id}"


@dataclass(frozen=True)
class TrainedChunk:
    """The Gaussians of one chunk and of its halo."""

    chunk_id: int
    artifact: ArtifactKey
    """Artifact with `splats.npz`: the fields of `Splats`."""
    gaussians: int
    seeds: int
    steps: int
    best_step: int
    validation_psnr_db: float | None
    """Of the views that chose `best_step`; None without."""


def _train(bench: Bench, key: ArtifactKey, work: TrainWork) -> TrainedChunk:
    region = None if work.whole else region_keys(work.chunk, work.config.halo_blocks)
    cloud = _seeds(bench, work, region)
    if not len(cloud):
        raise StageError(
            f"{work.subject} has no seeds: no cell of its memory is seen by {work.min_views} "
            "views; lower min_views",
            stage="train",
            subject=work.subject,
        )
    views = [
        view
        for ref, exposure in zip(work.views, work.exposures, strict=True)
        if (view := _view(bench, ref, exposure, work, region)) is not None
    ]
    if len(views) < 2:
        raise StageError(
            f"{work.subject} is shown by {len(views)} views; two are the least to train from",
            stage="train",
            subject=work.subject,
        )
    with Crew() as crew:
        state = _resumed(bench, key) or _first(cloud, work, len(views))
        spacing_m = work.shards[0].cell_m
        learner = _learner(state, work, spacing_m, crew)
        course = train(
            learner,
            views,
            work.config,
            spacing_m,
            lambda state: bench.store.write(key, CHECKPOINT_FILE, state_bytes(state)),
        )
        gaussians = learner.state().gaussians
    splats = _result(gaussians, course, work.config)
    save_splats(bench, key, splats)
    # The checkpoint has done its work; an empty one is no checkpoint.
    bench.store.write(key, CHECKPOINT_FILE, b"")
    return TrainedChunk(
        *(work.chunk.chunk_id, key, len(splats), len(cloud)),
        *(course.steps, course.best_step, course.validation_psnr_db),
    )


def _seeds(bench: Bench, work: TrainWork, region: Int64[np.ndarray, "k"] | None) -> PointCloud:
    cloud = load_memory(bench, work.shards).cloud(work.min_views)
    if work.anchor is not None:
        cloud = anchored_cloud(load_mesh(bench, work.anchor), cloud, work.shards[0].cell_m)
    if region is None:
        return cloud
    kept = in_region(cloud.points_in_world, region, work.voxel_m)
    return PointCloud(
        cloud.points_in_world[kept],
        cloud.normals_in_world[kept],
        cloud.colors[kept],
        cloud.confidence[kept],
        cloud.count[kept],
    )


def _view(
    bench: Bench,
    ref: DepthRef,
    exposure: ViewExposure | None,
    work: TrainWork,
    region: Int64[np.ndarray, "k"] | None,
) -> TrainingView | None:
    """What a view shows of the chunk; None where that is next to nothing."""
    depth_map = bench.depth_map(ref)
    judged = bench.mask(ref.frame, ref.width_px, ref.height_px)
    if region is not None:
        judged = judged & pixels_in_region(depth_map, region, work.voxel_m)
    if judged.mean() < _MIN_SHARE:
        return None
    image = _image(bench, ref, exposure)
    return TrainingView(
        depth_map.camera, target_of(image, judged, depth_map.depth, depth_map.confidence)
    )


def _image(
    bench: Bench, ref: DepthRef, exposure: ViewExposure | None
) -> Float32[np.ndarray, "h w 3"]:
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    if exposure is None:
        return image.astype(np.float32) / 255
    return np.clip(corrected(image, exposure), 0, 255).astype(np.float32) / 255


def _first(cloud: PointCloud, work: TrainWork, views: int) -> State:
    config = work.config
    if len(cloud) > config.max_gaussians:
        # Every n-th in Morton order: as even in space as the cells are.
        rows = np.linspace(0, len(cloud) - 1, config.max_gaussians).astype(np.int64)
        cloud = PointCloud(
            cloud.points_in_world[rows],
            cloud.normals_in_world[rows],
            cloud.colors[rows],
            cloud.confidence[rows],
            cloud.count[rows],
        )
    gaussians = seed_gaussians(
        *(cloud.points_in_world, cloud.normals_in_world, cloud.colors),
        *(work.shards[0].cell_m, config.sh_degree),
    )
    return new_state(gaussians, cloud.normals_in_world, views)


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


def _learner(state: State, work: TrainWork, spacing_m: float, crew: Crew) -> Learner:
    weights = weights_of(work.config, spacing_m)
    if work.backend == "cpu":
        return CpuLearner(state, weights, crew)
    # gsplat and a CUDA build of torch are not needed on a CPU.
    from worldloom.splat._cuda import CudaLearner

    return CudaLearner(state, weights)


def _result(gaussians: Gaussians, course: Course, config: SplatConfig) -> Splats:
    splats = gaussians.splats()
    # Bands that the schedule had not reached are 0 and are not kept.
    degree = min(config.sh_degree, course.best_step // config.sh_interval)
    splats = replace(splats, sh=splats.sh[:, : (degree + 1) ** 2])
    return splats.select(_sound(splats))


def _sound(splats: Splats) -> Bool[np.ndarray, "n"]:
    return splats.opacities >= _FADED_OPACITY


def save_splats(bench: Bench, key: ArtifactKey, splats: Splats) -> None:
    """Writes `splats.npz` of an artifact."""
    bench.write_arrays(
        key,
        SPLATS_FILE,
        means_in_world=splats.means_in_world,
        scales_m=splats.scales_m,
        rotations=splats.rotations,
        opacities=splats.opacities,
        sh=splats.sh,
    )


def load_splats(bench: Bench, key: ArtifactKey) -> Splats:
    """Returns the splats of an artifact."""
    return Splats(**bench.arrays(key, SPLATS_FILE))


TRAIN = Stage("train-splats", 1, Role.CHUNK, TrainedChunk, _train)
"""Trains the Gaussians of one chunk."""
