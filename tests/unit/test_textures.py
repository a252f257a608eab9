"""From a surface and its views to maps: what comes out is what was there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.textured import (
    HALF_M,
    Made,
    bench_at,
    cameras,
    darker,
    in_pieces,
    picture,
    places_of_texels,
    plane,
    plane_inputs,
    psnr_db,
    store_mesh,
    textured,
    waves,
)
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
from worldloom.render import MeshRenderer, TexturedRenderer
from worldloom.response import ViewExposure, exposed
from worldloom.scene import Mesh, Texture
from worldloom.surface import vertex_normals
from worldloom.texture import (
    StageRun,
    TextureConfig,
    load_chosen,
    resized_texture,
    seam_contrast,
    texture_surface,
    views_by_id,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    bench = bench_at(tmp_path_factory.mktemp("plane"))
    return textured(bench, plane_inputs(bench))


def _fidelity(found: Made, inner_m: float = HALF_M) -> float:
    row, column, points = places_of_texels(found.unwrapped, found.albedo.pages[0].shape[0])
    inner = (np.abs(points[:, :2]) <= inner_m).all(axis=1)
    truth = waves(points[inner, 0], points[inner, 1])
    return psnr_db(found.albedo.pages[0][row[inner], column[inner]], truth)


def test_the_colours_of_a_plane_come_back(made: Made) -> None:
    # What limits it is the bilinear sampling of pixels that span 2 cm.
    assert _fidelity(made, 0.95) > 40


def test_rendered_views_are_the_images(made: Made) -> None:
    renderer = TexturedRenderer(made.unwrapped, made.albedo)
    plain = MeshRenderer(made.unwrapped.mesh)
    for camera in cameras():
        image = picture(camera)
        view = renderer.render(camera, 2)
        inner = view.hit & (image.sum(axis=2) > 0)
        inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        assert psnr_db(view.image[inner], image[inner]) > 36
        assert psnr_db(plain.render(camera).image[inner], image[inner]) < 16


def test_every_face_is_on_the_page_and_texels_are_as_fine_as_pixels(made: Made) -> None:
    uv, side = made.unwrapped.uv, made.albedo.pages[0].shape[0]
    assert uv.dtype == np.float32
    assert (uv >= 0).all()
    assert (uv <= 1).all()
    assert (made.unwrapped.page == 0).all()
    edge_u, edge_v = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = 0.5 * (edge_u[:, 0] * edge_v[:, 1] - edge_u[:, 1] * edge_v[:, 0]) * side**2
    assert (area > 0).all(), "charts are not mirrored"
    world = (2 * HALF_M / 12) ** 2 / 2
    # A pixel spans 2.6 / 130 world units before the middle; 1.25 texels along it.
    assert np.median(np.sqrt(area / world)) == pytest.approx(1.25 * 130 / 2.6, rel=0.15)
    assert made.albedo.covered[0].sum() == pytest.approx(area.sum(), rel=0.02)
    assert made.albedo.covered[0].sum() == made.references.pages[0].covered_px


def test_no_texel_belongs_to_two_faces(made: Made) -> None:
    side = made.albedo.pages[0].shape[0]
    row, column, _ = places_of_texels(made.unwrapped, side)
    assert len(np.unique(row * side + column)) == len(row)


def test_all_maps_share_pages_and_cover(made: Made) -> None:
    side = made.references.atlas.side_px
    for texture, channels in ((made.albedo, 3), (made.normal, 3), (made.roughness, 1)):
        assert [page.shape for page in texture.pages] == [(side, side, channels)]
        np.testing.assert_array_equal(texture.covered[0], made.albedo.covered[0])


def test_a_flat_surface_has_a_flat_normal_map_and_a_plain_roughness(made: Made) -> None:
    inside = made.normal.covered[0]
    assert np.abs(made.normal.pages[0][inside].astype(int) - (128, 128, 255)).max() <= 1
    assert (made.roughness.pages[0][inside] == round(0.9 * 255)).mean() > 0.9


def test_charts_are_spread_into_what_is_around_them(made: Made) -> None:
    import cv2

    covered = made.albedo.covered[0]
    around = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ring = made.albedo.pages[0][around & ~covered].astype(int)
    # The plane is brighter than the empty page anywhere but where blue is dark.
    assert (ring.sum(axis=1) > 60).all()


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_makes_the_same(workers: int, made: Made, tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    other = textured(bench, plane_inputs(bench), workers=workers)
    assert other.references == made.references
    np.testing.assert_array_equal(other.unwrapped.uv, made.unwrapped.uv)
    for kind in ("albedo", "normal", "roughness"):
        found, expected = getattr(other, kind), getattr(made, kind)
        np.testing.assert_array_equal(found.pages[0], expected.pages[0])


def test_views_that_show_something_else_are_left_out(tmp_path: Path) -> None:
    images = [picture(camera) for camera in cameras()]
    # A thing before the plane, in the view that resolves it best.
    images[0][40:80, 60:100] = (250, 10, 240)
    bench = bench_at(tmp_path)
    found = textured(bench, plane_inputs(bench, images=images))
    assert found.references.chosen.rejected > 0
    assert _fidelity(found, 0.95) > 34


def test_masked_pixels_colour_nothing(tmp_path: Path) -> None:
    images = [picture(camera) for camera in cameras()]
    masks: list[np.ndarray | None] = [np.ones(images[0].shape[:2], bool) for _ in images]
    for image, mask in zip(images, masks, strict=True):
        assert mask is not None
        mask[30:60, 50:90] = False
        image[~mask] = (255, 0, 255)
    bench = bench_at(tmp_path)
    found = textured(bench, plane_inputs(bench, images=images, masks=masks))
    row, column, points = places_of_texels(found.unwrapped, found.albedo.pages[0].shape[0])
    shown = found.albedo.pages[0][row, column].astype(float)
    inner = (np.abs(points[:, :2]) < 0.9).all(axis=1)
    wrong = np.abs(shown - waves(points[:, 0], points[:, 1])).max(axis=1) > 40
    seen = load_chosen(bench, found.references.chosen).view
    assert (seen >= 0).mean() > 0.8
    # What no view sees has the colours of the vertices; nothing is magenta.
    magenta = (shown[:, 0] > 220) & (shown[:, 1] < 40) & (shown[:, 2] > 220)
    assert not magenta.any()
    assert wrong[inner].mean() < 0.2


def test_views_that_see_nothing_leave_the_colours_of_the_vertices(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    inputs = plane_inputs(bench, mesh=_turned_away(plane()))
    found = textured(bench, inputs)
    assert found.references.chosen.seen_faces == 0
    inside = found.albedo.covered[0]
    assert inside.any()
    assert (found.albedo.pages[0][inside] == 90).all()


def _turned_away(mesh: Mesh) -> Mesh:
    faces = np.ascontiguousarray(mesh.faces[:, ::-1])
    normals = vertex_normals(mesh.vertices_in_world, faces)
    return replace(mesh, faces=faces, normals_in_world=normals)


def test_exposures_are_undone(tmp_path: Path) -> None:
    gains = [1.0, 1.5, 0.7, 1.3, 0.8]
    exposures: list[ViewExposure | None] = [
        ViewExposure(view, "filmic", (gain, gain, gain)) for view, gain in enumerate(gains)
    ]
    images = [
        exposed(picture(camera), exposure)
        for camera, exposure in zip(cameras(), exposures, strict=True)
        if exposure is not None
    ]
    bench = bench_at(tmp_path)
    found = textured(bench, plane_inputs(bench, images=images, exposures=exposures))
    assert _fidelity(found, 0.95) > 36


def test_levelling_closes_the_seams_of_views_that_differ(tmp_path: Path) -> None:
    steps = [0.0, 14.0, -12.0, 8.0, -6.0]
    images = [darker(picture(c), s) for c, s in zip(cameras(), steps, strict=True)]
    bench = bench_at(tmp_path)
    inputs = plane_inputs(bench, images=images)
    step = {}
    for levelling in ("none", "global", "full"):
        config = TextureConfig(levelling=levelling, seam_smoothness=0.0)
        found = textured(bench, inputs, config)
        chosen = load_chosen(bench, found.references.chosen)
        assert len(np.unique(chosen.view)) > 2, "there are seams"
        measured = (bench, found.unwrapped, found.albedo, chosen, views_by_id(inputs.views))
        contrast = seam_contrast(*measured)
        assert contrast.edges > 20
        # In one plane the texels of all faces lie in it.
        in_plane = seam_contrast(*measured, reading="plane")
        assert in_plane.edges == contrast.edges
        assert in_plane.levels == pytest.approx(contrast.levels, abs=0.2)
        # Every view sees every face: none ends at a seam.
        assert contrast.ending_edges == 0
        step[levelling] = contrast.levels
        if levelling == "none":
            # No step where there is no seam, but for faces within a texel of one, and rounding.
            assert contrast.inside_levels < 0.05 * contrast.levels
    assert step["none"] > 5
    assert step["global"] < 0.3 * step["none"]
    assert step["full"] < 0.3 * step["none"]


@pytest.mark.parametrize("faces", [1, 2, 4])
def test_few_faces_are_enough(faces: int, tmp_path: Path) -> None:
    whole = plane()
    mesh = replace(whole, faces=whole.faces[140 : 140 + faces])
    bench = bench_at(tmp_path)
    found = textured(bench, plane_inputs(bench, mesh=mesh))
    assert len(found.unwrapped.mesh.faces) == faces
    assert _fidelity(found) > 30


def test_a_mesh_that_is_no_manifold_is_textured(tmp_path: Path) -> None:
    whole = plane()
    # A fin on an edge inside the plane, a face without area, one twice, one with a repeated vertex.
    top = np.array([[0.0, 0.0, -0.3]])
    vertices = np.concatenate([whole.vertices_in_world, top])
    a, b = whole.faces[100, 0], whole.faces[100, 1]
    odd = np.array([[a, b, len(vertices) - 1], whole.faces[5], [a, a, b]], np.int32)
    faces = np.concatenate([whole.faces, odd])
    mesh = Mesh(
        vertices, faces, np.full((len(vertices), 3), 90, np.uint8), vertex_normals(vertices, faces)
    )
    bench = bench_at(tmp_path)
    found = textured(bench, plane_inputs(bench, mesh=mesh))
    assert len(found.unwrapped.mesh.faces) == len(whole.faces) + 1
    assert np.isfinite(found.unwrapped.uv).all()


def test_an_empty_mesh_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    inputs = plane_inputs(bench)
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), None, np.zeros((0, 3), np.float32))
    run = StageRun(InlineRunner(bench.config))
    surface = store_mesh(bench, empty)
    assert texture_surface(run, replace(inputs, surface=surface), TextureConfig()) is None
    assert "no face" in run.failures[0].message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("texture_resolution", 100_000),
        ("texture_resolution", 8),
        ("max_texture_pages", 0),
        ("max_texture_faces", 1),
        ("texture_face_share", 0.0),
        ("texels_per_pixel", 9.0),
        ("seam_smoothness", -1.0),
        ("seam_rings", -1),
        ("texture_padding_px", 0),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(TextureConfig(), **{field: value})


def test_what_does_not_fit_goes_to_more_pages_or_gets_coarser(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    inputs = plane_inputs(bench, mesh=in_pieces(plane()))
    several = textured(bench, inputs, TextureConfig(texture_resolution=128, max_texture_pages=4))
    assert several.references.atlas.pages > 1
    assert several.references.atlas.density_share == 1
    assert set(several.unwrapped.page) == set(range(several.references.atlas.pages))
    one = textured(bench, inputs, TextureConfig(texture_resolution=128, max_texture_pages=1))
    assert one.references.atlas.pages == 1
    assert one.references.atlas.density_share < 1
    assert _fidelity(one, 0.9) > 25


def test_fewer_texels_are_means_and_normals_stay_unit() -> None:
    rng = np.random.default_rng(4)
    colors = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    cover = np.ones((128, 128), bool)
    half = resized_texture(Texture("albedo", (colors,), (cover,)), 64)
    means = colors.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(half.pages[0] - means).max() <= 1
    assert half.covered[0].shape == (64, 64)
    normals = rng.normal(size=(128, 128, 3)) + np.array([0, 0, 4])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    encoded = np.rint(127.5 + 127.5 * normals).astype(np.uint8)
    small = resized_texture(Texture("normal", (encoded,), (cover,)), 64).pages[0]
    lengths = np.linalg.norm(small.astype(float) - 127.5, axis=-1)
    assert np.abs(lengths / 127.5 - 1).max() < 0.02
    same = Texture("albedo", (colors,), (cover,))
    assert resized_texture(same, 4096) is same
    with pytest.raises(ConfigError, match="texture_resolution"):
        resized_texture(same, 2)
