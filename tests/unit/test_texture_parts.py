"""The pieces that textures are made of, each against what is known of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analytic import camera_at
from tests.textured import plane
from worldloom.cameras import CameraIntrinsics
from worldloom.errors import ConfigError
from worldloom.render import TexturedRenderer, sample_pages
from worldloom.scene import Mesh, Texture, UnwrappedMesh
from worldloom.texture._charts import unwrapped_charts
from worldloom.texture._labelling import LabelProblem, labelled
from worldloom.texture._levelling import corners_of
from worldloom.texture._light import cleaned
from worldloom.texture._packing import packed
from worldloom.texture._partition import partition
from worldloom.texture._relief import corner_groups, normal_map, tangent_space
from worldloom.texture._roughness import PLAIN_ROUGHNESS, face_roughness, vertex_roughness
from worldloom.texture._texels import texels_on_pages
from worldloom.texture._topology import shared_edges
from worldloom.texture._transition import Levels, passed_levels


def square(side_px: int) -> UnwrappedMesh:
    """The unit square in the plane z = 0 of a world with y up, facing +z; u is x and v is y."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = vertices[faces][..., :2].astype(np.float32)
    return UnwrappedMesh(Mesh(vertices, faces), uv, np.zeros(2, np.int32))


def test_a_texel_is_where_its_coordinates_say() -> None:
    """A camera whose pixels are the texels sees the page, to the last level."""
    side = 16
    page = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    camera = camera_at((0.5, 0.5, 2.0), (0.5, 0.5, 0), width_px=side, height_px=side)
    # The world is y up here, the picture is not: turn the camera upright.
    pose = camera.world_from_cam.copy()
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    lens = CameraIntrinsics(2.0 * side, 2.0 * side, side / 2, side / 2, side, side)
    view = TexturedRenderer(
        square(side), Texture("albedo", (page,), (np.ones((side, side), bool),))
    ).render(type(camera)(lens, pose))
    np.testing.assert_array_equal(view.image, page)


def test_texels_inside_faces_know_their_coordinates() -> None:
    at = texels_on_pages(square(8), 0, 8, 0.0)
    assert len(at) == 64
    assert at.inside.all()
    uv = (at.barycentric[..., None] * square(8).uv[at.face]).sum(axis=1)
    np.testing.assert_allclose(uv[:, 0], (at.column + 0.5) / 8, atol=1e-6)
    np.testing.assert_allclose(uv[:, 1], 1 - (at.row + 0.5) / 8, atol=1e-6)


def test_sampling_between_texels_is_linear() -> None:
    page = np.zeros((2, 2, 3), np.uint8)
    page[0, 1], page[1, 0], page[1, 1] = 40, 80, 120
    uv = np.array([[0.5, 0.5], [0.25, 0.75], [0.75, 0.25], [0.0, 1.0]], np.float32)
    found = sample_pages((page,), np.zeros(4, np.int32), uv)[:, 0]
    np.testing.assert_allclose(found, [60, 0, 120, 0], atol=1e-4)


@pytest.mark.parametrize("rings", [0, 1, 3])
def test_views_pass_into_each_other_no_further_than_they_see(rings: int) -> None:
    """Left view 0, right view 1, view 2 in one corner; view 0 sees two columns past its seam."""
    mesh = plane(8)
    middle = mesh.vertices_in_world[mesh.faces].mean(axis=1)
    own = np.where(middle[:, 0] < 0, 0, 1).astype(np.int32)
    own[(middle[:, 0] > 0.5) & (middle[:, 1] > 0.5)] = 2
    allowed = np.full((len(own), 3), -1, np.int32)
    allowed[:, 0], allowed[:, 1] = np.where(middle[:, 0] < 0.5, 0, 2), 1
    allowed[middle[:, 0] < -0.5, 1] = -1
    corners = corners_of(mesh.vertices_in_world, mesh.faces, own)
    none = np.zeros((len(corners.view), 3), np.float32)
    start = Levels(corners.vertex_starts, corners.view, corners.weight, none)
    found = passed_levels(start, mesh.faces, own, allowed, rings)
    total = np.bincount(found.vertex, found.weight, len(mesh.vertices_in_world))
    np.testing.assert_allclose(total, 1, atol=1e-5)
    x = mesh.vertices_in_world[found.vertex, 0]
    assert x[found.view == 0].max() < 0.5, "view 0 has faded out where it ends"
    assert x[found.view == 1].min() > -0.5
    reached = (found.view == 0) & (x > 0.01)
    assert reached.any() == (rings > 0)
    seam = np.isclose(x, 0)
    assert set(found.view[seam].tolist()) == {0, 1}
    # Both sides alike, so both views count alike along the seam, and fade with the distance.
    shares = found.weight[seam & (found.view == 0) & (mesh.vertices_in_world[found.vertex, 1] < 0)]
    assert (np.abs(shares - 0.5) < 0.2).all()
    if rings:
        assert found.weight[reached].max() < shares.min()


def test_a_texture_of_another_mesh_is_refused() -> None:
    mesh = square(8)
    two_pages = UnwrappedMesh(mesh.mesh, mesh.uv, np.array([0, 1], np.int32))
    page = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ConfigError, match="2 pages"):
        TexturedRenderer(two_pages, Texture("albedo", (page,), (np.ones((8, 8), bool),)))


def _heights(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.02 * np.sin(6 * x + 1) * np.cos(4 * y)


def _relief(cells: int = 120) -> Mesh:
    at = np.linspace(-0.1, 1.1, cells + 1)
    x, y = np.meshgrid(at, at)
    vertices = np.stack([x.ravel(), y.ravel(), _heights(x, y).ravel()], axis=1)
    index = np.arange(x.size).reshape(x.shape)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    slope_x = 0.02 * 6 * np.cos(6 * x + 1) * np.cos(4 * y)
    slope_y = -0.02 * 4 * np.sin(6 * x + 1) * np.sin(4 * y)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices, faces, None, normals.astype(np.float32))


def test_the_normals_of_a_bump_are_those_of_its_slopes() -> None:
    side = 64
    flat = square(side)
    texels = texels_on_pages(flat, 0, side, 0.0)
    corners = flat.mesh.vertices_in_world[flat.mesh.faces]
    up = np.zeros((2, 3, 3), np.float32)
    up[..., 2] = 1
    groups = corner_groups(flat.mesh.faces, np.zeros(2, np.int32))
    space = tangent_space(corners, up, flat.uv.astype(np.float64) * side, groups)
    found = normal_map(texels, corners, space, _relief(), 0.05).astype(float) / 127.5 - 1
    x, y = (texels.column + 0.5) / side, 1 - (texels.row + 0.5) / side
    truth = np.stack(
        [
            -0.02 * 6 * np.cos(6 * x + 1) * np.cos(4 * y),
            0.02 * 4 * np.sin(6 * x + 1) * np.sin(4 * y),
            np.ones_like(x),
        ],
        axis=1,
    )
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    # Half a level of rounding, and the planes of the fine faces.
    assert np.abs(found - truth).max() < 0.02
    flat_map = normal_map(texels, corners, space, _moved(_relief(), 5.0), 0.05)
    assert (flat_map == (128, 128, 255)).all(), "what is out of reach counts as flat"


def _moved(mesh: Mesh, by_m: float) -> Mesh:
    vertices = mesh.vertices_in_world + np.array([0, 0, by_m])
    return Mesh(vertices, mesh.faces, None, mesh.normals_in_world)


def _glossy(roughness: float, views: int = 12) -> tuple[np.ndarray, ...]:
    """A surface with a lobe of Beckmann, seen from a fan of directions, as one face."""
    turn = np.radians(np.linspace(0, 50, views))
    mirrored = np.stack([np.sin(turn), np.zeros(views), np.cos(turn)], axis=1)
    sharpness = 1 / (2 * roughness**4)
    light = 0.1 + 0.5 * np.exp(sharpness * (np.cos(turn) - 1))
    srgb = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    color = np.repeat(srgb[None, :, None], 3, axis=2).astype(np.float32)
    seen = np.ones((1, views), bool)
    return seen, color, mirrored[None].astype(np.float32), np.ones((1, views), np.float32)


@pytest.mark.parametrize("roughness", [0.3, 0.4, 0.5, 0.6])
def test_roughness_is_that_of_the_lobe(roughness: float) -> None:
    assert face_roughness(*_glossy(roughness))[0] == pytest.approx(roughness, abs=0.1)


def test_roughness_is_plain_where_the_views_do_not_tell() -> None:
    seen, color, mirrored, cosine = _glossy(0.4)
    matt = np.full_like(color, 120) + np.random.default_rng(2).normal(0, 2, color.shape)
    assert np.isnan(face_roughness(seen, matt.astype(np.float32), mirrored, cosine)[0])
    few = seen & (np.arange(12) < 4)
    assert np.isnan(face_roughness(few, color, mirrored, cosine)[0])
    same_place = np.repeat(mirrored[:, :1], 12, axis=1)
    assert np.isnan(face_roughness(seen, color, same_place, cosine)[0])
    whole = plane(4)
    unknown = np.full(len(whole.faces), np.nan, np.float32)
    found = vertex_roughness(unknown, whole.faces, len(whole.vertices_in_world))
    np.testing.assert_allclose(found, PLAIN_ROUGHNESS, atol=1e-6)


def _problem(seed: int, edges: list[tuple[int, int]], nodes: int, labels: int) -> LabelProblem:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, labels + 1, nodes).astype(np.int32)
    unary = rng.random((nodes, labels)).astype(np.float32)
    pairwise = rng.random((len(edges), labels, labels)).astype(np.float32)
    return LabelProblem(counts, unary, np.array(edges, np.int64).reshape(-1, 2), pairwise)


def _least(problem: LabelProblem) -> float:
    ranges = [range(count) for count in problem.counts]
    return min(problem.energy(np.array(pick, np.int32)) for pick in itertools.product(*ranges))


@given(seed=st.integers(0, 10_000))
def test_labels_of_a_tree_are_the_best_and_proven(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = [(int(rng.integers(0, node)), node) for node in range(1, 7)]
    problem = _problem(seed, edges, 7, 3)
    found = labelled(problem)
    assert found.energy == pytest.approx(_least(problem), abs=1e-5)
    assert found.bound == pytest.approx(found.energy, abs=1e-4)


@given(seed=st.integers(0, 10_000))
def test_labels_of_a_graph_lie_between_bound_and_a_little_above_the_best(seed: int) -> None:
    edges = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (1, 4), (0, 5), (4, 5)]
    problem = _problem(seed, edges, 6, 3)
    found = labelled(problem)
    least = _least(problem)
    assert found.energy == pytest.approx(problem.energy(found.choice), abs=1e-9)
    assert found.bound <= least + 1e-5
    assert least - 1e-5 <= found.energy <= 1.1 * least


def test_nodes_without_labels_have_none() -> None:
    problem = LabelProblem(
        np.array([0, 2], np.int32),
        np.array([[0, 0], [3, 1]], np.float32),
        np.zeros((0, 2), np.int64),
        np.zeros((0, 2, 2), np.float32),
    )
    found = labelled(problem)
    assert found.choice.tolist() == [-1, 1]
    assert found.energy == found.bound == 1


@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
def test_boxes_on_a_page_do_not_overlap(seed: int, count: int) -> None:
    sizes = np.random.default_rng(seed).integers(1, 20, (count, 2))
    found = packed(sizes, 64, 6)
    if found is None:
        # More than two thirds of what there is may be too much for any order.
        assert sizes.prod(axis=1).sum() > 0.6 * 6 * 64**2
        return
    taken = np.zeros((found.pages, 64, 64), int)
    for (width, height), (x, y), page in zip(sizes, found.corner, found.page, strict=True):
        taken[page, y : y + height, x : x + width] += 1
        assert x + width <= 64
        assert y + height <= 64
    assert taken.max() == 1
    assert taken.sum() == sizes.prod(axis=1).sum()


def test_boxes_that_cannot_fit_are_refused() -> None:
    assert packed(np.array([[65, 3]]), 64, 9) is None
    assert packed(np.full((5, 2), 40), 64, 4) is None
    found = packed(np.full((4, 2), 40), 64, 4)
    assert found is not None
    assert sorted(found.page) == [0, 1, 2, 3]


@given(seed=st.integers(0, 10_000), count=st.integers(0, 200), most=st.integers(1, 50))
def test_parts_are_a_partition(seed: int, count: int, most: int) -> None:
    points = np.random.default_rng(seed).random((count, 3))
    parts = partition(points, most)
    assert all(0 < len(part) <= most for part in parts)
    assert sorted(np.concatenate([*parts, np.empty(0, int)]).tolist()) == list(range(count))


def test_charts_are_true_to_size() -> None:
    mesh = plane(8)
    turned = mesh.vertices_in_world @ np.linalg.qr(np.arange(9).reshape(3, 3) ** 2 + 1.0)[0]
    charts = unwrapped_charts(100 + turned, mesh.faces)
    u, v = (charts.uv_m[:, k] - charts.uv_m[:, 0] for k in (1, 2))
    area = 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    np.testing.assert_allclose(area, (2 / 8) ** 2 / 2, rtol=0.02)
    assert (charts.uv_m >= -1e-6).all()
    assert (charts.uv_m.max(axis=1) <= charts.size_m[charts.chart] + 1e-5).all()


def test_edges_of_three_faces_pair_each_with_the_next() -> None:
    faces = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]], np.int32)
    found = shared_edges(faces)
    assert found.faces.tolist() == [[0, 1], [1, 2]]
    assert found.vertices.tolist() == [[0, 1], [0, 1]]


def test_what_cannot_be_drawn_is_cleaned_away() -> None:
    whole = plane(4)
    vertices = np.concatenate([whole.vertices_in_world, [[np.nan, 0, 0], [5, 5, 5]]])
    bad = len(whole.vertices_in_world)
    odd = np.array([[0, 0, 1], [0, 1, bad], whole.faces[3][[1, 2, 0]]], np.int32)
    mesh = Mesh(vertices, np.concatenate([whole.faces, odd]), None, None)
    found = cleaned(mesh)
    np.testing.assert_array_equal(found.vertices_in_world, whole.vertices_in_world)
    np.testing.assert_array_equal(found.faces, whole.faces)
