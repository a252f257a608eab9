"""Which views may colour a face, and what a seam between two of them costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.textured import SIZE_PX, bench_at, cameras, plane, plane_inputs, textured
from worldloom.scene import Mesh
from worldloom.surface import vertex_normals
from worldloom.texture import _look_kernels as kernels
from worldloom.texture import load_chosen
from worldloom.texture._choose import UNSEEN, seam_costs
from worldloom.texture._look import MIN_COSINE, normals_around


def _rough(height_m: float) -> Mesh:
    """The plane with noise along its normal; facing -z still."""
    flat = plane(40)
    vertices = flat.vertices_in_world.copy()
    vertices[:, 2] += np.random.default_rng(3).uniform(-height_m, height_m, len(vertices))
    return replace(
        flat,
        vertices_in_world=vertices,
        normals_in_world=vertex_normals(vertices, flat.faces),
    )


def _normals(mesh: Mesh) -> np.ndarray:
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_the_normals_around_a_face_are_those_of_the_surface() -> None:
    flat = plane(6)
    np.testing.assert_allclose(normals_around(flat), np.tile([0, 0, -1], (72, 1)), atol=1e-12)
    rough = _rough(0.03)
    around, own = normals_around(rough), _normals(rough)
    np.testing.assert_allclose(np.linalg.norm(around, axis=1), 1, atol=1e-12)
    steepest = np.degrees(np.arccos(-own[:, 2])).max()
    assert steepest > 50
    assert np.degrees(np.arccos(-around[:, 2])).max() < 0.6 * steepest


@pytest.mark.parametrize(
    ("tilt_deg", "around_deg", "seen"),
    [
        (0, 0, True),
        (80, 80, True),
        (83, 83, False),
        (83, 30, True),
        (115, 30, True),
        (125, 30, False),
        (100, 100, False),
    ],
)
def test_a_face_is_seen_where_the_surface_around_it_is(
    tilt_deg: float, around_deg: float, seen: bool
) -> None:
    """A camera at the origin looks along +z at a face that is turned about the vertical."""
    turn = np.radians(tilt_deg)
    along = np.array([np.cos(turn), 0, np.sin(turn)])
    vertices = (
        np.array([[0, 0, 5], [0, 0.1, 5], [0, 0, 5]]) + 0.1 * np.array([0, 0, 1])[:, None] * along
    )
    normal = np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])
    faces = np.array([[0, 1, 2]] if normal[2] * np.cos(turn) < 0 else [[0, 2, 1]], np.int32)
    pixels = 100 * vertices[:, :2] / vertices[:, 2:] + 50
    facing = np.radians(around_deg)
    around = np.array([[np.sin(facing), 0, -np.cos(facing)]])
    size = np.array([100.0, 100.0])
    found = kernels.posed(
        vertices, faces, pixels, vertices[:, 2], np.zeros(3), size, around, MIN_COSINE, -0.5
    )
    assert (found.area_px[0] > 0) == seen
    if seen:
        assert found.cosine[0] == pytest.approx(np.cos(turn), abs=0.03)


def test_noise_of_the_surface_takes_no_view_away(tmp_path: Path) -> None:
    rough = _rough(0.045)
    bench = bench_at(tmp_path)
    inputs = plane_inputs(bench, mesh=rough)
    found = textured(bench, inputs)
    mesh, chosen = found.unwrapped.mesh, load_chosen(bench, found.references.chosen)
    middle, normals = mesh.vertices_in_world[mesh.faces].mean(axis=1), _normals(mesh)
    turned = lacking = 0
    for view, camera in enumerate(cameras()):
        pixels, _ = camera.project(mesh.vertices_in_world[mesh.faces].reshape(-1, 3))
        inside = ((pixels > 1) & (pixels < np.array(SIZE_PX) - 1)).reshape(-1, 6).all(axis=1)
        sight = camera.centre_in_world - middle
        cosine = (sight * normals).sum(axis=1) / np.linalg.norm(sight, axis=1)
        turned += int((inside & (cosine < MIN_COSINE)).sum())
        lacking += int((inside & ~(chosen.allowed == view).any(axis=1)).sum())
    assert turned > 50
    # By their own normals all of these would be lacking.
    assert lacking < turned / 3


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_seam_costs_more_where_a_view_lacks_a_face(lacking: int) -> None:
    """Faces 0 and 1 have one label each, views 5 and 7; others see the faces as well."""
    views = np.array([[2, 5, 7], [5, 7, 9]], np.int32)
    colors = np.full((2, 3, 3), 100, np.float32)
    # 10 levels apart on either face, and a third view that does not matter.
    colors[0, 2], colors[1, 1] = 110, 90
    colors[0, 0], colors[1, 2] = 0, 255
    if lacking > 0:
        views[0, 2] = -1
    if lacking > 1:
        views[1, 0] = -1
    cost = seam_costs(
        np.array([[0, 1]]),
        np.array([[5], [7]], np.int32),
        np.array([1, 1], np.int32),
        views,
        colors,
        np.array([1.0], np.float32),
    )
    apart = 0.5 if lacking < 2 else 1.0
    assert cost[0, 0, 0] == pytest.approx(0.5 * (1 + apart + UNSEEN * lacking))
