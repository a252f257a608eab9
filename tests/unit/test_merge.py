from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from tests.stage_run import StageRun
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ReconstructionError, StageError
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.merge import Merge, load_mesh, merge_chunks, mesh_parts
from worldloom.merge._alignment import _Target, align_points
from worldloom.merge._territory import Territory, blocks_of_edges, crosses_border, territories
from worldloom.scene import Mesh
from worldloom.store import ArtifactKey
from worldloom.surface import ChunkFaces, Volume, polygons, vertex_normals


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path)))


def ball_chunk(
    bench: Bench, number: int, block: tuple[int, int, int], radius: float, shade: int = 100
) -> ChunkFaces:
    """A chunk of one block with a ball in its middle."""
    keys = keys_from_cells(np.array([block]))
    grid = np.argwhere(np.ones((17, 17, 17))) - 8.1
    values = (np.linalg.norm(grid, axis=1) - radius).reshape(1, 17, 17, 17).astype(np.float32)
    ones = np.ones(values.shape, np.float32)
    mesh = polygons(Volume(1.0, keys, values, ones, ones.astype(np.uint16)), 1)
    artifact = ArtifactKey(f"chunk/{number}")
    bench.write_arrays(
        artifact,
        "faces.npz",
        block_keys=keys,
        face_counts=mesh.face_counts,
        edge_keys=mesh.edge_keys,
        shares=mesh.shares,
        colors=np.full((len(mesh.shares), 3), shade, np.uint8),
        faces=mesh.faces,
    )
    return ChunkFaces(
        number, artifact, len(mesh.shares), len(mesh.faces), int(keys[0]), int(keys[-1])
    )


def chunk_of(
    bench: Bench,
    number: int,
    blocks: list[tuple[int, int, int]],
    centre: tuple[float, ...],
    radius: float,
) -> ChunkFaces:
    """A chunk of some blocks of a volume that holds one ball, in voxels."""
    keys = np.sort(keys_from_cells(np.array(blocks)))
    order = cells_from_keys(keys)
    grid = np.argwhere(np.ones((17, 17, 17)))
    samples = order[:, None] * 16 + grid[None]
    values = np.linalg.norm(samples - np.array(centre), axis=2) - radius
    values = values.reshape(-1, 17, 17, 17).astype(np.float32)
    ones = np.ones(values.shape, np.float32)
    mesh = polygons(Volume(1.0, keys, values, ones, ones.astype(np.uint16)), 1)
    artifact = ArtifactKey(f"chunk/{len(blocks)}-{number}")
    bench.write_arrays(
        artifact,
        "faces.npz",
        block_keys=keys,
        face_counts=mesh.face_counts,
        edge_keys=mesh.edge_keys,
        shares=mesh.shares,
        colors=(mesh.edge_keys[:, None] * [1, 3, 7] % 251).astype(np.uint8),
        faces=mesh.faces,
    )
    return ChunkFaces(
        number, artifact, len(mesh.shares), len(mesh.faces), int(keys[0]), int(keys[-1])
    )


def merged(bench: Bench, chunks: list[ChunkFaces], min_faces: int = 0) -> Merge:
    return merge_chunks(StageRun(bench), bench, chunks, (), 0.5, min_faces)


def same(one: Mesh, other: Mesh) -> bool:
    return all(
        a.tobytes() == b.tobytes()
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def test_small_pieces_go_and_the_count_says_so(bench: Bench):
    large, small = ball_chunk(bench, 0, (0, 0, 0), 6.0), ball_chunk(bench, 1, (1, 0, 0), 2.0)
    both = merged(bench, [large, small]).mesh
    assert (both.components, both.removed_components, both.removed_faces) == (2, 0, 0)
    assert both.faces == large.faces + small.faces
    one = merged(bench, [large, small], min_faces=small.faces + 1).mesh
    assert (one.components, one.removed_components) == (1, 1)
    assert one.removed_faces == small.faces
    assert (one.faces, one.vertices) == (large.faces, large.vertices)
    mesh = load_mesh(bench, one)
    radius = np.linalg.norm(mesh.vertices_in_world - 8.1 * 0.5, axis=1)
    np.testing.assert_allclose(radius, 3.0, atol=0.05)


def test_the_largest_piece_always_stays(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    assert merged(bench, [chunk], min_faces=10**6).mesh.faces == chunk.faces


BLOCKS = [(x, y, z) for x in (-2, -1, 0, 1) for y in (-1, 0) for z in (-1, 0)]


def in_runs(bench: Bench, length: int, radius: float = 12.0) -> list[ChunkFaces]:
    """A ball across sixteen blocks, in chunks of runs of the Morton order."""
    keys = np.sort(keys_from_cells(np.array(BLOCKS)))
    runs = [keys[i : i + length] for i in range(0, len(keys), length)]
    centre = (-0.3, 1.2, 0.4)
    return [
        chunk_of(bench, n, [tuple(c) for c in cells_from_keys(run).tolist()], centre, radius)
        for n, run in enumerate(runs)
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_the_mesh_does_not_depend_on_the_cut(bench: Bench, length: int):
    whole = merged(bench, in_runs(bench, 16))
    cut = merged(bench, in_runs(bench, length), min_faces=10**6)
    assert same(load_mesh(bench, whole.mesh), load_mesh(bench, cut.mesh))
    assert (cut.mesh.components, cut.mesh.removed_faces) == (1, 0)
    assert (cut.mesh.vertices, cut.mesh.faces) == (whole.mesh.vertices, whole.mesh.faces)
    assert whole.seams == ()
    assert cut.seams
    assert {(s.gap_m, s.color_step, s.one_sided_vertices) for s in cut.seams} == {(0.0, 0, 0)}
    assert sum(seam.shared_vertices for seam in cut.seams) > 50


def test_the_mesh_is_closed_and_smooth_across_chunks(bench: Bench):
    mesh = load_mesh(bench, merged(bench, in_runs(bench, 2)).mesh)
    solid = trimesh.Trimesh(mesh.vertices_in_world, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.euler_number == 2
    out = mesh.vertices_in_world - np.array([-0.3, 1.2, 0.4]) * 0.5
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    assert mesh.normals_in_world is not None
    assert ((out * mesh.normals_in_world).sum(axis=1) > 0.95).all()


def test_borders_are_joined_in_a_tree(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    whole = merged(bench, in_runs(bench, 16)).mesh
    monkeypatch.setattr("worldloom.merge._surface.FAN_IN", 2)
    run = StageRun(bench)
    tree = merge_chunks(run, bench, in_runs(bench, 1), (), 0.5, 0)
    chunks = run.items["find-pieces"]
    assert chunks == 8
    assert run.items["join-borders"] == 4 + 2 + 1
    assert same(load_mesh(bench, whole), load_mesh(bench, tree.mesh))
    assert {(s.gap_m, s.color_step, s.one_sided_vertices) for s in tree.seams} == {(0.0, 0, 0)}


def test_parts_are_the_whole(bench: Bench):
    result = merged(bench, in_runs(bench, 3))
    parts = list(mesh_parts(bench, result.mesh))
    assert len(parts) == len(result.mesh.parts) > 3
    whole = load_mesh(bench, result.mesh)
    np.testing.assert_array_equal(np.concatenate([p.faces for p in parts]), whole.faces)
    np.testing.assert_array_equal(
        np.concatenate([p.vertices_in_world for p in parts]), whole.vertices_in_world
    )


def test_a_part_that_is_missing_leaves_a_hole_and_no_wild_faces(bench: Bench):
    result = merged(bench, in_runs(bench, 4)).mesh
    fewer = replace(result, parts=result.parts[:1] + result.parts[2:])
    mesh = load_mesh(bench, fewer)
    assert 0 < len(mesh.faces) < result.faces
    assert mesh.faces.max() < len(mesh.vertices_in_world)
    edges = mesh.vertices_in_world[mesh.faces] - mesh.vertices_in_world[np.roll(mesh.faces, 1, 1)]
    assert np.linalg.norm(edges, axis=2).max() < 2 * 0.5


def test_the_order_of_chunks_does_not_matter(bench: Bench):
    chunks = [ball_chunk(bench, i, (i, 0, 0), 2.0 + i) for i in range(3)]
    assert merged(bench, chunks[::-1]) == merged(bench, chunks)


def test_chunks_without_faces_are_fine_but_not_all_of_them(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    empty = ball_chunk(bench, 1, (1, 0, 0), -1.0)
    assert empty.faces == 0
    assert merged(bench, [chunk, empty]).mesh.faces == chunk.faces
    with pytest.raises(ReconstructionError, match="none of the 1 chunks has a surface"):
        merged(bench, [empty])


def test_chunks_that_overlap_are_refused(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    with pytest.raises(StageError, match="chunks 0 and 1 overlap"):
        merged(bench, [chunk, ball_chunk(bench, 1, (0, 0, 0), 3.0)])


def test_shared_vertices_that_differ_are_refused(bench: Bench):
    first, second, *_ = in_runs(bench, 8)
    arrays = {**bench.arrays(second.artifact, "faces.npz")}
    arrays["colors"] = np.full_like(arrays["colors"], 7)
    fresh = Bench(bench.config)
    fresh.write_arrays(second.artifact, "faces.npz", **arrays)
    with pytest.raises(AssertionError, match="do not agree on the vertices"):
        merged(fresh, [first, second])


def test_a_territory_knows_its_border():
    chunks = [ChunkFaces(n, ArtifactKey(""), 1, 1, 4 * n + 100, 4 * n + 102) for n in range(3)]
    grounds = territories(chunks)
    assert grounds[0].first == 0
    assert [g.end for g in grounds[:-1]] == [g.first for g in grounds[1:]]
    (middle,) = keys_from_cells(np.array([[8, 8, 8]]))
    (corner,) = keys_from_cells(np.array([[16, 8, 8]]))
    edges = np.array([4 * middle, 4 * corner, 4 * corner + 1])
    (block,) = keys_from_cells(np.array([[0, 0, 0]])).tolist()
    np.testing.assert_array_equal(blocks_of_edges(edges[:1]), [block])
    # Along x the four cubes have x = 16: all in block 1; along y two of them are in block 0.
    (next_block,) = keys_from_cells(np.array([[1, 0, 0]])).tolist()
    own = Territory(next_block, next_block + 1)
    np.testing.assert_array_equal(crosses_border(edges, own), [True, False, True])


def room(count: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Points on the six walls of a room, and their normals."""
    rng = np.random.default_rng(3)
    points, normals = rng.random((count, 3)) * 4, np.zeros((count, 3))
    wall, far = rng.integers(0, 3, count), rng.integers(0, 2, count)
    points[np.arange(count), wall] = 4 * far
    normals[np.arange(count), wall] = 1 - 2 * far
    return points, normals


def test_a_chunk_that_is_off_is_moved_onto_the_memory():
    points, normals = room()
    turn = Rotation.from_euler("xyz", [0.01, -0.015, 0.02]).as_matrix()
    wrong = (points - [0.02, -0.03, 0.015]) @ turn / 1.01
    wrong[::10] += 0.3
    target = _Target(points, normals, 0.6)
    found = align_points(wrong, target)
    inliers = np.arange(len(points)) % 10 != 0
    off = np.abs((found.apply(wrong)[inliers] - points[inliers]) * normals[inliers]).sum(axis=1)
    assert np.median(off) < 5e-3 < np.median(np.abs(((wrong - points) * normals).sum(axis=1)))
    assert found.scale == pytest.approx(1.01, abs=3e-3)


def test_what_a_single_wall_does_not_hold_stays():
    points, normals = room()
    on_wall = normals[:, 2] == 1.0
    target = _Target(points[on_wall], normals[on_wall], 0.6)
    found = align_points(points[on_wall] + [0.0, 0.0, 0.05], target)
    moved = found.apply(points[on_wall] + [0.0, 0.0, 0.05]) - points[on_wall]
    np.testing.assert_allclose(moved, 0.0, atol=1e-6)


def test_normals_are_weighted_by_area():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1], [9, 9, 9]], np.float64)
    faces = np.array([[0, 1, 2], [0, 3, 1]], np.int32)
    normals = vertex_normals(vertices, faces)
    wanted = np.array([0, 2, 4]) / np.sqrt(20)
    np.testing.assert_allclose(normals[[0, 1]], [wanted, wanted], atol=1e-6)
    np.testing.assert_array_equal(normals[[2, 3, 4]], [[0, 0, 1], [0, 1, 0], [0, 0, 0]])
