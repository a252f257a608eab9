"""Scores: truth scores about 1, errors cost what they should, nothing unseen is judged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.metrics import (
    ConsistencyCounts,
    ScoreSettings,
    score_against_depth,
    score_against_mesh,
    score_depth,
    score_view,
    summed_consistency,
    surface_points,
    thinned,
    truth_diagonal,
    view_consistency,
    visible,
)
from worldloom.render import MeshRenderer, RenderedView
from worldloom.scene import DepthMap, Mesh, PointCloud
from worldloom.synthetic import SceneSpec, SyntheticScene, build_scene

SETTINGS = ScoreSettings(thresholds=(0.06, 0.03, 0.12), voxel=0.03, margin=0.1)


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return build_scene(SceneSpec(layout="corner", frames=5, width_px=128, height_px=96))


@pytest.fixture(scope="module")
def views(scene: SyntheticScene) -> list[RenderedView]:
    return list(scene.frames())


def shifted(mesh: Mesh, shift: tuple[float, float, float]) -> Mesh:
    return Mesh(mesh.vertices_in_world + np.array(shift), mesh.faces)


def test_truth_scores_about_one(scene: SyntheticScene, views: list[RenderedView]) -> None:
    score = score_against_depth(
        scene.mesh, [v.camera for v in views], [v.depth for v in views], SETTINGS
    )
    assert score.recall > 0.995
    assert score.precision > 0.96, "what is hidden less than the margin behind a surface counts"
    assert score.fscore > 0.98
    assert score.accuracy_median is not None
    assert score.accuracy_median < 0.02
    assert [at.threshold for at in score.at] == [0.06, 0.03, 0.12]


def test_truth_scores_exactly_one_against_itself(scene: SyntheticScene) -> None:
    score = score_against_mesh(scene.mesh, scene.mesh, settings=SETTINGS)
    assert (score.precision, score.recall, score.fscore) == (1, 1, 1)
    assert score.accuracy_mean == 0
    seen = score_against_mesh(scene.mesh, scene.mesh, scene.trajectory.cameras, SETTINGS)
    assert seen.recall == 1
    assert seen.precision > 0.99
    assert seen.truth_points < score.truth_points


def test_a_shift_costs_more_the_farther_it_goes(
    scene: SyntheticScene, views: list[RenderedView]
) -> None:
    steps = [0.0, 0.03, 0.06, 0.12, 0.3]
    scores = [
        score_against_depth(
            shifted(scene.mesh, (step, step, step)),
            [v.camera for v in views],
            [v.depth for v in views],
            SETTINGS,
        )
        for step in steps
    ]
    for at in range(3):
        f = [score.at[at].fscore for score in scores]
        assert (np.diff(f) < 0.001).all()
    assert scores[1].at[2].fscore > 0.95, "three centimetres are well inside twelve"
    assert scores[3].at[0].fscore < 0.2, "every surface is moved by twelve, six are allowed"
    assert scores[3].accuracy_median == pytest.approx(0.12, rel=0.1)


def test_half_a_mesh_is_as_precise_and_recalls_half(scene: SyntheticScene) -> None:
    centre_x = scene.mesh.vertices_in_world[scene.mesh.faces].mean(axis=1)[:, 0]
    half = Mesh(scene.mesh.vertices_in_world, scene.mesh.faces[centre_x > 0])
    score = score_against_mesh(half, scene.mesh, settings=SETTINGS)
    whole_area = len(surface_points(scene.mesh, 0.03))
    assert score.precision == 1
    assert score.recall == pytest.approx(len(surface_points(half, 0.03)) / whole_area, abs=0.05)


def test_floaters_in_seen_space_count_and_points_in_unseen_space_do_not(
    scene: SyntheticScene, views: list[RenderedView]
) -> None:
    cameras, depths = [v.camera for v in views], [v.depth for v in views]
    middle = cameras[2]
    floater = middle.unproject(np.array([[64.0, 48.0]]), np.array([1.0]))
    behind_wall = np.array([[-0.3, 1.0, -2.5]])
    at_back = middle.centre_in_world[None] - 2 * middle.forward_in_world
    seen = visible(np.concatenate([floater, behind_wall, at_back]), cameras, depths, 0.1)
    assert seen.tolist() == [True, False, False]
    surface = score_against_depth(scene.mesh, cameras, depths, SETTINGS)
    points = surface_points(scene.mesh, 0.03)
    rng = np.random.default_rng(3)
    fog = middle.unproject(rng.uniform([20, 20], [108, 76], (400, 2)), rng.uniform(0.6, 1.2, 400))
    foggy = score_against_depth(cloud(np.concatenate([points, fog])), cameras, depths, SETTINGS)
    unseen = score_against_depth(
        cloud(np.concatenate([points, behind_wall + rng.normal(0, 0.05, (400, 3))])),
        cameras,
        depths,
        SETTINGS,
    )
    lost = foggy.judged_points - surface.judged_points
    assert lost > 300
    assert foggy.precision < surface.precision - 0.5 * lost / foggy.judged_points
    assert unseen.precision == pytest.approx(surface.precision, abs=0.003)


def cloud(points: np.ndarray) -> PointCloud:
    count = len(points)
    return PointCloud(
        points,
        np.zeros((count, 3), np.float32),
        np.zeros((count, 3), np.uint8),
        np.ones(count, np.float32),
        np.ones(count, np.int32),
    )


def test_nothing_scores_zero_not_an_error(scene: SyntheticScene, views: list[RenderedView]) -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    for prediction in (empty, cloud(np.zeros((0, 3))), cloud(np.full((5, 3), np.nan))):
        score = score_against_depth(
            prediction, [v.camera for v in views], [v.depth for v in views], SETTINGS
        )
        assert (score.precision, score.recall, score.fscore) == (0, 0, 0)
        assert score.accuracy_mean is None
        assert score.completeness_median is None


def test_truth_that_holds_nothing_is_refused(scene: SyntheticScene) -> None:
    camera = scene.trajectory.cameras[0]
    blank = np.zeros((96, 128), np.float32)
    with pytest.raises(ConfigError, match="no depth is known"):
        score_against_depth(scene.mesh, [camera], [blank], SETTINGS)
    with pytest.raises(ConfigError, match="1 cameras but 2 depth maps"):
        score_against_depth(scene.mesh, [camera], [blank, blank], SETTINGS)
    with pytest.raises(ConfigError, match="no faces"):
        score_against_mesh(scene.mesh, Mesh(np.zeros((3, 3)), np.zeros((0, 3), np.int32)))
    away = Camera(camera.intrinsics, camera.world_from_cam @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ConfigError, match="no camera sees"):
        score_against_mesh(scene.mesh, scene.mesh, [away], SETTINGS)


def test_default_settings_follow_the_diagonal(
    scene: SyntheticScene, views: list[RenderedView]
) -> None:
    cameras, depths = [v.camera for v in views], [v.depth for v in views]
    diagonal = truth_diagonal(cameras, depths)
    assert diagonal == pytest.approx(np.linalg.norm([3.0, 2.2, 3.0]), rel=0.1)
    score = score_against_depth(scene.mesh, cameras, depths)
    assert score.at[0].threshold == pytest.approx(0.01 * diagonal)
    assert score.fscore > 0.97


@pytest.mark.parametrize("wrong", [{"thresholds": ()}, {"voxel": 0.0}, {"margin": -1.0}])
def test_bad_settings_are_refused(wrong: dict[str, object]) -> None:
    values: dict[str, object] = {"thresholds": (0.1,), "voxel": 0.1, "margin": 0.1, **wrong}
    with pytest.raises(ConfigError, match="positive lengths"):
        ScoreSettings(**values)  # type: ignore[arg-type]


@given(scale=st.floats(0.2, 5.0), small=st.floats(0.05, 0.5), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_samples_are_spread_by_area(scale: float, small: float, seed: int) -> None:
    """Two triangles get samples in proportion to their areas, and all samples lie on them."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(3, 3)) * scale
    second = first * small + 50
    mesh = Mesh(np.concatenate([first, second]), np.arange(6, dtype=np.int32).reshape(2, 3))
    from worldloom.metrics._sampling import _sampled

    points = _sampled(mesh, voxel=1e-6, most=20_000)
    on_second = points[:, 0] > 25 + first[:, 0].mean()
    assert on_second.mean() == pytest.approx(small**2 / (1 + small**2), abs=2e-4)
    normal = np.cross(first[1] - first[0], first[2] - first[0])
    offset = (points[~on_second] - first[0]) @ normal / np.linalg.norm(normal)
    assert np.abs(offset).max() < 1e-9
    np.testing.assert_allclose(
        points[~on_second].mean(axis=0), first.mean(axis=0), atol=0.02 * scale * 3
    )


@given(st.integers(0, 200), st.floats(0.01, 1.0))
@settings(max_examples=20, deadline=None)
def test_thinning_leaves_one_point_a_voxel(count: int, voxel: float) -> None:
    points = np.random.default_rng(count).normal(size=(count, 3))
    kept = thinned(points, voxel)
    cells = np.floor(kept / voxel)
    assert len(np.unique(cells, axis=0)) == len(kept)
    assert len(kept) == len(np.unique(np.floor(points / voxel), axis=0))
    np.testing.assert_array_equal(thinned(kept, voxel), kept)


def test_thinning_copes_with_an_outlier_at_the_end_of_the_world() -> None:
    points = np.array([[0.0, 0, 0], [0.001, 0, 0], [1e9, -1e9, 1e9]])
    assert len(thinned(points, 1e-3 * 3)) == 2


def test_depth_score_counts_by_relative_error() -> None:
    truth = np.full((4, 5), 2.0, np.float32)
    truth[0, 0] = 0
    estimate = truth.copy()
    estimate[1] = 0
    estimate[2] *= 1.015
    estimate[3] *= 1.07
    score = score_depth(estimate, truth)
    assert score.density == pytest.approx(14 / 19)
    assert score.compared_pixels == 14
    assert score.within_1_percent == pytest.approx(4 / 14)
    assert score.within_2_percent == pytest.approx(9 / 14)
    assert score.within_5_percent == pytest.approx(9 / 14)
    assert score.within_10_percent == 1
    nothing = score_depth(np.zeros_like(truth), truth)
    assert (nothing.within_10_percent, nothing.density, nothing.median_error) == (0, 0, None)
    with pytest.raises(ConfigError, match="resize"):
        score_depth(estimate[:2], truth)
    with pytest.raises(ConfigError, match="no true depth"):
        score_depth(estimate, np.zeros_like(truth))


def test_view_score_of_the_truth_is_the_best_and_falls_with_error(
    views: list[RenderedView],
) -> None:
    view = views[1]
    best = score_view(view, view.image)
    assert best.psnr_db == pytest.approx(58.92, abs=0.01)
    assert best.ssim == pytest.approx(1)
    assert best.coverage == pytest.approx(view.hit.mean())
    off = score_view(view, np.clip(view.image.astype(int) + 10, 0, 255).astype(np.uint8))
    assert off.psnr_db == pytest.approx(20 * np.log10(25.5), abs=0.3)
    noise = np.random.default_rng(0).normal(0, 30, view.image.shape)
    worse = score_view(view, np.clip(view.image + noise, 0, 255).astype(np.uint8))
    assert off.psnr_db > worse.psnr_db  # type: ignore[operator]
    assert off.ssim > worse.ssim  # type: ignore[operator]


def test_view_score_ignores_what_has_no_data_or_no_cover(views: list[RenderedView]) -> None:
    view = views[1]
    image = view.image.copy()
    mask = np.ones(image.shape[:2], bool)
    mask[:, :60] = False
    image[:, :60] = 255 - image[:, :60]
    image[~view.hit] = 123
    score = score_view(view, image, mask)
    assert score.psnr_db == pytest.approx(58.92, abs=0.01)
    assert score.coverage == pytest.approx(view.hit[:, 60:].mean())
    empty = MeshRenderer(Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))).render(view.camera)
    nothing = score_view(empty, image)
    assert (nothing.psnr_db, nothing.ssim, nothing.coverage) == (None, None, 0)
    with pytest.raises(ConfigError, match="no data"):
        score_view(view, image, np.zeros_like(mask))
    with pytest.raises(ConfigError, match="render with the camera resized"):
        score_view(view, image[:50])


def test_consistency_of_the_truth_is_whole_and_of_a_moved_mesh_is_not(
    scene: SyntheticScene, views: list[RenderedView]
) -> None:
    def counts(mesh: Mesh) -> ConsistencyCounts:
        renderer = MeshRenderer(mesh)
        return summed_consistency(
            view_consistency(
                renderer.depth(v.camera),
                DepthMap(k, v.camera, v.depth, np.ones_like(v.depth), v.normal_in_world),
                v.hit,
            )
            for k, v in enumerate(views)
        )

    truth = counts(scene.mesh)
    assert truth.completeness > 0.9999
    assert truth.geometric_consistency > 0.9999
    assert truth.rays == truth.depths == sum(int(v.hit.sum()) for v in views)
    moved = counts(shifted(scene.mesh, (0.1, 0.1, 0.1)))
    assert moved.completeness > 0.9
    assert moved.geometric_consistency < 0.2
    half = Mesh(scene.mesh.vertices_in_world, scene.mesh.faces[::2])
    assert counts(half).geometric_consistency == pytest.approx(counts(half).completeness, abs=0.15)
    nothing = counts(Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)))
    assert (nothing.completeness, nothing.geometric_consistency) == (0, 0)
    none_at_all = summed_consistency([])
    assert (none_at_all.completeness, none_at_all.geometric_consistency) == (0, 0)
