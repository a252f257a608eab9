"""What stands around a chunk: what it is, and that it is seen and not trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analytic import ring
from tests.splatting import VOXEL_M, some_scene, store_room, train_works
from tests.unit.test_splat_cuda import WEIGHTS, some_view
from worldloom.bench import Bench, BenchConfig
from worldloom.memory import load_memory
from worldloom.scene import Chunk
from worldloom.splat import SplatConfig, neighbours
from worldloom.splat._beginning import beginning
from worldloom.splat._cpu import CpuLearner
from worldloom.splat._crew import Crew
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._region import blocks_at, in_region, region_keys
from worldloom.splat._state import PARAMETERS, State, new_state
from worldloom.splat._surroundings import blocks_in_sight, thinned
from worldloom.splat._trainer import rates_at

CONFIG = SplatConfig(sh_interval=1, sh_degree=1)


def some_gaussians(count: int) -> Gaussians:
    scene = some_scene(count, degree=1, seed=4)
    logits = np.log(scene.opacities / (1.001 - scene.opacities)).astype(np.float32)
    return Gaussians(scene.means, np.log(scene.scales), scene.rotations, logits, scene.sh)


def state_of(gaussians: Gaussians) -> State:
    normals = np.random.default_rng(2).normal(size=(len(gaussians), 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return new_state(gaussians, normals.astype(np.float32), 2)


def test_a_step_with_surroundings_is_the_part_of_a_chunk_in_a_step_of_all() -> None:
    """A chunk minimises the loss of the whole scene over its own Gaussians."""
    everything, own = some_gaussians(120), np.arange(70)
    together = state_of(everything.select(np.arange(120)))
    alone = state_of(everything.select(np.arange(120))).select(own)
    around = everything.select(np.arange(70, 120))
    kept = {name: getattr(around, name).copy() for name in PARAMETERS}
    rates = rates_at(1, CONFIG, 0.1)
    expected = CpuLearner(together, WEIGHTS, Crew(1))
    learner = CpuLearner(alone, WEIGHTS, Crew(1), around)
    assert learner.step(0, some_view(), rates) == expected.step(0, some_view(), rates)
    for name in PARAMETERS:
        ours, theirs = getattr(alone.gaussians, name), getattr(together.gaussians, name)
        np.testing.assert_array_equal(ours, theirs[own], err_msg=name)
        np.testing.assert_array_equal(getattr(around, name), kept[name])
        assert (ours != getattr(everything, name)[own]).any()
    np.testing.assert_array_equal(alone.demand, together.demand[own])
    np.testing.assert_array_equal(alone.gains, together.gains)
    learner.step(1, some_view(), rates)
    shown = learner.render(some_view().camera, 1)
    # What the learner shows is the state as it is handed out, and what stands around it.
    again = CpuLearner(learner.state(), WEIGHTS, Crew(1), around)
    np.testing.assert_array_equal(again.render(some_view().camera, 1), shown)


def test_surroundings_alone_move_nothing() -> None:
    """A view that shows none of the chunk teaches it nothing."""
    state = state_of(some_gaussians(120)).select(np.arange(0))
    CpuLearner(state, WEIGHTS, Crew(1), some_gaussians(50)).step(
        0, some_view(), rates_at(1, CONFIG, 0.1)
    )
    assert state.step == 1
    assert len(state) == 0


def test_the_first_round_has_the_seeds_in_sight_around_it(tmp_path: Path) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    refs = store_room(bench, ring(8))
    work = train_works(bench, refs, SplatConfig(halo_blocks=0), chunk_blocks=60)[0]
    region = region_keys(work.chunk, 0)
    begun = beginning(bench, work, region, work.chunk.views)
    memory = load_memory(bench, work.shards)
    inside = in_region(memory.points_in_world, region, VOXEL_M)
    assert begun.seeds == len(begun.state) == inside.sum()
    # All views see all of this room, so what is not inside is around.
    assert begun.around is not None
    assert len(begun.around) == (~inside).sum() > 0
    few = beginning(bench, replace(work, config=SplatConfig(max_gaussians=200)), region, [0, 1])
    assert few.around is not None
    assert len(few.around) == 200


def test_blocks_in_sight_are_those_of_the_views_and_one_around(tmp_path: Path) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    (work,) = train_works(bench, store_room(bench, ring(4)), SplatConfig())
    memory = load_memory(bench, work.shards)
    seen = memory.seen_by([0, 2])
    expected = [
        {0, 2} & set(memory.views[a:b]) != set()
        for a, b in zip(memory.view_starts[:-1], memory.view_starts[1:], strict=True)
    ]
    np.testing.assert_array_equal(seen, expected)
    assert 0 < seen.sum() < len(seen)
    sight = blocks_in_sight(bench, work.shards, [0, 2], VOXEL_M)
    blocks = np.unique(blocks_at(memory.points_in_world[seen], VOXEL_M))
    assert set(blocks.tolist()) < set(sight.tolist())
    beyond = memory.points_in_world[seen] + 16 * VOXEL_M * np.array([1, 0, -1])
    assert in_region(beyond, sight, VOXEL_M).all()


def test_thinned_surroundings_cover_as_much() -> None:
    gaussians = some_gaussians(100)
    assert thinned(gaussians, 100) is gaussians
    fewer = thinned(gaussians, 25)
    assert len(fewer) == 25
    assert fewer.log_scales[0, 0] == pytest.approx(gaussians.log_scales[0, 0] + np.log(2))


def test_neighbours_share_a_view_or_touch() -> None:
    chunks = [
        Chunk(0, ((0, 0, 0), (1, 0, 0)), (0, 1)),
        Chunk(1, ((5, 0, 0),), (2,)),
        Chunk(2, ((40, 0, 0),), (1, 3)),
        Chunk(3, ((90, 0, 0),), (9,)),
    ]
    ids = [[chunk.chunk_id for chunk in near] for near in neighbours(chunks, 2)]
    assert ids == [[0, 1, 2], [0, 1], [0, 2], [3]]
    apart = [[chunk.chunk_id for chunk in near] for near in neighbours(chunks, 0)]
    assert apart == [[0, 2], [1], [0, 2], [3]]
