import numpy as np
import pytest

from tests.analytic import SphereInBox, camera_at, colors_of, ring
from worldloom.errors import ConfigError, InputError, LimitError
from worldloom.lattice import (
    AXIS_LIMIT,
    cells_from_keys,
    cells_from_points,
    keys_from_cells,
    touched_keys,
)
from worldloom.memory import (
    MOST_VIEWS,
    FusedMemory,
    GeometricMemory,
    MemoryConfig,
    points_from_depth,
    read_fused,
    read_rows,
    unite,
    write_fused,
    write_rows,
)
from worldloom.scene import DepthMap

SHAPE = SphereInBox()
CELL_M = 0.05


@pytest.fixture(scope="module")
def depth_maps() -> list[DepthMap]:
    return [SHAPE.depth_map(i, camera) for i, camera in enumerate(ring(6))]


@pytest.fixture(scope="module")
def memories(depth_maps: list[DepthMap]) -> list[GeometricMemory]:
    return [GeometricMemory.from_depth(d, colors_of(d), CELL_M) for d in depth_maps]


def arrays(memory: GeometricMemory | FusedMemory) -> dict[str, np.ndarray]:
    return {k: v for k, v in vars(memory).items() if isinstance(v, np.ndarray)}


def assert_same(a: GeometricMemory | FusedMemory, b: GeometricMemory | FusedMemory) -> None:
    left, right = arrays(a), arrays(b)
    for name in left.keys() & right.keys():
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def with_depth(depth_map: DepthMap, depth: np.ndarray) -> DepthMap:
    return DepthMap(
        depth_map.view_id,
        depth_map.camera,
        depth.astype(np.float32),
        depth_map.confidence,
        depth_map.normal_in_world,
    )


def test_keys_name_cells_and_keep_cubes_together():
    cells = np.random.default_rng(0).integers(-AXIS_LIMIT, AXIS_LIMIT, (5000, 3))
    keys = keys_from_cells(cells)
    np.testing.assert_array_equal(cells_from_keys(keys), cells)
    cube = np.argwhere(np.ones((8, 8, 8)))
    inside = np.sort(keys_from_cells(cube + np.array([16, -24, 8])))
    np.testing.assert_array_equal(np.diff(inside), 1)


def test_keys_outside_the_lattice_are_refused():
    with pytest.raises(LimitError, match="larger cells") as caught:
        keys_from_cells(np.array([[0, AXIS_LIMIT, 0]]))
    assert caught.value.ids["limit"] == AXIS_LIMIT


def test_touched_cells_are_those_within_the_margin():
    points = np.random.default_rng(1).uniform(-1, 1, (300, 3))
    touched = cells_from_keys(touched_keys(points, 0.25, 0.03))
    wanted = {
        tuple(np.floor((point + corner) / 0.25).astype(int).tolist())
        for point in points
        for corner in np.stack(np.meshgrid(*[[-0.03, 0.03]] * 3), axis=-1).reshape(-1, 3)
    }
    assert {tuple(cell) for cell in touched.tolist()} == wanted


def test_a_view_gives_one_row_a_cell_on_the_surface(memories: list[GeometricMemory]):
    memory = memories[0]
    assert (np.diff(memory.cells) > 0).all()
    assert (memory.views == 0).all()
    fused = memory.fused()
    assert SHAPE.distance(fused.points_in_world).max() < CELL_M * 0.5
    np.testing.assert_array_equal(
        cells_from_keys(fused.cells), np.floor(fused.points_in_world / CELL_M)
    )


def test_fused_cells_average_their_views(memories: list[GeometricMemory]):
    united = unite(memories)
    fused = united.fused()
    cell = fused.cells[np.argmax(fused.count)]
    rows = united.select(united.cells == cell)
    at = int(np.searchsorted(fused.cells, cell))
    assert fused.count[at] == len(rows) >= 3
    np.testing.assert_array_equal(
        fused.views[fused.view_starts[at] : fused.view_starts[at + 1]], rows.views
    )
    weights = rows.confidence.astype(float)
    np.testing.assert_allclose(
        fused.offsets[at], np.average(rows.offsets, axis=0, weights=weights), atol=0.51
    )
    np.testing.assert_allclose(
        fused.colors[at], np.average(rows.colors, axis=0, weights=weights), atol=0.51
    )
    lengths = np.linalg.norm(fused.cloud().normals_in_world, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-4)


def test_cloud_keeps_what_enough_views_agree_on(memories: list[GeometricMemory]):
    fused = unite(memories).fused()
    cloud = fused.cloud(min_views=3)
    assert 0 < len(cloud) == int((fused.count >= 3).sum()) < len(fused)
    assert cloud.count.min() == 3
    assert SHAPE.distance(cloud.points_in_world).max() < CELL_M * 0.5
    assert len(fused.cloud(min_views=100)) == 0


def test_covisible_counts_shared_cells(memories: list[GeometricMemory]):
    fused = unite(memories).fused()
    sets = [set(memory.cells.tolist()) for memory in memories]
    for view in range(6):
        wanted = {
            other: len(sets[view] & sets[other])
            for other in range(6)
            if other != view and sets[view] & sets[other]
        }
        found = fused.covisible(view, memories[view].cells)
        assert found.others == wanted
        assert found.own == len(sets[view])
    assert fused.covisible(0, np.empty(0, np.int64)).others == {}


def _crowd(views: int, cells: int, seed: int) -> tuple[GeometricMemory, np.ndarray]:
    """Cells that many views see, each with its own chance; rows and who sees what."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.2, 1.0, views)
    sees = rng.random((cells, views)) < chance
    sees[:, 0] = True
    cell, view = np.nonzero(sees)
    size = len(cell)
    return GeometricMemory(
        CELL_M,
        cells=cell.astype(np.int64),
        views=view.astype(np.int32),
        offsets=np.full((size, 3), 2**15, np.uint16),
        normals=np.zeros((size, 3), np.int8),
        colors=np.zeros((size, 3), np.uint8),
        confidence=np.full(size, 200, np.uint8),
        count=np.ones(size, np.uint16),
    ), sees


def test_a_cell_that_many_see_names_a_fair_sample_of_them():
    rows, sees = _crowd(views=400, cells=600, seed=3)
    fused = rows.fused()
    assert (fused.count == sees.sum(axis=1)).all(), "who is not named is counted"
    assert (np.diff(fused.view_starts) == MOST_VIEWS).all()
    newest = fused.views[fused.view_starts[1:] - 1]
    np.testing.assert_array_equal(newest, [np.flatnonzero(row)[-1] for row in sees])
    found = fused.covisible(0, fused.cells)
    assert found.own == 600
    shared = np.array([found.others.get(view, 0.0) for view in range(1, 400)])
    truth = sees[:, 1:].sum(axis=0)
    # A view is named in about a quarter of its cells: 600 of them tell it to some 10 %.
    assert np.abs(shared / truth - 1).mean() < 0.12
    assert abs(shared.sum() / truth.sum() - 1) < 0.02


def test_whom_a_cell_names_does_not_depend_on_the_way_there():
    rows, _ = _crowd(views=150, cells=40, seed=5)
    parts = [rows.select(rows.views % 7 == k) for k in range(7)]
    again = unite(parts[::-1]).fused()
    np.testing.assert_array_equal(again.views, rows.fused().views)
    half = rows.select(rows.cells < 20).fused()
    np.testing.assert_array_equal(half.views, again.select(again.cells < 20).views)
    read = read_fused(write_fused(again))
    np.testing.assert_array_equal(read.views, again.views)
    np.testing.assert_array_equal(read.count, again.count)


def test_stride_and_confidence_thin_out(depth_maps: list[DepthMap]):
    depth_map = depth_maps[0]
    colors = colors_of(depth_map)
    sparse = GeometricMemory.from_depth(depth_map, colors, CELL_M, stride_px=3)
    assert sparse.count.sum() == 96 // 3 * 72 // 3
    half = depth_map.confidence.copy()
    half[:36] = 0.2
    doubtful = DepthMap(0, depth_map.camera, depth_map.depth, half, depth_map.normal_in_world)
    sure = GeometricMemory.from_depth(doubtful, colors, CELL_M, min_confidence=0.5)
    assert sure.count.sum() == 36 * 96


def test_a_view_without_depth_contributes_nothing(
    depth_maps: list[DepthMap], memories: list[GeometricMemory]
):
    blank = with_depth(depth_maps[0], np.zeros((72, 96)))
    empty = GeometricMemory.from_depth(blank, colors_of(blank), CELL_M)
    assert len(empty) == 0
    assert_same(empty.union(memories[1]), memories[1])
    fused = empty.fused()
    assert len(fused) == len(fused.cloud()) == 0
    assert (fused.render(depth_maps[0].camera, 24, 18).depth == 0).all()
    assert fused.covisible(0, empty.cells).others == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_depth_that_is_no_depth_is_refused(depth_maps: list[DepthMap], bad: float):
    depth = depth_maps[2].depth.copy()
    depth[5, 7] = bad
    with pytest.raises(InputError, match=r"view 2 has 1 depth values .* write 0") as caught:
        GeometricMemory.from_depth(
            with_depth(depth_maps[2], depth), colors_of(depth_maps[2]), CELL_M
        )
    assert caught.value.ids["view"] == 2


def test_points_beyond_the_lattice_are_refused(depth_maps: list[DepthMap]):
    far = with_depth(depth_maps[0], depth_maps[0].depth * 1e6)
    with pytest.raises(LimitError, match="move the trajectory nearer"):
        GeometricMemory.from_depth(far, colors_of(far), CELL_M)


@pytest.mark.parametrize("cell_m", [0.0, -1.0, np.nan, np.inf])
def test_cell_size_must_be_positive(cell_m: float):
    with pytest.raises(ConfigError, match="positive"):
        GeometricMemory.empty(cell_m)


@pytest.mark.parametrize(
    "wrong",
    [{"stride_px": 0}, {"min_confidence": 1.5}, {"min_views": 0}, {"shard_cells": 100}],
)
def test_config_refuses_what_cannot_work(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MemoryConfig(**wrong)  # pyright: ignore[reportArgumentType]


def test_two_versions_of_a_view_are_refused(depth_maps: list[DepthMap]):
    first = GeometricMemory.from_depth(depth_maps[0], colors_of(depth_maps[0]), CELL_M)
    moved = with_depth(depth_maps[0], depth_maps[0].depth + 1e-3)
    second = GeometricMemory.from_depth(moved, colors_of(moved), CELL_M)
    with pytest.raises(InputError, match="two different depth maps of view 0"):
        first.union(second)


def test_cells_of_two_sizes_are_refused(memories: list[GeometricMemory]):
    with pytest.raises(InputError, match="one cell size"):
        memories[0].union(GeometricMemory.empty(0.1))


def test_snapshots_restore_every_bit(memories: list[GeometricMemory]):
    united = unite(memories)
    groups = [united.select(slice(0, 500)), united.select(slice(500, None))]
    snapshot = write_rows(CELL_M, groups)
    restored = read_rows(snapshot)
    assert restored.cell_m == CELL_M
    assert_same(restored, united)
    assert_same(read_rows(snapshot, [1]), groups[1])
    assert write_rows(CELL_M, groups).equals(snapshot)
    fused = united.fused()
    assert_same(read_fused(write_fused(fused)), fused)
    assert len(read_rows(write_rows(CELL_M, []))) == 0


def test_a_table_of_another_kind_is_refused(memories: list[GeometricMemory]):
    with pytest.raises(InputError, match=r"memory\.rows table of version 1 was expected"):
        read_rows(write_fused(memories[0].fused()))


def test_selection_by_box_and_frustum(memories: list[GeometricMemory]):
    fused = unite(memories).fused()
    lower, upper = np.array([-0.5, -0.5, -0.5]), np.array([0.2, 0.5, 0.5])
    box = fused.in_box(lower, upper)
    inside = ((fused.points_in_world >= lower) & (fused.points_in_world < upper)).all(axis=1)
    np.testing.assert_array_equal(box.cells, fused.cells[inside])
    assert_same(box, fused.select(inside))
    camera = camera_at((0.0, 0.0, -1.4), (0.0, 0.0, 0.0))
    seen = fused.in_frustum(camera, 0.5, 1.2)
    pixels, depth = camera.project(seen.points_in_world)
    assert len(seen) > 0
    assert ((pixels >= 0) & (pixels < (96, 72))).all()
    assert depth.min() >= 0.5
    assert depth.max() <= 1.2


def test_rendered_prior_matches_the_truth_from_a_new_view(memories: list[GeometricMemory]):
    camera = camera_at((0.9, 0.1, 0.9), (0.0, 0.0, 0.0))
    truth = SHAPE.depth_map(99, camera)
    fused = unite(memories).fused()
    prior = fused.render(camera, 96, 72)
    known = prior.depth > 0
    points = points_from_depth(truth).points_in_world
    in_memory = np.isin(keys_from_cells(cells_from_points(points, CELL_M)), fused.cells)
    assert in_memory.mean() > 0.7
    assert known.reshape(-1)[in_memory].all()
    error = np.abs(prior.depth - truth.depth).reshape(-1)[in_memory]
    assert np.median(error) < 0.1 * CELL_M
    assert np.quantile(error, 0.9) < 0.5 * CELL_M
    assert (prior.count > 0).tolist() == known.tolist()
    assert prior.confidence[known].min() > 0.99
    agree = (prior.normal_in_world * truth.normal_in_world).sum(axis=-1).reshape(-1)[in_memory]
    assert np.median(agree) > 0.99


def test_prior_does_not_see_surfaces_from_behind(memories: list[GeometricMemory]):
    outside = camera_at((0.0, 0.0, -4.0), (0.0, 0.0, 0.0))
    prior = unite(memories).fused().render(outside, 96, 72)
    middle = prior.depth[26:46, 38:58]
    seen = middle > 0
    assert seen.mean() > 0.5
    assert (middle[seen] > 3.2).all()
