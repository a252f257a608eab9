"""Refinement: outliers go, noise goes, edges stay, holes close, and nothing breaks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from worldloom.meshes import RefinementConfig, manifold_mesh, mesh_report, refine_mesh
from worldloom.meshes._patch import refined_patch
from worldloom.meshes._triangulation import triangulated
from worldloom.render import face_normals
from worldloom.scene import Mesh, UnwrappedMesh

CLEAN_ONLY = {"remove_outliers": False, "smooth_normals": False, "fill_holes": False}


def noisy(mesh: Mesh, deviation_m: float, seed: int = 0) -> Mesh:
    noise = np.random.default_rng(seed).normal(scale=deviation_m, size=(len(mesh.faces) * 3, 3))
    moved = mesh.vertices_in_world + noise[: len(mesh.vertices_in_world)]
    return coloured(moved, mesh.faces)


def without(mesh: Mesh, middle: tuple[float, float, float], radius_m: float) -> Mesh:
    """The mesh with the faces around a place cut out."""
    centres = mesh.vertices_in_world[mesh.faces].mean(axis=1)
    kept = np.linalg.norm(centres - middle, axis=1) > radius_m
    used, faces = np.unique(mesh.faces[kept], return_inverse=True)
    return coloured(mesh.vertices_in_world[used], faces.reshape(-1, 3))


def area(points: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_loose_pieces_go_and_large_ones_stay() -> None:
    scene = joined(ball(3), ball(1, 0.01, (1.5, 0, 0)), ball(2, 0.3, (3, 0, 0)))
    refined = refine_mesh(scene, smooth_normals=False, fill_holes=False)
    assert mesh_report(refined).components == 2
    assert len(refined.faces) == 1280 + 320
    kept = refine_mesh(scene, **CLEAN_ONLY)
    assert mesh_report(kept).components == 3
    np.testing.assert_array_equal(kept.vertices_in_world, scene.vertices_in_world)
    np.testing.assert_array_equal(kept.faces, scene.faces)


def test_spikes_are_pulled_back_and_corners_are_none() -> None:
    solid = box(12)
    spiked = solid.vertices_in_world.copy()
    inner = np.nonzero((np.abs(solid.vertices_in_world) < 0.4).sum(axis=1) == 2)[0]
    spiked[inner[::97]] *= 3
    refined = refine_mesh(coloured(spiked, solid.faces), smooth_normals=False, fill_holes=False)
    moved = np.linalg.norm(refined.vertices_in_world - solid.vertices_in_world, axis=1)
    assert moved.max() < 0.02
    untouched = refine_mesh(solid, smooth_normals=False, fill_holes=False)
    np.testing.assert_array_equal(untouched.vertices_in_world, solid.vertices_in_world)


def test_smoothing_takes_noise_off_a_box_and_leaves_its_edges_and_its_volume() -> None:
    solid = box(24)
    rough = noisy(solid, 0.006)
    smooth = refine_mesh(rough, remove_outliers=False, fill_holes=False)
    np.testing.assert_array_equal(smooth.faces, rough.faces)

    def height(mesh: Mesh) -> np.ndarray:
        return np.abs(np.abs(mesh.vertices_in_world).max(axis=1) - 0.5)

    def tilt_deg(mesh: Mesh) -> float:
        normals = face_normals(mesh.vertices_in_world, mesh.faces)
        return float(np.degrees(np.arccos(np.clip(np.abs(normals).max(axis=1), 0, 1))).mean())

    assert height(rough).mean() > 0.004
    assert height(smooth).mean() < 0.5 * height(rough).mean()
    assert tilt_deg(smooth) < 0.25 * tilt_deg(rough)
    assert volume_m3(smooth) == pytest.approx(1, abs=0.01)
    corners = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    assert KDTree(smooth.vertices_in_world).query(corners)[0].max() < 0.02


def test_many_rounds_of_smoothing_do_not_shrink_a_sphere() -> None:
    solid = ball(4)
    config = RefinementConfig(normal_rounds=40, vertex_rounds=80)
    smooth = refine_mesh(noisy(solid, 0.01), fill_holes=False, config=config)
    assert volume_m3(smooth) == pytest.approx(volume_m3(solid), rel=0.005)
    radius = np.linalg.norm(smooth.vertices_in_world, axis=1)
    assert np.abs(radius - 1).mean() < 0.006
    assert smooth.normals_in_world is not None
    direction = smooth.vertices_in_world / radius[:, None]
    assert (smooth.normals_in_world * direction).sum(axis=1).mean() > 0.99


def test_holes_of_a_sphere_close_round_and_in_colour() -> None:
    solid = without(without(ball(4), (0, 0, 1), 0.35), (1, 0, 0), 0.1)
    config = RefinementConfig(max_hole_share=0.3)
    filled = refine_mesh(solid, remove_outliers=False, smooth_normals=False, config=config)
    report = mesh_report(filled)
    assert report.watertight
    assert report.manifold
    assert report.consistent_winding
    assert not report.degenerate_faces
    kept = len(solid.vertices_in_world)
    np.testing.assert_array_equal(filled.vertices_in_world[:kept], solid.vertices_in_world)
    new = filled.vertices_in_world[kept:]
    assert len(new) > 20, "the patch is as dense as the surface around it"
    assert np.abs(np.linalg.norm(new, axis=1) - 1).max() < 0.03, "a flat lid would be 0.06 inside"
    assert filled.colors is not None
    assert filled.normals_in_world is not None
    assert (filled.normals_in_world[kept:] * new).sum(axis=1).min() > 0.97
    np.testing.assert_allclose(filled.colors[kept:], new * 127 + 128, atol=25)


def test_holes_above_the_size_and_outer_edges_stay_open() -> None:
    sheet = without(without(grid(41, 41), (0.25, 0.25, 0), 0.03), (0.7, 0.7, 0), 0.2)
    before = mesh_report(sheet).boundary_edges
    config = RefinementConfig(max_hole_m=0.15)
    filled = refine_mesh(sheet, remove_outliers=False, smooth_normals=False, config=config)
    assert 160 < mesh_report(filled).boundary_edges < before
    assert area(filled.vertices_in_world, filled.faces) == pytest.approx(
        1 - np.pi * 0.2**2, abs=0.015
    )
    both = refine_mesh(
        sheet,
        remove_outliers=False,
        smooth_normals=False,
        config=RefinementConfig(max_hole_share=1.0),
    )
    assert mesh_report(both).boundary_edges == 160, "the outer edge of the sheet is no hole"
    assert area(both.vertices_in_world, both.faces) == pytest.approx(1, abs=1e-9)
    assert np.abs(both.vertices_in_world[:, 2]).max() == 0
    few = replace(config, max_hole_edges=4)
    left = refine_mesh(sheet, remove_outliers=False, smooth_normals=False, config=few)
    assert mesh_report(left).boundary_edges == before


@given(st.lists(st.floats(0.2, 1), min_size=3, max_size=40), st.booleans())
@settings(max_examples=40)
def test_a_polygon_in_a_plane_is_filled_without_overlap(radii: list[float], comb: bool) -> None:
    """Its triangles have its area exactly when none lies over another."""
    count = len(radii)
    if comb:
        x = np.arange(count) / count
        upper = np.stack([x, np.where(np.arange(count) % 2, 0.9, 0.1)], axis=-1)
        lower = np.stack([x[::-1], -np.array(radii)[::-1]], axis=-1)
        flat = np.concatenate([lower[::-1], upper[::-1]])
    else:
        angle = 2 * np.pi * np.arange(count) / count
        flat = np.array(radii)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    points = np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)
    ahead = np.roll(flat, -1, axis=0)
    expected = 0.5 * float((flat[:, 0] * ahead[:, 1] - flat[:, 1] * ahead[:, 0]).sum())
    normals = np.tile([0.0, 0.0, 1.0], (len(flat), 1))
    free = np.zeros((len(flat),) * 2, bool)
    triangles = triangulated(points, normals, free)
    assert len(triangles) == len(flat) - 2
    assert area(points, triangles) == pytest.approx(expected, rel=1e-6)
    patch = refined_patch(points, triangles, free)
    assert area(patch.points, patch.triangles) == pytest.approx(expected, rel=1e-6)
    a, b, c = (patch.points[patch.triangles[:, k]] for k in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > -1e-12).all()
    rim = mesh_report(Mesh(patch.points, patch.triangles.astype(np.int32)))
    assert (rim.boundary_edges, rim.non_manifold_edges) == (len(flat), 0)


def test_a_join_that_the_mesh_has_already_is_not_made_again() -> None:
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    normals = np.tile([0.0, 0.0, 1.0], (4, 1))
    taken = np.zeros((4, 4), bool)
    taken[0, 2] = taken[2, 0] = True
    assert {tuple(sorted(t)) for t in triangulated(square, normals, taken).tolist()} == {
        (0, 1, 3),
        (1, 2, 3),
    }
    taken[1, 3] = taken[3, 1] = True
    assert len(triangulated(square, normals, taken)) == 0


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_simplify_keeps_a_share_of_the_vertices(share: float) -> None:
    solid = ball(4)
    coarse = refine_mesh(solid, simplify=share)
    wanted = share * len(solid.vertices_in_world)
    assert 0.9 * wanted < len(coarse.vertices_in_world) <= wanted + 1
    assert mesh_report(coarse).watertight
    assert coarse.colors is not None
    assert coarse.normals_in_world is not None
    whole = refine_mesh(solid, simplify=1.0, **CLEAN_ONLY)
    np.testing.assert_array_equal(whole.faces, solid.faces)


def test_any_mesh_becomes_a_manifold_without_losing_a_face() -> None:
    book = manifold_mesh(three_pages()).mesh
    assert (len(book.faces), mesh_report(book).manifold) == (3, True)
    tie = manifold_mesh(bow_tie()).mesh
    assert (len(tie.vertices_in_world), mesh_report(tie).components) == (6, 2)
    solid = ball(3)
    rng = np.random.default_rng(1)
    turned = rng.random(len(solid.faces)) < 0.3
    faces = solid.faces.copy()
    faces[turned] = faces[turned][:, [1, 0, 2]]
    made = manifold_mesh(replace(solid, faces=faces))
    np.testing.assert_array_equal(made.turned_faces, turned)
    assert mesh_report(made.mesh).watertight
    assert volume_m3(made.mesh) == pytest.approx(volume_m3(solid))


def test_a_moebius_strip_is_cut_to_a_sheet() -> None:
    steps = 24
    angle = 2 * np.pi * np.arange(steps) / steps
    rims = [
        np.stack(
            [
                (1 + side * np.cos(angle / 2)) * np.cos(angle),
                (1 + side * np.cos(angle / 2)) * np.sin(angle),
                side * np.sin(angle / 2),
            ],
            axis=-1,
        )
        for side in (-0.3, 0.3)
    ]
    quads = np.array([[i, i + 1, steps + i, steps + i + 1] for i in range(steps - 1)])
    quads = np.concatenate([quads, [[steps - 1, steps, 2 * steps - 1, 0]]])
    faces = np.concatenate([quads[:, [0, 1, 3]], quads[:, [0, 3, 2]]])
    report = mesh_report(refine_mesh(coloured(np.concatenate(rims), faces), fill_holes=False))
    assert report.manifold
    assert report.consistent_winding
    assert report.faces == 2 * steps


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(3, 20))
@settings(max_examples=25)
def test_nothing_breaks_on_tangles(seed: int, faces: int, vertices: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, vertices, (faces, 3))
    places = rng.integers(0, 4, (vertices, 3)) / 4
    refined = refine_mesh(
        coloured(places, corners), simplify=0.5, config=RefinementConfig(max_hole_share=1.0)
    )
    assert np.isfinite(refined.vertices_in_world).all()
    report = mesh_report(refined)
    assert report.manifold
    assert report.consistent_winding
    assert not report.duplicate_faces


def test_empty_meshes_and_single_faces_pass() -> None:
    nothing = refine_mesh(empty(), simplify=0.5)
    assert len(nothing.faces) == len(nothing.vertices_in_world) == 0
    one = replace(grid(2, 2), faces=np.array([[0, 2, 1]], np.int32))
    refined = refine_mesh(one, simplify=0.1)
    assert len(refined.faces) == 1
    assert len(refined.vertices_in_world) == 3
    bare = refine_mesh(Mesh(ball(2).vertices_in_world, ball(2).faces))
    assert bare.colors is None
    assert bare.normals_in_world is None


def test_refinement_is_the_same_each_time() -> None:
    scene = joined(without(noisy(ball(4), 0.01), (0, 0, 1), 0.2), ball(1, 0.01, (2, 0, 0)))
    first, second = (refine_mesh(scene, simplify=0.3) for _ in range(2))
    np.testing.assert_array_equal(first.vertices_in_world, second.vertices_in_world)
    np.testing.assert_array_equal(first.faces, second.faces)
    assert first.colors is not None
    assert second.colors is not None
    np.testing.assert_array_equal(first.colors, second.colors)


def unwrapped(mesh: Mesh) -> UnwrappedMesh:
    """Texture coordinates that say where a corner is."""
    uv = mesh.vertices_in_world[mesh.faces][..., :2].astype(np.float32)
    return UnwrappedMesh(mesh, uv, np.arange(len(mesh.faces), dtype=np.int32) % 3)


def test_an_unwrapped_mesh_keeps_the_place_of_each_corner_in_its_texture() -> None:
    scene = joined(grid(12, 12), ball(1, 0.004, (0.5, 0.5, 0.5)))
    faces = scene.faces.copy()
    faces[5] = faces[5][[0, 2, 1]]
    given_mesh = unwrapped(replace(scene, faces=faces))
    refined = refine_mesh(given_mesh, fill_holes=False)
    assert isinstance(refined, UnwrappedMesh)
    assert len(refined.mesh.faces) == len(refined.uv) == len(refined.page) == 242
    corners = refined.mesh.vertices_in_world[refined.mesh.faces][..., :2]
    np.testing.assert_allclose(refined.uv, corners, atol=1e-6)
    np.testing.assert_array_equal(refined.page, given_mesh.page[:242])
    with pytest.raises(ConfigError, match="no place in the texture of an unwrapped mesh"):
        refine_mesh(given_mesh)
    with pytest.raises(ConfigError, match="no place in the texture of an unwrapped mesh"):
        refine_mesh(given_mesh, fill_holes=False, simplify=0.5)
    broken = replace(given_mesh, uv=np.full_like(given_mesh.uv, np.nan))
    with pytest.raises(InputError, match="texture coordinates are not finite"):
        refine_mesh(broken, fill_holes=False)


def test_what_cannot_be_refined_is_refused() -> None:
    lost = grid(3, 3)
    lost.vertices_in_world[2] = np.nan
    with pytest.raises(InputError, match="1 of 9 vertices are not finite"):
        refine_mesh(lost)
    for share in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="share of the vertices to keep"):
            refine_mesh(grid(3, 3), simplify=share)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_piece_share", -0.1),
        ("max_hole_share", 1.1),
        ("spike_edges", 0.5),
        ("normal_rounds", -1),
        ("vertex_rounds", -1),
        ("normal_sigma", 0.0),
        ("max_hole_m", -1.0),
        ("max_hole_edges", 2),
    ],
)
def test_settings_that_cannot_work_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        RefinementConfig(**{field: value})
