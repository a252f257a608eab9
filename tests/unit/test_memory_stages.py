import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytic import SphereInBox, camera_at, colors_of, ring
from tests.stored import made, store_depth
from worldloom.bench import Bench, BenchConfig
from worldloom.codec import from_json, to_json
from worldloom.errors import LimitError, ReconstructionError
from worldloom.lattice import touched_keys
from worldloom.memory import (
    CONTRIBUTE,
    FUSE_SHARD,
    Contribution,
    FusedShard,
    GeometricMemory,
    MemoryConfig,
    ShardIndex,
    contribute_work,
    load_cloud,
    load_memory,
    plan_shards,
    points_from_depth,
    shards_in_view,
    unite,
)
from worldloom.scene import DepthMap, DepthRef, PointCloud
from worldloom.stage import execute
from worldloom.store import artifact_key

SHAPE = SphereInBox()
CELL_M = 0.05
VOXEL_M = 0.04
CONFIG = MemoryConfig(min_confidence=0.0, shard_cells=32)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path)))


def stored(bench: Bench, depth_map: DepthMap) -> DepthRef:
    return store_depth(bench, depth_map, colors_of(depth_map))


def contributions(bench: Bench, config: MemoryConfig = CONFIG) -> list[Contribution]:
    maps = [SHAPE.depth_map(i, camera) for i, camera in enumerate(ring(5))]
    works = [contribute_work(stored(bench, m), config, CELL_M, VOXEL_M, 2.0) for m in maps]
    return [made(CONTRIBUTE, bench, work) for work in works]


def shards(bench: Bench, config: MemoryConfig = CONFIG) -> list[FusedShard]:
    works = plan_shards(contributions(bench, config), config)
    return [made(FUSE_SHARD, bench, work) for work in works]


def whole_memory() -> GeometricMemory:
    maps = [SHAPE.depth_map(i, camera) for i, camera in enumerate(ring(5))]
    return unite([GeometricMemory.from_depth(m, colors_of(m), CELL_M) for m in maps])


def assert_same_cloud(a: PointCloud, b: PointCloud) -> None:
    for name, wanted in vars(b).items():
        np.testing.assert_array_equal(vars(a)[name], wanted, err_msg=name)


def test_contribution_lists_shards_and_blocks(bench: Bench):
    contribution = contributions(bench)[1]
    depth_map = SHAPE.depth_map(1, ring(5)[1])
    memory = GeometricMemory.from_depth(depth_map, colors_of(depth_map), CELL_M)
    assert sum(shard.rows for shard in contribution.shards) == len(memory)
    assert [shard.shard for shard in contribution.shards] == np.unique(memory.cells >> 15).tolist()
    blocks = np.load(io.BytesIO(bench.store.read(contribution.artifact, "blocks.npy")))
    points = points_from_depth(depth_map).points_in_world
    np.testing.assert_array_equal(blocks, touched_keys(points, 16 * VOXEL_M, 2 * VOXEL_M))
    assert contribution.blocks == len(blocks)
    assert contribution.near_m == depth_map.depth.min()
    assert contribution.far_m == depth_map.depth.max()
    assert from_json(to_json(contribution), Contribution) == contribution


def test_shards_make_the_same_cloud_as_one_memory(bench: Bench):
    fused = shards(bench)
    assert len(fused) > 4
    whole = whole_memory().fused()
    assert sum(shard.cells for shard in fused) == len(whole)
    assert sum(shard.rows for shard in fused) == len(whole.views)
    assert_same_cloud(load_cloud(bench, fused[::-1], 2).cloud, whole.cloud(2))
    loaded = load_memory(bench, fused[::-1])
    cells = whole.cells[::3]
    assert loaded.covisible(0, cells) == whole.covisible(0, cells)
    camera = camera_at((0.9, 0.1, 0.9), (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(
        loaded.render(camera, 48, 36).depth, whole.render(camera, 48, 36).depth
    )


@pytest.mark.parametrize(
    "config",
    [
        MemoryConfig(min_confidence=0.0, shard_cells=16),
        MemoryConfig(min_confidence=0.0, shard_cells=1024),
        MemoryConfig(min_confidence=0.0, shard_cells=64, max_shard_rows=1000),
    ],
    ids=["many", "whole", "split"],
)
def test_cloud_does_not_depend_on_the_cut(bench: Bench, config: MemoryConfig):
    fused = shards(bench, config)
    assert_same_cloud(load_cloud(bench, fused, 1).cloud, whole_memory().fused().cloud(1))


def test_shards_do_not_depend_on_the_order_of_views(bench: Bench):
    fused = contributions(bench)
    assert plan_shards(fused[::-1], CONFIG) == plan_shards(fused, CONFIG)


def test_shards_in_view_hold_all_that_the_view_sees(bench: Bench):
    fused = shards(bench)
    camera = camera_at((0.9, 0.1, 0.9), (0.0, 0.0, 0.0), focal_px=160.0)
    seen = shards_in_view(fused, camera, 0.1, 1.2)
    assert 0 < len(seen) < len(fused)
    part = load_memory(bench, seen).in_frustum(camera, 0.1, 1.2)
    whole = whole_memory().fused().in_frustum(camera, 0.1, 1.2)
    np.testing.assert_array_equal(part.cells, whole.cells)


@given(seed=st.integers(0, 1000), count=st.integers(0, 40), near=st.floats(0.1, 1.0))
@settings(max_examples=30, deadline=None)
def test_the_index_finds_what_asking_each_shard_finds(seed: int, count: int, near: float):
    random = np.random.default_rng(seed)
    numbers = random.choice(2**12, count, replace=False).tolist()
    some = [
        FusedShard(n * 512, (n + 1) * 512, artifact_key("shard", 1, n), 0.05, n % 5, n % 5)
        for n in numbers
    ]
    # The corner of the Morton order is far from the origin; a camera near it, anywhere around.
    corner = FusedShard(0, 512, artifact_key("shard", 1, 0), 0.05, 1, 1).box_in_world()[0]
    ends = (tuple((corner + random.uniform(0, 6, 3)).tolist()) for _ in range(2))
    camera = camera_at(*ends, focal_px=160.0)
    one_by_one = [shard for shard in some if shards_in_view([shard], camera, near, 4.0)]
    found = ShardIndex(some).in_view(camera, near, 4.0)
    assert found == tuple(sorted(one_by_one, key=lambda shard: shard.first_key))
    assert all(shard.cells for shard in found)


def test_a_view_without_depth_is_a_contribution_of_nothing(bench: Bench):
    depth_map = SHAPE.depth_map(0, ring(5)[0])
    zeros = np.zeros_like(depth_map.depth)
    blank = DepthMap(0, depth_map.camera, zeros, zeros, depth_map.normal_in_world)
    work = contribute_work(stored(bench, blank), CONFIG, CELL_M, VOXEL_M, 2.0)
    nothing = made(CONTRIBUTE, bench, work)
    assert (nothing.shards, nothing.blocks, nothing.far_m) == ((), 0, 0.0)
    with pytest.raises(ReconstructionError, match="none of the 1 depth maps"):
        plan_shards([nothing], CONFIG)
    with pytest.raises(ReconstructionError, match="no shards"):
        load_memory(bench, [])
    with pytest.raises(ReconstructionError, match="no cells"):
        load_cloud(bench, [], 1)


def test_bad_depth_fails_its_view_alone(bench: Bench):
    depth_map = SHAPE.depth_map(3, ring(5)[3])
    depth_map.depth[0, 0] = np.nan
    work = contribute_work(stored(bench, depth_map), CONFIG, CELL_M, VOXEL_M, 2.0)
    outcome = execute(CONTRIBUTE, bench, work)
    assert outcome.failure is not None
    assert (outcome.failure.subject, outcome.failure.error) == ("view 3", "InputError")


def test_a_voxel_too_small_for_the_lattice_is_refused(bench: Bench):
    ref = stored(bench, SHAPE.depth_map(0, ring(5)[0]))
    outcome = execute(CONTRIBUTE, bench, contribute_work(ref, CONFIG, CELL_M, 1e-6, 2.0))
    assert outcome.failure is not None
    assert outcome.failure.error == LimitError.__name__
