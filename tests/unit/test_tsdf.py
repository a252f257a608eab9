from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from tests.analytic import SphereInBox, camera_at, colors_of, ring
from tests.stage_run import StageRun
from tests.stored import made, store_depth
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera
from worldloom.errors import ConfigError, ReconstructionError
from worldloom.lattice import keys_from_cells, touched_keys
from worldloom.memory import CONTRIBUTE, MemoryConfig, contribute_work, points_from_depth
from worldloom.merge import load_mesh, merge_chunks
from worldloom.scene import DepthMap, Mesh
from worldloom.stage import execute
from worldloom.surface import (
    FUSE_CHUNK,
    SurfaceConfig,
    Volume,
    active_blocks,
    plan_chunks,
    polygons,
    surface_view,
    vertices_in_world,
)
from worldloom.surface._cases import cube_cases
from worldloom.surface._view import visible_blocks

SHAPE = SphereInBox()
VOXEL_M = 0.03
CONFIG = SurfaceConfig(min_component_faces=0)
CAMERAS = [*ring(10), *ring(8, 0.8, 1.1)]


def reconstruct(folder: Path, depth_maps: list[DepthMap], config: SurfaceConfig = CONFIG) -> Mesh:
    bench = Bench(BenchConfig(str(folder)))
    depth = {m.view_id: store_depth(bench, m, colors_of(m)) for m in depth_maps}
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, 0.06, VOXEL_M, 4.0))
        for ref in depth.values()
    ]
    works = plan_chunks(bench, contributions, depth, VOXEL_M, 4 * VOXEL_M, config)
    chunks = [made(FUSE_CHUNK, bench, work) for work in works]
    merged = merge_chunks(StageRun(bench), bench, chunks, (), VOXEL_M, config.min_component_faces)
    return load_mesh(bench, merged.mesh)


def exact_maps(cameras: list[Camera] = CAMERAS, *, outer: bool = True) -> list[DepthMap]:
    return [SHAPE.depth_map(i, camera, outer=outer) for i, camera in enumerate(cameras)]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    return reconstruct(tmp_path_factory.mktemp("store"), exact_maps())


def edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def boundary(faces: np.ndarray) -> np.ndarray:
    """Directed edges without their opposite."""
    directed = Counter(map(tuple, edges(faces).tolist()))
    assert max(directed.values()) == 1, "two faces run along an edge in the same direction"
    return np.array([e for e in directed if e[::-1] not in directed], np.int64).reshape(-1, 2)


def test_vertices_lie_on_the_true_surface(mesh: Mesh):
    error = SHAPE.distance(mesh.vertices_in_world) / VOXEL_M
    assert len(error) > 20_000
    assert np.median(error) < 0.03
    assert np.quantile(error, 0.99) < 0.3


def test_the_sphere_is_closed_across_blocks(tmp_path: Path):
    config = SurfaceConfig(min_views=1, min_component_faces=0, chunk_blocks=5)
    mesh = reconstruct(tmp_path, exact_maps(outer=False), config)
    from_centre = mesh.vertices_in_world - SHAPE.centre
    radius = np.linalg.norm(from_centre, axis=1)
    on_ball = np.abs(radius - SHAPE.radius_m) < 4 * VOXEL_M
    ball = mesh.faces[np.asarray(on_ball[mesh.faces].all(axis=1))]
    assert len(np.unique(np.floor(mesh.vertices_in_world[ball[:, 0]] / 16 / VOXEL_M), axis=0)) > 8
    assert len(boundary(ball)) == 0
    error = np.abs(radius[on_ball] - SHAPE.radius_m) / VOXEL_M
    assert np.quantile(error, 0.99) < 0.3
    assert error.max() < 0.4
    corners = mesh.vertices_in_world[ball] - SHAPE.centre
    volume = np.linalg.det(corners).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * SHAPE.radius_m**3, rel=1.5e-2)


def test_faces_and_normals_look_at_the_cameras(mesh: Mesh):
    assert mesh.normals_in_world is not None
    np.testing.assert_allclose(np.linalg.norm(mesh.normals_in_world, axis=1), 1, atol=1e-5)
    from_centre = mesh.vertices_in_world - SHAPE.centre
    radius = np.linalg.norm(from_centre, axis=1)
    on_ball = np.abs(radius - SHAPE.radius_m) < 4 * VOXEL_M
    outward = from_centre[on_ball] / radius[on_ball, None]
    assert ((mesh.normals_in_world[on_ball] * outward).sum(axis=1) > 0.9).all()
    wall = mesh.vertices_in_world[:, 0] > SHAPE.half_side_m - VOXEL_M / 2
    assert np.median(mesh.normals_in_world[wall, 0]) < -0.99


def test_no_face_is_degenerate_or_unused(mesh: Mesh):
    a, b, c = mesh.vertices_in_world[mesh.faces].transpose(1, 0, 2)
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 0
    assert len(np.unique(mesh.vertices_in_world, axis=0)) == len(mesh.vertices_in_world)
    np.testing.assert_array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices_in_world)))


def test_colors_are_those_of_the_images(mesh: Mesh):
    assert mesh.colors is not None
    assert mesh.normals_in_world is not None
    from_centre = mesh.vertices_in_world - SHAPE.centre
    radius = np.linalg.norm(from_centre, axis=1)
    on_ball = np.abs(radius - SHAPE.radius_m) < 4 * VOXEL_M
    wanted = np.clip(from_centre[on_ball] / SHAPE.radius_m * 127 + 128, 0, 255)
    error = np.abs(mesh.colors[on_ball].astype(float) - wanted).max(axis=1)
    assert np.median(error) < 2
    assert np.quantile(error, 0.99) < 10


@pytest.mark.parametrize("chunk_blocks", [1, 2, 4, 37])
def test_the_mesh_does_not_depend_on_the_chunks(tmp_path: Path, chunk_blocks: int):
    maps = exact_maps(CAMERAS[:4], outer=False)
    whole = reconstruct(tmp_path / "whole", maps, SurfaceConfig(min_component_faces=50))
    cut = SurfaceConfig(min_component_faces=50, chunk_blocks=chunk_blocks)
    other = reconstruct(tmp_path / "cut", maps, cut)
    for name, wanted in vars(whole).items():
        assert vars(other)[name].tobytes() == wanted.tobytes(), name


def test_the_mesh_does_not_depend_on_the_order_of_views(tmp_path: Path):
    maps = exact_maps(CAMERAS[:3], outer=False)
    meshes = [
        reconstruct(tmp_path / str(i), [maps[j] for j in order])
        for i, order in enumerate(permutations(range(3)))
    ]
    assert len({mesh.vertices_in_world.tobytes() + mesh.faces.tobytes() for mesh in meshes}) == 1


def test_a_plane_is_flat_from_one_view(tmp_path: Path):
    camera = camera_at((0.9, -0.9, 0.3), (0.9, -0.8, 1.5))
    mesh = reconstruct(tmp_path, exact_maps([camera]), SurfaceConfig(min_views=1))
    inner = np.abs(mesh.vertices_in_world[:, :2]).max(axis=1) < SHAPE.half_side_m - 4 * VOXEL_M
    on_wall = inner & (np.abs(mesh.vertices_in_world[:, 2] - SHAPE.half_side_m) < VOXEL_M)
    assert on_wall.sum() > 500
    error = np.abs(mesh.vertices_in_world[on_wall, 2] - SHAPE.half_side_m)
    assert error.max() < 0.3 * VOXEL_M


def test_block_values_do_not_depend_on_their_neighbours():
    maps = exact_maps(CAMERAS[:3])
    views = [surface_view(m, VOXEL_M, 4 * VOXEL_M, 0.0) for m in maps]
    touched = [
        touched_keys(points_from_depth(m).points_in_world, 16 * VOXEL_M, VOXEL_M) for m in maps
    ]
    keys = active_blocks(touched, 1)
    whole, alone = Volume.empty(keys, VOXEL_M), Volume.empty(keys[7:8], VOXEL_M)
    for view in views:
        whole.integrate(view, 4 * VOXEL_M, 0.3)
        alone.integrate(view, 4 * VOXEL_M, 0.3)
    assert whole.seen[7].any()
    np.testing.assert_array_equal(whole.distances[7], alone.distances[0])
    np.testing.assert_array_equal(whole.weights[7], alone.weights[0])


@pytest.mark.parametrize("outer", [True, False])
def test_blocks_taken_for_invisible_say_nothing(outer: bool, monkeypatch: pytest.MonkeyPatch):
    cells = np.argwhere(np.ones((9, 9, 9))) - 4
    keys = np.sort(keys_from_cells(cells))
    for depth_map in exact_maps(CAMERAS[:2], outer=outer):
        view = surface_view(depth_map, VOXEL_M, 4 * VOXEL_M, 0.0)
        visible = visible_blocks(view, keys, VOXEL_M)
        assert 0 < visible.sum() < 0.8 * len(keys)
        volume = Volume.empty(keys, VOXEL_M)
        with monkeypatch.context() as patch:
            patch.setattr(
                "worldloom.surface._volume.visible_blocks", lambda *_: np.ones(len(keys), np.bool_)
            )
            volume.integrate(view, 4 * VOXEL_M, 0.3)
        assert not volume.weights[~visible].any()
        assert not volume.seen[~visible].any()


def test_a_view_empties_the_space_before_its_surface():
    camera = camera_at((0.0, 0.0, -1.2), (0.0, 0.0, 0.0))
    view = surface_view(SHAPE.depth_map(0, camera), VOXEL_M, 4 * VOXEL_M, 0.0)
    keys = keys_from_cells(np.array([[0, 0, -2], [0, 0, -1], [0, 0, 0]]))
    volume = Volume.empty(keys, VOXEL_M)
    volume.integrate(view, 4 * VOXEL_M, 0.25)
    before, on, behind = range(3)
    assert (volume.distances[before] > 0).any()
    assert (volume.distances[before] == volume.weights[before])[volume.seen[before] == 0].all()
    assert (volume.distances[on] < 0).any()
    assert not volume.weights[behind, :6, :6, 8:].any()


def test_pixels_that_graze_or_doubt_are_left_out():
    camera = camera_at((0.0, 0.0, -1.2), (0.0, 0.0, 0.0))
    exact = SHAPE.depth_map(0, camera)
    side = np.full_like(exact.normal_in_world, 0)
    side[...] = camera.world_from_cam[:3, 0]
    grazing = DepthMap(0, camera, exact.depth, exact.confidence, side)
    rays = np.arange(96) + 0.5 - camera.intrinsics.cx
    weights = surface_view(grazing, VOXEL_M, 4 * VOXEL_M, 0.0).planes[..., 4]
    assert not weights[:, rays > -5].any()
    half = DepthMap(0, camera, exact.depth, exact.confidence * 0.4, exact.normal_in_world)
    assert not surface_view(half, VOXEL_M, 4 * VOXEL_M, 0.5).planes[..., 4].any()
    assert surface_view(half, VOXEL_M, 4 * VOXEL_M, 0.3).planes[..., 4].any()


def test_depth_without_normals_is_fused_too(tmp_path: Path):
    maps = [
        DepthMap(m.view_id, m.camera, m.depth, m.confidence, np.zeros_like(m.normal_in_world))
        for m in exact_maps()
    ]
    mesh = reconstruct(tmp_path, maps)
    error = SHAPE.distance(mesh.vertices_in_world) / VOXEL_M
    assert np.quantile(error, 0.9) < 0.5


def test_random_signs_make_closed_manifolds():
    rng = np.random.default_rng(4)
    values = rng.choice([-1.0, 1.0], (4, 17, 17, 17)) * rng.uniform(0.1, 1, (4, 17, 17, 17))
    outside = np.ones((17, 17, 17), np.bool_)
    outside[1:-1, 1:-1, 1:-1] = False
    values[:, outside] = 0.5
    ones = np.ones(values.shape, np.float32)
    keys = np.sort(keys_from_cells(np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]])))
    volume = Volume(1.0, keys, values.astype(np.float32), ones, ones.astype(np.uint16))
    mesh = polygons(volume, 1)
    assert len(boundary(mesh.faces)) == 0
    assert np.bincount(mesh.faces.ravel(), minlength=len(mesh.shares)).min() >= 3
    points = vertices_in_world(mesh.edge_keys, mesh.shares, 1.0)
    assert len(np.unique(points, axis=0)) == len(points)
    signed = np.linalg.det(points[mesh.faces] - points.mean(axis=0)).sum() / 6
    assert signed > 0


def test_cases_mirror_each_other():
    faces = cube_cases().faces
    assert faces.shape == (256, 15)
    assert (faces[[0, 255]] == -1).all()
    used = [set(row[row >= 0].tolist()) for row in faces]
    assert all(used[i] == used[255 - i] for i in range(256))


def test_no_common_surface_is_a_clear_error(tmp_path: Path):
    with pytest.raises(ReconstructionError, match="2 of the 1 views with depth agree") as caught:
        reconstruct(tmp_path, exact_maps(CAMERAS[:1]))
    assert caught.value.ids["stage"] == "fuse-chunk"


def test_views_without_depth_do_no_harm(tmp_path: Path):
    maps = exact_maps(CAMERAS[:4], outer=False)
    zeros = np.zeros_like(maps[0].depth)
    blank = DepthMap(9, maps[0].camera, zeros, zeros, np.zeros_like(maps[0].normal_in_world))
    wanted = reconstruct(tmp_path / "a", maps)
    got = reconstruct(tmp_path / "b", [*maps, blank])
    np.testing.assert_array_equal(got.vertices_in_world, wanted.vertices_in_world)
    np.testing.assert_array_equal(got.faces, wanted.faces)


def test_bad_depth_fails_its_chunk(tmp_path: Path):
    bench = Bench(BenchConfig(str(tmp_path)))
    maps = exact_maps(CAMERAS[:2], outer=False)
    depth = {m.view_id: store_depth(bench, m, colors_of(m)) for m in maps}
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, 0.06, VOXEL_M, 4.0))
        for ref in depth.values()
    ]
    work = plan_chunks(bench, contributions, depth, VOXEL_M, 4 * VOXEL_M, CONFIG)[0]
    broken = maps[1].depth.copy()
    broken[3, 3] = np.nan
    bench = Bench(bench.config)
    bench.write_arrays(
        depth[1].artifact,
        "depth.npz",
        depth=broken,
        confidence=maps[1].confidence,
        normal_in_world=maps[1].normal_in_world,
    )
    outcome = execute(FUSE_CHUNK, bench, work)
    assert outcome.failure is not None
    assert "view 1 has 1 depth values" in outcome.failure.message


def test_chunks_are_bounded_disjoint_and_complete(tmp_path: Path):
    bench = Bench(BenchConfig(str(tmp_path)))
    maps = exact_maps()
    depth = {m.view_id: store_depth(bench, m, colors_of(m)) for m in maps}
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, 0.06, VOXEL_M, 4.0))
        for ref in depth.values()
    ]
    plan = plan_chunks(
        bench, contributions, depth, VOXEL_M, 4 * VOXEL_M, SurfaceConfig(chunk_blocks=20)
    )
    assert plan == tuple(plan)
    blocks = [block for work in plan for block in work.chunk.blocks]
    assert len(plan) > 5
    assert max(len(work.chunk.blocks) for work in plan) == 20
    assert len(set(blocks)) == len(blocks)
    one = plan_chunks(bench, contributions[::-1], depth, VOXEL_M, 4 * VOXEL_M, SurfaceConfig())
    assert set(one[0].chunk.blocks) == set(blocks)
    for work in plan:
        assert list(work.chunk.views) == [ref.frame.view_id for ref in work.views]
        assert list(work.chunk.views) == sorted(work.chunk.views)
        keys = np.sort(keys_from_cells(np.array(work.chunk.blocks)))
        for depth_map in maps:
            volume = Volume.empty(keys, VOXEL_M)
            volume.integrate(surface_view(depth_map, VOXEL_M, 4 * VOXEL_M, 0.0), 4 * VOXEL_M, 1.0)
            if volume.weights.any():
                assert depth_map.view_id in work.chunk.views


@pytest.mark.parametrize(
    "wrong",
    [
        {"truncation_voxels": 0.5},
        {"carve_weight": -1.0},
        {"min_views": 0},
        {"min_confidence": 2.0},
        {"min_component_faces": -1},
        {"chunk_blocks": 0},
    ],
)
def test_config_refuses_what_cannot_work(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SurfaceConfig(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("views", "needed"), [(2, 2), (8, 2), (11, 2), (12, 3), (300, 3)])
def test_few_views_need_fewer_to_agree(views: int, needed: int):
    assert SurfaceConfig().views_needed(views) == needed
    assert SurfaceConfig(min_views=1).views_needed(views) == 1


def test_truncation_follows_the_noise_within_bounds():
    config = SurfaceConfig()
    at = [config.truncation_m(0.01, noise) / 0.01 for noise in (0.0, 0.005, 0.015, 0.02, 1.0)]
    assert at == pytest.approx([3, 3, 4.5, 6, 8])
    assert SurfaceConfig(truncation_voxels=5.0).truncation_m(0.01, 1.0) == pytest.approx(0.05)
