"""Surroundings: what the views of a chunk show beyond it.

Without them, pixels whose depth lies elsewhere, or is not known, could not be judged, and what a
chunk spread over them showed in the merged scene. They are seen along with the Gaussians of the
chunk and are not trained. In the first round they are seeds, later the Gaussians that other chunks
have trained.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from worldloom.bench import Bench
from worldloom.memory import FusedShard, load_memory
from worldloom.scene import Chunk, PointCloud
from worldloom.splat._gaussians import Gaussians, gaussians_from_splats, joined
from worldloom.splat._region import blocks_at, in_region, widened
from worldloom.splat._seeds import seed_gaussians
from worldloom.splat._trained import TrainedChunk, owned_splats

_MARGIN_BLOCKS = 1
"""Gaussians reach beyond the cell that they were seeded in."""


def blocks_in_sight(
    bench: Bench, shards: Sequence[FusedShard], views: Sequence[int], voxel_m: float
) -> Int64[np.ndarray, "n"]:
    """Returns the keys of the blocks where some of the views see something, as the memory has it.

    Shard by shard, so that no more than one is held.

    Args:
        bench: Store.
        shards: The memory.
        views: Ids of views.
        voxel_m: Side of a voxel of the surface lattice, world unit.
    """
    keys = np.empty(0, np.int64)
    for shard in shards:
        memory = load_memory(bench, [shard])
        seen = memory.points_in_world[memory.seen_by(views)]
        keys = np.union1d(keys, blocks_at(seen, voxel_m))
    return widened(keys, _MARGIN_BLOCKS)


def seeded_surroundings(
    cloud: PointCloud, spacing_m: float, sh_degree: int, most: int
) -> Gaussians:
    """Returns the seeds of points, no more than `most`, which are wider then.

    Args:
        cloud: Cells of the memory in sight of a chunk and outside of it.
        spacing_m: Spacing of the seeds, world unit.
        sh_degree: To make room for.
        most: Bound on the Gaussians.
    """
    seeds = seed_gaussians(
        *(cloud.points_in_world, cloud.normals_in_world, cloud.colors, spacing_m, sh_degree)
    )
    return thinned(seeds, most)


def trained_surroundings(
    bench: Bench,
    trained: Sequence[TrainedChunk],
    places: Sequence[Chunk],
    number: int,
    sight: Int64[np.ndarray, "k"],
    voxel_m: float,
    most: int,
) -> Gaussians | None:
    """Returns what other chunks have trained in sight of one; None where that is nothing.

    Args:
        bench: Store.
        trained: The chunks as the last round left them.
        places: Their places in space, in the same order.
        number: Position of the chunk whose surroundings are asked for.
        sight: Keys of the blocks that its views see.
        voxel_m: Side of a voxel of the surface lattice, world unit.
        most: Bound on the Gaussians.
    """
    around: Gaussians | None = None
    for other in range(len(trained)):
        if other == number:
            continue
        splats = owned_splats(bench, trained, places, other, voxel_m)
        near = in_region(splats.means_in_world.astype(np.float64), sight, voxel_m)
        part = gaussians_from_splats(splats.select(near))
        around = part if around is None else joined(around, part)
    return None if around is None or not len(around) else thinned(around, most)


def thinned(gaussians: Gaussians, most: int) -> Gaussians:
    """Returns at most `most` of some Gaussians, as much wider as there are fewer of them.

    Every n-th in the order that they have, which is even in space for that of the memory.
    """
    count = len(gaussians)
    if count <= most:
        return gaussians
    rows = np.linspace(0, count - 1, most).astype(np.int64)
    fewer = gaussians.select(rows)
    wider = np.float32(0.5 * np.log(count / most))
    return replace(fewer, log_scales=fewer.log_scales + wider)
