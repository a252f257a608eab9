from pathlib import Path

import numpy as np
import pytest

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ReconstructionError
from worldloom.lattice import keys_from_cells
from worldloom.stage import execute
from worldloom.store import ArtifactKey
from worldloom.surface import (
    MERGE,
    ChunkFaces,
    MergedMesh,
    SurfaceConfig,
    Volume,
    load_mesh,
    merge_work,
    polygons,
    vertex_normals,
)
from worldloom.surface._merge import large_components


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
    return ChunkFaces(number, artifact, len(mesh.shares), len(mesh.faces))


def merged(bench: Bench, chunks: list[ChunkFaces], min_faces: int = 0) -> MergedMesh:
    config = SurfaceConfig(min_component_faces=min_faces)
    outcome = execute(MERGE, bench, merge_work(chunks, 0.5, config))
    assert outcome.value is not None, outcome.failure
    return outcome.value


def test_small_pieces_go_and_the_count_says_so(bench: Bench):
    large, small = ball_chunk(bench, 0, (0, 0, 0), 6.0), ball_chunk(bench, 1, (1, 0, 0), 2.0)
    both = merged(bench, [large, small])
    assert (both.components, both.removed_components, both.removed_faces) == (2, 0, 0)
    assert both.faces == large.faces + small.faces
    one = merged(bench, [large, small], min_faces=small.faces + 1)
    assert (one.components, one.removed_components) == (1, 1)
    assert one.removed_faces == small.faces
    assert (one.faces, one.vertices) == (large.faces, large.vertices)
    mesh = load_mesh(bench, one)
    radius = np.linalg.norm(mesh.vertices_in_world - 8.1 * 0.5, axis=1)
    np.testing.assert_allclose(radius, 3.0, atol=0.05)


def test_the_largest_piece_always_stays(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    assert merged(bench, [chunk], min_faces=10**6).faces == chunk.faces


def test_the_order_of_chunks_does_not_matter(bench: Bench):
    chunks = [ball_chunk(bench, i, (i, 0, 0), 2.0 + i) for i in range(3)]
    assert merge_work(chunks[::-1], 1.0, SurfaceConfig()) == merge_work(
        chunks, 1.0, SurfaceConfig()
    )


def test_chunks_without_faces_are_fine_but_not_all_of_them(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    empty = ball_chunk(bench, 1, (1, 0, 0), -1.0)
    assert empty.faces == 0
    assert merged(bench, [chunk, empty]).faces == chunk.faces
    with pytest.raises(AssertionError, match="none of the 1 chunks has a surface"):
        merged(bench, [empty])
    outcome = execute(MERGE, bench, merge_work([empty], 1.0, SurfaceConfig()))
    assert outcome.failure is not None
    assert outcome.failure.error == ReconstructionError.__name__


def test_chunks_that_overlap_or_disagree_are_refused(bench: Bench):
    chunk = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    with pytest.raises(AssertionError, match="chunks overlap"):
        merged(bench, [chunk, ball_chunk(bench, 1, (0, 0, 0), 3.0)])


def test_shared_vertices_that_differ_are_refused(bench: Bench):
    first = ball_chunk(bench, 0, (0, 0, 0), 3.0)
    second = ball_chunk(bench, 1, (1, 0, 0), 3.0)
    arrays = {**bench.arrays(second.artifact, "faces.npz")}
    arrays["edge_keys"] = bench.arrays(first.artifact, "faces.npz")["edge_keys"]
    arrays["colors"] = np.full_like(arrays["colors"], 7)
    fresh = Bench(bench.config)
    fresh.write_arrays(second.artifact, "faces.npz", **arrays)
    with pytest.raises(AssertionError, match="do not agree on the vertices"):
        merged(fresh, [first, second])


def test_components_are_found_by_shared_vertices():
    faces = np.array([[0, 1, 2], [2, 3, 0], [4, 5, 6], [2, 7, 8]])
    pieces = large_components(faces, 10, 2)
    np.testing.assert_array_equal(pieces.kept_faces, [True, True, False, True])
    assert (pieces.kept, pieces.removed) == (1, 1)


def test_normals_are_weighted_by_area():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1], [9, 9, 9]], np.float64)
    faces = np.array([[0, 1, 2], [0, 3, 1]], np.int32)
    normals = vertex_normals(vertices, faces)
    wanted = np.array([0, 2, 4]) / np.sqrt(20)
    np.testing.assert_allclose(normals[[0, 1]], [wanted, wanted], atol=1e-6)
    np.testing.assert_array_equal(normals[[2, 3, 4]], [[0, 0, 1], [0, 1, 0], [0, 0, 0]])
