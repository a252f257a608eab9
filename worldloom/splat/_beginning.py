"""What a round of training begins with: the Gaussians of a chunk, and what stands around them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.memory import FusedMemory, load_memory
from worldloom.merge import load_mesh
from worldloom.scene import PointCloud
from worldloom.splat._anchor import anchored_cloud
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._region import in_region, owners
from worldloom.splat._seeds import seed_gaussians
from worldloom.splat._state import State, new_state, state_from_bytes
from worldloom.splat._surroundings import (
    blocks_in_sight,
    seeded_surroundings,
    trained_surroundings,
)
from worldloom.splat._work import TrainWork

STATE_FILE = "state.npz"
"""Of a round that is not the last: what the next one goes on from."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """What a round begins with."""

    state: State
    around: Gaussians | None
    """Seen along with those of the state, and not trained; None where there are none."""
    seeds: int
    """Cells that the first round began with."""
    halo: int
    """Gaussians of the halo that were left to their owners, in this round or before."""


def beginning(
    bench: Bench,
    work: TrainWork,
    region: Int64[np.ndarray, "k"] | None,
    view_ids: Sequence[int],
) -> Beginning:
    """Returns what a round begins with.

    The first begins with seeds, inside the chunk and its halo and around it. The others begin with
    what the round before has made of the chunk, without the halo, and with what it has made of the
    other chunks around it.

    Args:
        bench: Store.
        work: The chunk and the round.
        region: Keys of the blocks of the chunk and its halo; None for all of space.
        view_ids: Of the views that it is trained on.

    Raises:
        StageError: there are no seeds.
    """
    if region is None:
        cloud = seeds_of(bench, work, None)
        return Beginning(first_state(cloud, work, len(view_ids)), None, len(cloud), 0)
    sight = blocks_in_sight(bench, work.shards, view_ids, work.voxel_m)
    if work.before:
        return _taken_over(bench, work, np.union1d(sight, region))
    cloud = seeds_of(bench, work, region)
    around = seeded_surroundings(
        _cells(bench, work, np.setdiff1d(sight, region)),
        *(work.shards[0].cell_m, work.config.sh_degree, work.config.max_gaussians),
    )
    state = first_state(cloud, work, len(view_ids))
    return Beginning(state, around if len(around) else None, len(cloud), 0)


def _taken_over(bench: Bench, work: TrainWork, sight: Int64[np.ndarray, "k"]) -> Beginning:
    number = [chunk.chunk_id for chunk in work.before].index(work.chunk.chunk_id)
    own = work.before[number]
    state = state_from_bytes(bench.store.read(own.artifact, STATE_FILE).to_pybytes())
    count = len(state)
    if own.has_halo:

        def own_rows(gaussians: Gaussians) -> Int64[np.ndarray, "m"]:
            points = gaussians.means.astype(np.float64)
            return np.flatnonzero(owners(points, work.places, work.voxel_m) == number)

        best = state.best
        state = state.select(own_rows(state.gaussians))
        if best is not None:
            kept = best.gaussians.select(own_rows(best.gaussians))
            state.best = replace(best, gaussians=kept)
    around = trained_surroundings(
        *(bench, work.before, work.places, number),
        *(sight, work.voxel_m, work.config.max_gaussians),
    )
    return Beginning(state, around, own.seeds, own.halo + count - len(state))


def seeds_of(bench: Bench, work: TrainWork, region: Int64[np.ndarray, "k"] | None) -> PointCloud:
    """Returns the cells of the memory in a region, None for all, that become Gaussians.

    Raises:
        StageError: there are none.
    """
    cloud = _cells(bench, work, region)
    if not len(cloud):
        raise StageError(
            f"{work.subject} has no seeds: no cell of its memory is seen by {work.min_views} "
            "views; lower min_views",
            stage="train",
            subject=work.subject,
        )
    return cloud


def _cells(bench: Bench, work: TrainWork, blocks: Int64[np.ndarray, "k"] | None) -> PointCloud:
    """Cells in some blocks, None for all, put onto the anchor."""

    def inside(memory: FusedMemory) -> Bool[np.ndarray, "n"]:
        assert blocks is not None
        return in_region(memory.points_in_world, blocks, work.voxel_m)

    memory = load_memory(bench, work.shards, None if blocks is None else inside)
    cloud = memory.cloud(work.min_views)
    if work.anchor is None:
        return cloud
    return anchored_cloud(load_mesh(bench, work.anchor), cloud, work.shards[0].cell_m)


def first_state(cloud: PointCloud, work: TrainWork, views: int) -> State:
    """Returns the state before the first step, with no more than `max_gaussians`."""
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
