"""The chunk plan: which blocks of the lattice are fused together, from which views."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.errors import ReconstructionError
from worldloom.lattice import cells_from_keys
from worldloom.memory import BLOCK_VOXELS, BLOCKS_FILE, Contribution
from worldloom.response import ViewExposure
from worldloom.scene import Chunk, DepthRef
from worldloom.surface._chunk import FuseChunkWork
from worldloom.surface._config import SurfaceConfig
from worldloom.surface._kernels import MIN_COSINE
from worldloom.surface._partition import Sightings, partition, pixels_seen


def active_blocks(
    touched: Sequence[Int64[np.ndarray, "_"]], min_views: int
) -> Int64[np.ndarray, "n"]:
    """Returns the keys of the blocks that at least `min_views` views touch, ascending.

    Args:
        touched: For each view the keys of the blocks that its surface touches, without repeats.
        min_views: At least 1.
    """
    keys, views = np.unique(np.concatenate([*touched, np.empty(0, np.int64)]), return_counts=True)
    return keys[views >= min_views]


def plan_chunks(
    bench: Bench,
    contributions: Sequence[Contribution],
    depth: Mapping[int, DepthRef],
    voxel_m: float,
    truncation_m: float,
    config: SurfaceConfig,
    exposures: Mapping[int, ViewExposure] | None = None,
) -> tuple[FuseChunkWork, ...]:
    """Returns the chunks to fuse: runs of blocks along the Morton order of the lattice.

    A run is compact in space, and cut by cost: views times the pixels that they have on it. Blocks
    that fewer than `min_views` views touch are in no chunk. Which blocks there are does not depend
    on the size of the runs, and what a block becomes does not depend on its run.

    Args:
        bench: Where the contributions are.
        contributions: What the views wrote into the memory.
        depth: Depth maps by view id; views without one are left out.
        voxel_m: Side of a voxel, as the contributions were made with, world unit.
        truncation_m: Distance at which the signed distance saturates, world unit.
        config: Settings.
        exposures: By view id; colours of views without one are taken as they are.

    Raises:
        ReconstructionError: no block is touched by enough views.
    """
    present = sorted(
        (item for item in contributions if item.view_id in depth), key=lambda item: item.view_id
    )
    touched = [
        np.load(io.BytesIO(bench.store.read(item.artifact, BLOCKS_FILE)), allow_pickle=False)
        for item in present
    ]
    min_views = config.views_needed(len(present))
    keys = active_blocks(touched, min_views)
    if not len(keys):
        raise ReconstructionError(
            f"there is no surface that {min_views} of the {len(present)} views with depth "
            "agree on; check the poses and the overlap of the views, or lower min_views",
            stage="fuse-chunk",
            failed=len(present),
            total=len(present),
        )
    sightings = _sightings(keys, present, touched, depth, BLOCK_VOXELS * voxel_m)
    cuts = partition(keys, sightings, BLOCK_VOXELS * voxel_m, config)
    runs = [keys[first:end] for first, end in cuts]
    centres = [(cells_from_keys(run) + 0.5) * (BLOCK_VOXELS * voxel_m) for run in runs]
    works: list[FuseChunkWork] = []
    for number, run in enumerate(runs):
        views = [
            depth[item.view_id]
            for item in present
            if _may_see(
                depth[item.view_id].camera, item.far_m, centres[number], voxel_m, truncation_m
            )
        ]
        works.append(
            _work(number, run, views, voxel_m, truncation_m, min_views, config, exposures or {})
        )
    return tuple(works)


def _sightings(
    keys: Int64[np.ndarray, "n"],
    present: Sequence[Contribution],
    touched: Sequence[Int64[np.ndarray, "_"]],
    depth: Mapping[int, DepthRef],
    side_m: float,
) -> Sightings:
    """Returns which of the blocks each view touches, and how large it sees them."""
    rows = [np.flatnonzero(np.isin(keys, blocks, assume_unique=True)) for blocks in touched]
    pixels = [
        pixels_seen(depth[item.view_id].camera, keys[found], side_m)
        for item, found in zip(present, rows, strict=True)
    ]
    views = np.array([item.view_id for item in present], np.int32)
    return Sightings(
        np.concatenate(rows),
        np.repeat(views, [len(found) for found in rows]),
        np.concatenate(pixels),
    )


def _work(
    number: int,
    keys: Int64[np.ndarray, "n"],
    views: Sequence[DepthRef],
    voxel_m: float,
    truncation_m: float,
    min_views: int,
    config: SurfaceConfig,
    exposures: Mapping[int, ViewExposure],
) -> FuseChunkWork:
    blocks = tuple((x, y, z) for x, y, z in sorted(cells_from_keys(keys).tolist()))
    return FuseChunkWork(
        Chunk(number, blocks, tuple(ref.frame.view_id for ref in views)),
        tuple(views),
        voxel_m,
        truncation_m,
        config.carve_weight,
        min_views,
        config.min_confidence,
        tuple(exposures.get(ref.frame.view_id) for ref in views),
    )


def _may_see(
    camera: Camera,
    far_m: float,
    centres: Float64[np.ndarray, "n 3"],
    voxel_m: float,
    truncation_m: float,
) -> bool:
    """Whether a view may say something about any of some blocks; never wrongly False."""
    reach_m = far_m + truncation_m / MIN_COSINE
    radius_m = 0.867 * BLOCK_VOXELS * voxel_m
    return far_m > 0 and bool(_spheres_in_frustum(camera, reach_m, centres, radius_m).any())


def _spheres_in_frustum(
    camera: Camera, reach_m: float, centres: Float64[np.ndarray, "n 3"], radius_m: float
) -> Bool[np.ndarray, "n"]:
    """True where a sphere may touch the frustum; some that do not are true as well."""
    lens = camera.intrinsics
    inward = np.array(
        [
            [lens.fx, 0, lens.cx],
            [-lens.fx, 0, lens.width_px - lens.cx],
            [0, lens.fy, lens.cy],
            [0, -lens.fy, lens.height_px - lens.cy],
            [0, 0, 1],
            [0, 0, -1],
        ],
        np.float64,
    )
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    centres_in_cam = centres @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
    distance = centres_in_cam @ inward.T
    distance[:, 5] += reach_m
    return np.asarray((distance >= -radius_m).all(axis=1))
