import numpy as np
import pytest

from tests.analytic import camera_at
from worldloom.errors import ConfigError
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.surface import SurfaceConfig
from worldloom.surface._partition import Sightings, partition, pixels_seen

SIDE_M = 0.5


def blocks(x: int = 16, y: int = 16, z: int = 2) -> np.ndarray:
    grid = np.argwhere(np.ones((x, y, z))) - [x // 2, y // 2, 0]
    return np.sort(keys_from_cells(grid))


def seen_by_neighbours(keys: np.ndarray) -> Sightings:
    """Each view sees the blocks of one column of space."""
    columns = (cells_from_keys(keys)[:, 0] - cells_from_keys(keys)[:, 0].min()).astype(np.int32)
    rows = np.arange(len(keys))
    return Sightings(rows, columns, np.full(len(keys), 100.0))


def nobody() -> Sightings:
    return Sightings(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))


def test_a_small_scene_is_one_chunk():
    keys = blocks()
    assert partition(keys, seen_by_neighbours(keys), SIDE_M, SurfaceConfig()) == ((0, len(keys)),)


@pytest.mark.parametrize("most", [1, 7, 64, 100])
def test_runs_are_whole_in_order_and_bounded(most: int):
    keys = blocks()
    runs = partition(keys, seen_by_neighbours(keys), SIDE_M, SurfaceConfig(chunk_blocks=most))
    assert [first for first, _ in runs[1:]] == [end for _, end in runs[:-1]]
    assert (runs[0][0], runs[-1][1]) == (0, len(keys))
    assert max(end - first for first, end in runs) <= most


def test_runs_cost_about_the_same():
    keys = blocks(32, 32, 2)
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(len(keys)), 3)
    pixels = rng.lognormal(0, 1, len(rows)) * np.where(rows < 300, 20, 1)
    sightings = Sightings(rows, np.zeros(len(rows), np.int32), pixels)
    runs = partition(keys, sightings, SIDE_M, SurfaceConfig(chunk_blocks=500))
    cost = np.bincount(rows, pixels)
    costs = [cost[first:end].sum() for first, end in runs]
    assert len(runs) >= 4
    assert max(costs) < 2.5 * np.mean(costs)


def test_no_chunk_is_seen_by_more_views_than_allowed():
    keys = blocks()
    seen = seen_by_neighbours(keys)
    runs = partition(keys, seen, SIDE_M, SurfaceConfig(max_views_per_chunk=4))
    assert max(len(set(seen.views[first:end].tolist())) for first, end in runs) <= 4
    assert len(runs) <= 2 * 16 * 16 / 16


def test_no_chunk_reaches_beyond_its_box():
    keys = blocks()
    runs = partition(keys, nobody(), SIDE_M, SurfaceConfig(chunk_size_m=2.3))
    for first, end in runs:
        boxes = cells_from_keys(keys[first:end]) // 4
        assert (boxes == boxes[0]).all()
    assert len(runs) == 16


def test_a_run_of_next_to_no_cost_joins_its_neighbour():
    keys = blocks(8, 8, 1)
    rows = np.arange(60)
    sightings = Sightings(rows, np.zeros(60, np.int32), np.full(60, 1e6))
    config = SurfaceConfig(chunk_blocks=62)
    runs = partition(keys, sightings, SIDE_M, config)
    assert len(runs) == 2
    assert min(end - first for first, end in runs) > 4


def test_pixels_fall_with_the_square_of_the_depth():
    camera = camera_at(
        (0.25, 0.25, -10.0), (0.25, 0.25, 0), width_px=640, height_px=480, focal_px=500.0
    )
    keys = keys_from_cells(np.array([[0, 0, 0], [0, 0, 21]]))
    near, far = pixels_seen(camera, keys, SIDE_M).tolist()
    assert near == pytest.approx((500 * SIDE_M / 10.25) ** 2)
    assert near / far == pytest.approx((20.75 / 10.25) ** 2)


@pytest.mark.parametrize(
    "wrong", [{"max_views_per_chunk": 0}, {"chunk_size_m": 0.0}, {"chunk_size_m": float("nan")}]
)
def test_bounds_that_cannot_work_are_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SurfaceConfig(**wrong)  # pyright: ignore
