"""What is shown: within its budget, the right way up, and found in the store."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shown import CELL_M, VOXEL_M, put_chunks, show_folder
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.display import (
    cloud_within,
    depth_picture,
    depth_span,
    existing_store,
    mesh_within,
    seam_squares,
    shard_boxes,
    stored_chunks,
    stored_views,
    surroundings,
    up_in_world,
)
from worldloom.errors import ConfigError
from worldloom.lattice import keys_from_cells
from worldloom.memory import BLOCK_VOXELS
from worldloom.neural import FIT_FIELD
from worldloom.scene import Mesh, PointCloud, ReconstructedScene
from worldloom.store import artifact_key
from worldloom.surface import ChunkFaces

LENS = CameraIntrinsics(100.0, 100.0, 32.0, 24.0, 64, 48)


def ball(rings: int, far: float = 0.0) -> Mesh:
    """A unit sphere with 4 rings^2 faces or so, red above and blue below."""
    down = np.linspace(0, np.pi, rings)
    around = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    theta, phi = np.meshgrid(down, around, indexing="ij")
    points = np.stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1
    ).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(rings - 1), np.arange(2 * rings), indexing="ij")
    a = row * 2 * rings + column
    b = row * 2 * rings + (column + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    faces = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)
    colors = np.where(points[:, 2:] > 0, [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    return Mesh(points + far, faces.astype(np.int32), colors)


@pytest.mark.parametrize(("rings", "budget"), [(30, 800), (120, 800)])
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_a_mesh_within_a_budget_is_still_the_shape(rings: int, budget: int, far: float):
    mesh = ball(rings, far)
    light = mesh_within(mesh, budget)
    assert budget / 2 < len(light.faces) <= budget
    radius = np.linalg.norm(light.vertices_in_world - far, axis=1)
    # Clustering takes means, which lie inside of a sphere.
    np.testing.assert_allclose(radius, 1.0, atol=0.06)
    assert light.colors is not None
    above = light.vertices_in_world[:, 2] - far > 0.05
    below = light.vertices_in_world[:, 2] - far < -0.05
    assert (light.colors[above] == [255, 0, 0]).all()
    assert (light.colors[below] == [0, 0, 255]).all()
    a, b, c = (light.vertices_in_world[light.faces[:, k]] - far for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi, rel=0.05)


def test_a_mesh_that_is_small_enough_is_the_same_one():
    mesh = ball(10)
    assert mesh_within(mesh, len(mesh.faces)) is mesh


@pytest.mark.parametrize("budget", [4, 10])
def test_meshes_that_are_none_do_not_break_it(budget: int):
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    assert len(mesh_within(empty, budget).faces) == 0
    one_place = Mesh(np.ones((30, 3)), np.arange(30, dtype=np.int32).reshape(-1, 3))
    assert np.isfinite(mesh_within(one_place, budget).vertices_in_world).all()


def test_vertices_that_are_not_finite_go_with_their_faces():
    mesh = ball(30)
    vertices = mesh.vertices_in_world.copy()
    vertices[7] = np.nan
    vertices[50, 1] = np.inf
    light = mesh_within(dataclasses.replace(mesh, vertices_in_world=vertices), 10_000)
    touched = np.isin(mesh.faces, [7, 50]).any(axis=1)
    assert len(light.faces) == len(mesh.faces) - touched.sum()
    assert np.isfinite(light.vertices_in_world).all()


def test_arrays_that_are_read_only_are_taken():
    mesh = ball(30)
    for array in (mesh.vertices_in_world, mesh.faces, mesh.colors):
        assert array is not None
        array.flags.writeable = False
    assert len(mesh_within(mesh, 400).faces) <= 400


def test_an_outlier_far_away_does_not_overflow_the_grid():
    mesh = ball(120)
    vertices = mesh.vertices_in_world.copy()
    vertices[0] = 1e30
    light = mesh_within(dataclasses.replace(mesh, vertices_in_world=vertices), 500)
    assert 0 < len(light.faces) <= 500


def test_a_budget_that_holds_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_faces is 3"):
        mesh_within(ball(5), 3)
    with pytest.raises(ConfigError, match="max_points is 0"):
        cloud_within(cloud(4), 0)


def cloud(count: int) -> PointCloud:
    rng = np.random.default_rng(1)
    return PointCloud(
        rng.normal(size=(count, 3)),
        np.zeros((count, 3), np.float32),
        rng.integers(0, 256, (count, 3), np.uint8),
        rng.random(count, np.float32),
        np.arange(count, dtype=np.int32),
    )


@given(st.integers(1, 200), st.integers(1, 250))
@settings(max_examples=40)
def test_a_cloud_within_a_budget_is_a_part_of_it_in_order(count: int, most: int):
    whole = cloud(count)
    part = cloud_within(whole, most)
    assert len(part) == min(count, most)
    assert (np.diff(part.count) > 0).all()
    for name in ("points_in_world", "colors", "confidence"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[part.count])
    np.testing.assert_array_equal(cloud_within(whole, most).count, part.count)


def test_points_that_are_nowhere_are_left_out():
    whole = cloud(20)
    whole.points_in_world[3] = np.nan
    part = cloud_within(whole, 100)
    assert len(part) == 19
    assert 3 not in part.count


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("tilt_deg", [0.0, 20.0])
def test_up_is_the_axis_that_level_cameras_suggest(axis: int, sign: int, tilt_deg: float):
    up = np.zeros(3)
    up[axis] = sign
    side = np.roll(up, 1)
    cameras: list[Camera] = []
    for turn in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        level = np.cos(turn) * side + np.sin(turn) * np.cross(up, side)
        angle = np.radians(tilt_deg)
        forward = np.cos(angle) * level - np.sin(angle) * up
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        cameras.append(Camera(LENS, pose))
    found = up_in_world(CameraTrajectory(tuple(cameras), tuple(range(8))))
    np.testing.assert_allclose(found, up, atol=1e-12)


def test_a_scene_without_faces_still_has_surroundings():
    cameras = CameraTrajectory((Camera(LENS, np.eye(4)),), (0,))
    around = surroundings(Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), cameras)
    assert around.radius > 0
    assert np.linalg.norm(around.outwards) == pytest.approx(1)
    assert around.outwards @ around.up > 0.5


def test_near_is_bright_far_is_dark_and_unknown_is_grey():
    depth = np.array([[1.0, 2.0, 4.0, 0.0]], np.float32)
    assert depth_span([depth]) == (pytest.approx(1.02, abs=0.01), pytest.approx(3.96, abs=0.01))
    picture = depth_picture(depth, 1.0, 4.0).astype(int)
    brightness = picture.sum(axis=-1)[0]
    assert brightness[0] > brightness[1] > brightness[2]
    assert len(set(picture[0, 3].tolist())) == 1
    assert depth_span([np.zeros((2, 2), np.float32)]) == (1.0, 2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scene")


@pytest.fixture(scope="module")
def scene(folder: Path) -> ReconstructedScene:
    return show_folder(folder)


def store_of(folder: Path) -> Bench:
    bench = existing_store(folder / "artifacts")
    assert bench is not None
    return bench


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path):
    assert existing_store(tmp_path / "artifacts") is None
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize("named", [True, False])
def test_views_are_found_by_the_manifest_or_by_their_cameras(
    folder: Path, scene: ReconstructedScene, named: bool
):
    evidence = dict(scene.metadata["evidence"])  # pyright: ignore
    if not named:
        del evidence["stored_views"]
    bench = store_of(folder)
    found = stored_views(bench, scene.cameras, evidence)
    assert sorted(found) == [0, 1, 2, 3]
    for view, ref in found.items():
        assert (ref.width_px, ref.height_px) == (96, 72)
        assert bench.depth_map(ref).depth.max() > 0
        assert bench.image(ref.frame, 96, 72).shape == (72, 96, 3)
        np.testing.assert_allclose(ref.camera.world_from_cam, scene.cameras[view].world_from_cam)


def test_views_of_other_cameras_are_not_taken_for_those_of_the_scene(
    folder: Path, scene: ReconstructedScene
):
    moved = scene.cameras.world_from_cams.copy()
    moved[:, 0, 3] += 0.01
    cameras = CameraTrajectory(
        tuple(Camera(c.intrinsics, p) for c, p in zip(scene.cameras, moved, strict=True)),
        tuple(range(4)),
    )
    assert stored_views(store_of(folder), cameras, {}) == {}


def test_only_finished_artifacts_are_listed(tmp_path: Path):
    bench = Bench(BenchConfig(str(tmp_path)))
    whole, half = "stage/aa/aaaa", "stage/bb/bbbb"
    for key in (whole, half):
        bench.store.write(key, "data.bin", b"1")  # pyright: ignore
    bench.store.commit(whole, {"a": 1})  # pyright: ignore
    bench.store.write(half, "result.json.123.tmp", b"{")  # pyright: ignore
    assert bench.store.finished("stage") == (whole,)
    assert bench.store.finished("other") == ()


def test_shards_are_those_of_the_cloud(folder: Path):
    bench = store_of(folder)
    (box,) = shard_boxes(bench, {"cloud_spacing_m": CELL_M})
    assert (box.upper_in_world > box.lower_in_world).all()
    assert shard_boxes(bench, {"cloud_spacing_m": 2 * CELL_M}) == []


def test_chunks_meet_at_their_seam(folder: Path):
    bench = store_of(folder)
    chunks = stored_chunks(bench, {"voxel_m": VOXEL_M})
    side = BLOCK_VOXELS * VOXEL_M
    np.testing.assert_allclose(chunks[0].box().upper_in_world, [2 * side] * 3)
    np.testing.assert_allclose(chunks[1].box().lower_in_world, [2 * side, 0, 0])
    squares = seam_squares(chunks)
    # Two by two blocks meet, on the plane between them; each face once.
    assert squares.shape == (4, 4, 3)
    np.testing.assert_allclose(squares[..., 0], 2 * side)
    edges = np.linalg.norm(np.roll(squares, -1, axis=1) - squares, axis=-1)
    np.testing.assert_allclose(edges, side)
    assert stored_chunks(bench, {}) == []
    assert seam_squares([]).shape == (0, 4, 3)
    assert len(seam_squares(chunks[:1])) == 0


def test_chunks_of_a_fitted_surface_are_its_own(tmp_path: Path):
    bench = Bench(BenchConfig(str(tmp_path)))
    put_chunks(bench)
    key = artifact_key(FIT_FIELD.name, FIT_FIELD.version, 0)
    bench.write_arrays(key, "faces.npz", block_keys=keys_from_cells(np.array([[5, 6, 7]])))
    bench.store.commit(key, ChunkFaces(0, key, 0, 0, 0, 0))
    (chunk,) = stored_chunks(bench, {"voxel_m": VOXEL_M})
    assert chunk.blocks.tolist() == [[5, 6, 7]]
