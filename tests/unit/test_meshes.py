"""Clean-up, counts and decimation of meshes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from tests.solids import (
    ball,
    bow_tie,
    box,
    coloured,
    empty,
    grid,
    joined,
    three_pages,
    volume_m3,
)
from worldloom.errors import ConfigError, InputError
from worldloom.meshes import MeshReport, cleaned_mesh, decimate, mesh_report
from worldloom.scene import Mesh

CLEAN = MeshReport(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_a_closed_surface_is_reported_as_one() -> None:
    report = mesh_report(ball(2))
    assert report == replace(CLEAN, vertices=162, faces=320, components=1)
    assert (report.watertight, report.manifold, report.consistent_winding) == (True, True, True)


def test_what_is_wrong_with_a_mesh_is_counted() -> None:
    assert mesh_report(empty()) == CLEAN
    assert not mesh_report(empty()).watertight
    assert mesh_report(bow_tie()) == replace(
        CLEAN, vertices=5, faces=2, components=1, boundary_edges=6, non_manifold_vertices=1
    )
    pages = mesh_report(three_pages())
    assert (pages.non_manifold_edges, pages.boundary_edges, pages.manifold) == (1, 6, False)
    square = grid(5, 5)
    flipped = square.faces.copy()
    flipped[9] = flipped[9, ::-1]
    report = mesh_report(replace(square, faces=flipped))
    assert (report.badly_wound_edges, report.boundary_edges) == (3, 16)
    assert not report.consistent_winding
    lines = coloured(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2], [1, 2, 0]]))
    assert (mesh_report(lines).degenerate_faces, mesh_report(lines).duplicate_faces) == (2, 1)
    two = joined(ball(1), ball(1, centre=(5, 0, 0)))
    unused = replace(two, faces=np.ascontiguousarray(two.faces[:80]))
    assert (mesh_report(two).components, mesh_report(unused).components) == (2, 1)
    assert mesh_report(unused).unused_vertices == 42


def test_cleaning_removes_flaws_and_nothing_else() -> None:
    solid = ball(2)
    assert cleaned_mesh(solid).mesh is not None
    np.testing.assert_array_equal(cleaned_mesh(solid).mesh.faces, solid.faces)
    soup = Mesh(
        solid.vertices_in_world[solid.faces].reshape(-1, 3),
        np.arange(960, dtype=np.int32).reshape(-1, 3),
    )
    assert mesh_report(soup).components == 320
    welded = cleaned_mesh(soup).mesh
    assert mesh_report(welded) == mesh_report(solid)
    assert volume_m3(welded) == pytest.approx(volume_m3(solid))
    flawed = np.concatenate([solid.faces[:1, [1, 2, 0]], solid.faces, [[3, 3, 5]], solid.faces[:7]])
    again = cleaned_mesh(replace(solid, faces=flawed.astype(np.int32)))
    assert mesh_report(again.mesh) == mesh_report(solid)
    np.testing.assert_array_equal(again.source_faces, [0, *range(2, 321)])
    assert len(cleaned_mesh(empty()).mesh.faces) == 0


def test_a_face_without_area_stays_where_its_removal_would_open_the_surface() -> None:
    points = np.array([[0, 0, 0], [2, 0, 0], [1, 0, 0], [1, 1, 0], [1, -1, 0]])
    faces = np.array([[0, 2, 3], [2, 1, 3], [0, 1, 2], [1, 0, 4]])
    sheet = coloured(points, faces)
    assert mesh_report(sheet).degenerate_faces == 1
    assert mesh_report(cleaned_mesh(sheet).mesh).boundary_edges == 4


@pytest.mark.parametrize("faces", [400, 1500])
def test_a_decimated_sphere_is_a_sphere(faces: int) -> None:
    solid = ball(5)
    coarse = decimate(solid, faces)
    assert faces - 2 <= len(coarse.faces) <= faces
    assert mesh_report(coarse).watertight
    radius = np.linalg.norm(coarse.vertices_in_world, axis=1)
    assert np.abs(radius - 1).max() < 0.03
    assert volume_m3(coarse) == pytest.approx(volume_m3(solid), rel=0.02)
    assert coarse.colors is not None
    assert coarse.normals_in_world is not None
    direction = coarse.vertices_in_world / radius[:, None]
    assert (coarse.normals_in_world * direction).sum(axis=1).min() > 0.995
    np.testing.assert_allclose(coarse.colors, direction * 127 + 128, atol=8)
    np.testing.assert_allclose(np.linalg.norm(coarse.normals_in_world, axis=1), 1, atol=1e-5)


def test_decimation_keeps_edges_of_a_box_and_borders_of_a_sheet() -> None:
    solid = box(24)
    coarse = decimate(solid, 60)
    corners = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    assert KDTree(coarse.vertices_in_world).query(corners)[0].max() < 1e-3
    assert volume_m3(coarse) == pytest.approx(1, rel=1e-3)
    sheet = decimate(grid(40, 40), 100)
    assert np.ptp(sheet.vertices_in_world, axis=0) == pytest.approx([1, 1, 0])


def test_decimation_is_the_same_in_any_unit_and_place_and_each_time() -> None:
    solid = box(20)
    first, again = decimate(solid, 300), decimate(solid, 300)
    np.testing.assert_array_equal(first.vertices_in_world, again.vertices_in_world)
    np.testing.assert_array_equal(first.faces, again.faces)
    far = replace(solid, vertices_in_world=solid.vertices_in_world * 2**-10 + (512, -64, 8))
    moved = decimate(far, 300)
    np.testing.assert_array_equal(moved.faces, first.faces)
    np.testing.assert_allclose(
        (moved.vertices_in_world - (512, -64, 8)) * 2**10, first.vertices_in_world, atol=1e-6
    )


def test_colours_of_a_coarse_mesh_are_means_and_not_samples() -> None:
    sheet = grid(61, 61)
    checker = (np.indices((61, 61)).sum(axis=0) % 2 * 255).astype(np.uint8).reshape(-1, 1)
    coarse = decimate(replace(sheet, colors=np.repeat(checker, 3, axis=1)), 60)
    assert coarse.colors is not None
    inner = (np.abs(coarse.vertices_in_world[:, :2] - 0.5) < 0.45).all(axis=1)
    assert inner.sum() >= 4
    assert np.abs(coarse.colors[inner].astype(int) - 127).mean() < 25


def test_a_thin_wall_keeps_the_colours_of_its_sides() -> None:
    front = grid(30, 30)
    back = Mesh(front.vertices_in_world - (0, 0, 0.004), front.faces[:, ::-1].copy())
    wall = joined(front, back)
    colors = np.repeat(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), 900, axis=0)
    coarse = decimate(replace(wall, colors=colors), 120)
    assert coarse.colors is not None
    on_front = coarse.vertices_in_world[:, 2] > -0.002
    assert (coarse.colors[on_front] == (255, 0, 0)).all()
    assert (coarse.colors[~on_front] == (0, 0, 255)).all()


def test_meshes_without_faces_or_with_one_or_not_manifold_pass() -> None:
    assert len(decimate(empty(), 10).faces) == 0
    one = grid(2, 2)
    one = replace(one, faces=np.ascontiguousarray(one.faces[:1]))
    assert len(decimate(one, 1).faces) == 1
    assert len(decimate(three_pages(), 2).faces) <= 3
    assert len(decimate(bow_tie(), 1).faces) <= 2
    rng = np.random.default_rng(0)
    tangle = coloured(rng.normal(size=(60, 3)), rng.integers(0, 60, (800, 3)))
    assert 0 < len(decimate(tangle, 100).faces) <= 800
    bare = Mesh(ball(3).vertices_in_world, ball(3).faces)
    assert decimate(bare, 50).colors is None


def test_unsound_meshes_are_refused_with_the_reason() -> None:
    sheet = grid(3, 3)
    points = sheet.vertices_in_world.copy()
    points[4, 1] = np.nan
    with pytest.raises(InputError, match="1 of 9 vertices are not finite, the first is vertex 4"):
        decimate(replace(sheet, vertices_in_world=points), 4)
    with pytest.raises(InputError, match="faces name vertices 1 to 9, but there are 9"):
        mesh_report(replace(sheet, faces=sheet.faces + np.int32(1)))
    short = replace(sheet)
    # Tests check shapes; users do not.
    object.__setattr__(short, "colors", np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match="colors holds 2 rows for 9 vertices"):
        cleaned_mesh(short)
    with pytest.raises(InputError, match="normals are not finite"):
        cleaned_mesh(replace(sheet, normals_in_world=np.full((9, 3), np.nan, np.float32)))
    with pytest.raises(ConfigError, match="ask for at least 1"):
        decimate(sheet, 0)
