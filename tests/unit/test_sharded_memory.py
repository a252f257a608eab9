from pathlib import Path

import numpy as np
import pytest

from tests.analytic import camera_at
from tests.unit.test_memory_stages import shards, whole_memory
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, StoreError
from worldloom.memory import ShardedMemory, load_cloud
from worldloom.store import ArtifactKey


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path)))


def test_a_box_with_its_halo_holds_what_the_whole_holds(bench: Bench):
    memory = ShardedMemory(bench, shards(bench)[::-1])
    whole = whole_memory().fused()
    lower, upper = np.array([-0.2, -0.1, -0.3]), np.array([0.1, 0.3, 0.2])
    for halo_m in (0.0, 0.15):
        found = memory.in_box(lower, upper, halo_m)
        assert found is not None
        expected = whole.in_box(lower - halo_m, upper + halo_m)
        np.testing.assert_array_equal(found.cells, expected.cells)
        assert len(found)
    assert memory.in_box(upper + 50, upper + 51) is None


def test_a_frustum_holds_what_the_whole_holds(bench: Bench):
    memory = ShardedMemory(bench, shards(bench))
    camera = camera_at((0.9, 0.1, 0.9), (0.0, 0.0, 0.0), focal_px=160.0)
    found = memory.in_frustum(camera, 0.1, 1.2)
    assert found is not None
    expected = whole_memory().fused().in_frustum(camera, 0.1, 1.2)
    np.testing.assert_array_equal(found.cells, expected.cells)
    assert memory.in_frustum(camera, 1000.0, 1001.0) is None


def test_the_nearest_cells_are_found_across_shards(bench: Bench):
    memory = ShardedMemory(bench, shards(bench))
    places = whole_memory().fused().points_in_world
    asked = np.concatenate([places[::97] + 0.003, [[40.0, 0, 0]]])
    found = memory.nearest(asked, 3, 0.1)
    exact = np.sort(np.linalg.norm(asked[:-1, None] - places[None], axis=2), axis=1)[:, :3]
    exact[exact >= 0.1] = np.inf
    np.testing.assert_allclose(found.distance[:-1], exact, atol=1e-12)
    assert np.isinf(found.distance[-1]).all()
    assert (found.cells[-1] == -1).all()
    assert np.isnan(found.points_in_world[-1]).all()
    near = found.points_in_world[:-1, 0] - asked[:-1]
    np.testing.assert_allclose(np.linalg.norm(near, axis=1), found.distance[:-1, 0])
    with pytest.raises(ConfigError, match="k of at least 1"):
        memory.nearest(asked, 0, 0.1)


def test_a_snapshot_is_found_again_by_another_process(bench: Bench):
    memory = ShardedMemory(bench, shards(bench))
    key = memory.snapshot()
    assert key == memory.snapshot()
    again = ShardedMemory.restore(Bench(bench.config), key)
    assert again.shards == memory.shards
    with pytest.raises(StoreError, match="no snapshot"):
        ShardedMemory.restore(bench, ArtifactKey("memory-snapshot/00/none"))


def test_a_bound_keeps_the_best_points_whatever_the_cut(bench: Bench):
    fused = shards(bench)
    whole = load_cloud(bench, fused, 1)
    assert whole.bound is None
    count = len(whole.cloud) // 3
    found = load_cloud(bench, fused[::-1], 1, count)
    assert len(found.cloud) == count
    assert found.bound is not None
    assert (found.bound.max_points, found.bound.found) == (count, len(whole.cloud))
    memory = whole_memory().fused()
    newest = memory.views[memory.view_starts[1:] - 1]
    order = np.lexsort((np.arange(len(memory)), -newest, -memory.confidence.astype(int)))
    expected = np.sort(order[:count])
    np.testing.assert_array_equal(
        found.cloud.points_in_world, memory.cloud(1).points_in_world[expected]
    )
    assert load_cloud(bench, fused, 1, len(whole.cloud)).bound is None
