"""Rendering: exact depth and normals of simple shapes, whatever the camera and the world."""

import numpy as np
import pytest

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.render import MeshRenderer, RayCaster, render_mesh, shade_by_normals
from worldloom.scene import Mesh

LENS = CameraIntrinsics(fx=40.0, fy=50.0, cx=15.0, cy=13.0, width_px=32, height_px=24)


def square(depth: float, half: float = 10.0) -> Mesh:
    """A square across the z axis, whose colour is x in red and y in green."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    vertices = np.concatenate([corners * half, np.full((4, 1), depth)], axis=1)
    colors = np.concatenate([(corners + 1) / 2 * 200, np.full((4, 1), 50)], axis=1)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Mesh(vertices, faces, colors.astype(np.uint8))


def moved(camera: Camera, mesh: Mesh, shift: np.ndarray) -> tuple[Camera, Mesh]:
    pose = camera.world_from_cam.copy()
    pose[:3, 3] += shift
    return Camera(LENS, pose), Mesh(mesh.vertices_in_world + shift, mesh.faces, mesh.colors)


def test_depth_and_colours_of_a_plane_are_those_of_its_points() -> None:
    camera = Camera(LENS, np.eye(4))
    view = render_mesh(square(4.0), camera)
    assert view.hit.all()
    np.testing.assert_allclose(view.depth, 4.0, rtol=1e-6)
    np.testing.assert_allclose(view.normal_in_world, np.broadcast_to([0, 0, -1], (24, 32, 3)))
    row, column = np.mgrid[0:24, 0:32]
    pixels = np.stack([column.ravel(), row.ravel()], -1) + 0.5
    points = camera.unproject(pixels, np.full(len(pixels), 4.0))
    expected = (points[:, :2] / 10 + 1) / 2 * 200
    np.testing.assert_allclose(view.image.reshape(-1, 3)[:, :2], expected, atol=0.51)
    assert (view.image[..., 2] == 50).all()


def test_only_pixels_whose_centre_is_inside_are_hit() -> None:
    view = render_mesh(square(4.0, half=0.5), Camera(LENS, np.eye(4)))
    columns, rows = np.nonzero(view.hit.any(axis=0))[0], np.nonzero(view.hit.any(axis=1))[0]
    assert (columns[0], columns[-1]) == (10, 19)
    assert (rows[0], rows[-1]) == (7, 18)
    assert (view.image[~view.hit] == 0).all()
    assert (view.normal_in_world[~view.hit] == 0).all()


def test_a_world_far_from_its_origin_renders_the_same() -> None:
    camera, mesh = Camera(LENS, np.eye(4)), square(4.0, half=0.5)
    near = render_mesh(mesh, camera)
    far = render_mesh(*reversed(moved(camera, mesh, np.array([4e5, 5e6, 300.0]))))
    np.testing.assert_array_equal(far.hit, near.hit)
    np.testing.assert_allclose(far.depth, near.depth, atol=1e-5)


def test_the_nearer_surface_hides_the_other() -> None:
    near, far = square(2.0, half=0.25), square(5.0)
    both = Mesh(
        np.concatenate([far.vertices_in_world, near.vertices_in_world]),
        np.concatenate([far.faces, near.faces + 4]).astype(np.int32),
    )
    depth = MeshRenderer(both).depth(Camera(LENS, np.eye(4)))
    assert set(np.unique(depth.round(4)).tolist()) == {2.0, 5.0}


def test_empty_mesh_gives_the_background() -> None:
    nothing = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    view = MeshRenderer(nothing, background=(9, 8, 7)).render(Camera(LENS, np.eye(4)), samples=2)
    assert not view.hit.any()
    assert (view.image == [9, 8, 7]).all()
    assert (shade_by_normals(view, (1, 2, 3)) == [1, 2, 3]).all()


def test_supersampling_blends_edges_and_leaves_depth_alone() -> None:
    camera, mesh = Camera(LENS, np.eye(4)), square(4.0, half=0.507)
    plain, fine = render_mesh(mesh, camera), render_mesh(mesh, camera, samples=4)
    np.testing.assert_array_equal(plain.depth, fine.depth)
    assert ((fine.image[..., 2] > 0) & (fine.image[..., 2] < 50)).any()


def test_results_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(1)
    vertices = rng.normal(size=(300, 3))
    faces = rng.integers(0, 300, (500, 3)).astype(np.int32)
    directions = rng.normal(size=(2000, 3))
    one, many = (
        RayCaster(vertices, faces, threads).cast(np.zeros((2000, 3)), directions)
        for threads in (1, 4)
    )
    np.testing.assert_array_equal(one.face, many.face)
    np.testing.assert_array_equal(one.distance, many.distance)
    np.testing.assert_array_equal(one.barycentric, many.barycentric)
    assert one.barycentric[one.face >= 0].sum(-1) == pytest.approx(1, abs=1e-5)


def test_clay_is_brighter_where_it_faces_the_light() -> None:
    camera = Camera(LENS, np.eye(4))
    view = render_mesh(square(4.0), camera)
    tilted = square(4.0)
    tilted.vertices_in_world[:, 2] += 0.8 * tilted.vertices_in_world[:, 0]
    away = render_mesh(tilted, camera)
    facing, grazing = shade_by_normals(view), shade_by_normals(away)
    assert facing.dtype == np.uint8
    assert facing.mean() > 100
    assert abs(facing.mean() - grazing.mean()) > 10
