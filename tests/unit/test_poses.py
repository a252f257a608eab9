"""Refinement of poses on exact points: what it recovers, and what it must leave alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.constellation import (
    LENS,
    Sightings,
    perturbed,
    ring_of_cameras,
    shell_of_points,
    sightings,
)
from tests.corner import made
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.poses import ADJUST, AdjustResult, AdjustWork, PoseConfig, PoseState, pose_states
from worldloom.poses._bundle import Bundle, Observations
from worldloom.poses._kernels import normal_equations
from worldloom.poses._tracks import FeaturePairs, join_tracks, triangulate

SIZE = 9.0
"""About the diagonal of the shell of points."""
CAMERAS = ring_of_cameras(16, radius=1.5)
POINTS = shell_of_points(4000)
CONFIG = PoseConfig()


@dataclass(frozen=True)
class Refined:
    cameras: list[Camera]
    states: list[PoseState]
    result: AdjustResult


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path)))


def refined(
    bench: Bench, found: Sightings, given: Sequence[Camera], config: PoseConfig = CONFIG
) -> Refined:
    work = AdjustWork(
        found.seen_by(given),
        tuple(given),
        found.matches,
        config,
        1.0,
        config.feature_px,
    )
    result = made(ADJUST, bench, work)
    stored = bench.arrays(result.artifact, "poses.npz")
    poses = stored["world_from_cam"]
    assert np.isfinite(poses).all()
    cameras = [replace(c, world_from_cam=p) for c, p in zip(given, poses, strict=True)]
    return Refined(cameras, pose_states(stored["state"].tolist()), result)


def turns(cameras: Sequence[Camera], others: Sequence[Camera]) -> np.ndarray:
    """Turns of the first away from the second, about the axes of the world, radians."""
    return np.array(
        [
            Rotation.from_matrix(a.world_from_cam[:3, :3] @ b.world_from_cam[:3, :3].T).as_rotvec()
            for a, b in zip(cameras, others, strict=True)
        ]
    )


def centres(cameras: Sequence[Camera]) -> np.ndarray:
    return np.array([camera.centre_in_world for camera in cameras])


def shape_error(cameras: Sequence[Camera], truth: Sequence[Camera]) -> tuple[float, float]:
    """Mean angle (degrees) and distance from the truth, but for the gauge."""
    away = turns(cameras, truth)
    back = Rotation.from_rotvec(-away.mean(axis=0)).as_matrix()
    moved = (centres(cameras) - centres(cameras).mean(axis=0)) @ back.T
    true = centres(truth) - centres(truth).mean(axis=0)
    moved *= (moved * true).sum() / (moved**2).sum()
    angle = np.degrees(np.linalg.norm(away - away.mean(axis=0), axis=1).mean())
    return float(angle), float(np.linalg.norm(moved - true, axis=1).mean())


def assert_gauge_unmoved(cameras: Sequence[Camera], given: Sequence[Camera]) -> None:
    assert np.abs(turns(cameras, given).mean(axis=0)).max() < 1e-9
    now, before = centres(cameras), centres(given)
    np.testing.assert_allclose(now.mean(axis=0), before.mean(axis=0), atol=1e-9)
    now, before = now - now.mean(axis=0), before - before.mean(axis=0)
    assert (now * before).sum() / (now**2).sum() == pytest.approx(1.0, abs=1e-9)


def test_noise_on_the_poses_is_undone_and_the_gauge_stays(bench: Bench) -> None:
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, CAMERAS, POINTS), given)
    before, after = shape_error(given, CAMERAS), shape_error(found.cameras, CAMERAS)
    assert after[0] < before[0] / 10
    assert after[1] < before[1] / 10
    assert found.states == ["refined"] * len(CAMERAS)
    assert_gauge_unmoved(found.cameras, given)
    assert found.result.before_px is not None
    assert found.result.after_px is not None
    assert found.result.before_px > 1.0
    assert found.result.after_px < 0.3
    # 0.3 of 0.5 degrees and 0.5 of 1 %, as far as few views tell.
    assert found.result.doubt == pytest.approx(0.55, rel=0.3)
    assert found.result.feature_px == pytest.approx(0.2, rel=0.2)
    assert found.result.scene_size_m == pytest.approx(SIZE, rel=0.3)


def test_right_poses_stay_right(bench: Bench) -> None:
    exact = refined(bench, sightings(bench, CAMERAS, POINTS, noise_px=0.0), CAMERAS)
    assert np.degrees(np.abs(turns(exact.cameras, CAMERAS)).max()) < 1e-4
    assert np.abs(centres(exact.cameras) - centres(CAMERAS)).max() < 1e-5
    noisy = refined(bench, sightings(bench, CAMERAS, POINTS), CAMERAS)
    assert np.degrees(np.linalg.norm(turns(noisy.cameras, CAMERAS), axis=1).max()) < 0.06
    assert np.linalg.norm(centres(noisy.cameras) - centres(CAMERAS), axis=1).max() < 0.0005 * SIZE


def test_wrong_matches_do_little_harm(bench: Bench) -> None:
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, CAMERAS, POINTS, wrong_share=0.15), given)
    before, after = shape_error(given, CAMERAS), shape_error(found.cameras, CAMERAS)
    assert after[0] < before[0] / 6
    assert after[1] < before[1] / 6


def test_a_view_without_matches_keeps_its_pose_to_the_bit(bench: Bench) -> None:
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, CAMERAS, POINTS, blind=frozenset({5})), given)
    assert found.states[5] == "unmatched"
    np.testing.assert_array_equal(found.cameras[5].world_from_cam, given[5].world_from_cam)
    rest = [i for i in range(len(CAMERAS)) if i != 5]
    assert {found.states[i] for i in rest} == {"refined"}
    assert_gauge_unmoved([found.cameras[i] for i in rest], [given[i] for i in rest])


def test_a_view_that_wants_too_far_keeps_its_pose_and_spoils_no_other(bench: Bench) -> None:
    given = perturbed(CAMERAS, angle_deg=0.2, distance=0.003 * SIZE)
    (given[7],) = perturbed([CAMERAS[7]], angle_deg=3.0, distance=0.0, seed=4)
    assert np.degrees(np.linalg.norm(turns(given, CAMERAS)[7])) > 3
    found = refined(bench, sightings(bench, CAMERAS, POINTS), given)
    assert found.states[7] == "out of bounds"
    np.testing.assert_array_equal(found.cameras[7].world_from_cam, given[7].world_from_cam)
    rest = [i for i in range(len(CAMERAS)) if i != 7]
    assert {found.states[i] for i in rest} == {"refined"}
    true, kept = [CAMERAS[i] for i in rest], [found.cameras[i] for i in rest]
    assert shape_error(kept, true)[0] < 0.05
    assert_gauge_unmoved(kept, [given[i] for i in rest])


def test_corrections_never_exceed_the_bounds(bench: Bench) -> None:
    config = replace(CONFIG, max_rotation_deg=0.4, max_translation_share=0.006)
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, CAMERAS, POINTS), given, config)
    assert np.degrees(np.linalg.norm(turns(found.cameras, given), axis=1)).max() <= 0.4 + 1e-9
    furthest = 0.006 * found.result.scene_size_m
    assert np.linalg.norm(centres(found.cameras) - centres(given), axis=1).max() <= furthest
    assert "out of bounds" in found.states


def test_two_views_agree_in_the_middle(bench: Bench) -> None:
    cameras = CAMERAS[:2]
    given = perturbed(cameras, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, cameras, POINTS), given)
    assert found.states == ["refined", "refined"]
    assert_gauge_unmoved(found.cameras, given)
    assert shape_error(found.cameras, cameras)[0] < shape_error(given, cameras)[0] / 3


def test_without_any_match_all_poses_are_as_given(bench: Bench) -> None:
    everyone = frozenset(range(len(CAMERAS)))
    found = refined(bench, sightings(bench, CAMERAS, POINTS, blind=everyone), CAMERAS)
    assert found.states == ["unmatched"] * len(CAMERAS)
    np.testing.assert_array_equal(
        [c.world_from_cam for c in found.cameras], [c.world_from_cam for c in CAMERAS]
    )
    assert found.result.after_px is None


def test_separate_groups_of_views_each_keep_their_gauge(bench: Bench) -> None:
    gap = frozenset({6, 7, 8, 9})
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = refined(bench, sightings(bench, CAMERAS, POINTS, blind=gap, reach=3), given)
    for group in (slice(0, 6), slice(10, 16)):
        assert_gauge_unmoved(found.cameras[group], given[group])
        assert shape_error(found.cameras[group], CAMERAS[group])[0] < 0.05


@pytest.mark.parametrize(("scale", "shift"), [(1000.0, 0.0), (0.001, 0.0), (1.0, 3e4)])
def test_unit_and_origin_do_not_matter(bench: Bench, scale: float, shift: float) -> None:
    def moved(cameras: Sequence[Camera]) -> list[Camera]:
        poses = [camera.world_from_cam.copy() for camera in cameras]
        for pose in poses:
            pose[:3, 3] = pose[:3, 3] * scale + shift
        return [Camera(LENS, pose) for pose in poses]

    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    found = sightings(bench, CAMERAS, POINTS)
    plain = refined(bench, found, given)
    other = refined(bench, found, moved(given))
    expected = moved(plain.cameras)
    assert np.degrees(np.abs(turns(other.cameras, expected)).max()) < 1e-3
    assert np.abs(centres(other.cameras) - centres(expected)).max() < 1e-5 * SIZE * scale


def test_the_same_work_gives_the_same_bits(tmp_path: Path) -> None:
    given = perturbed(CAMERAS, angle_deg=0.3, distance=0.005 * SIZE)
    benches = [Bench(BenchConfig(str(tmp_path / name))) for name in ("a", "b")]
    one, two = (refined(b, sightings(b, CAMERAS, POINTS), given) for b in benches)
    assert one.result == two.result
    for a, b in zip(one.cameras, two.cameras, strict=True):
        np.testing.assert_array_equal(a.world_from_cam, b.world_from_cam)


def test_tracks_go_over_views_and_drop_those_they_see_twice() -> None:
    pixels = [np.arange(8.0).reshape(4, 2) + 100 * view for view in range(3)]
    pairs = [
        FeaturePairs(0, 1, np.array([[0, 0], [1, 1], [3, 3]])),
        # The last closes a loop to another feature of view 0.
        FeaturePairs(1, 2, np.array([[0, 0], [3, 3]])),
        FeaturePairs(0, 2, np.array([[2, 3]])),
    ]
    seen = join_tracks(pairs, pixels)
    tracks = {
        tuple(zip(seen.view[of].tolist(), seen.pixel[of, 0].tolist(), strict=True))
        for point in range(int(seen.point.max()) + 1)
        if (of := seen.point == point).any()
    }
    assert tracks == {
        ((0, 0.0), (1, 100.0), (2, 200.0)),
        ((0, 2.0), (1, 102.0)),
        ((1, 106.0), (2, 206.0)),
    }
    assert len(join_tracks([], pixels).view) == 0


def _bundle(cameras: Sequence[Camera], points: np.ndarray) -> Bundle:
    return Bundle(
        np.array([c.cam_from_world[:3, :3] for c in cameras]),
        centres(cameras),
        np.tile([LENS.fx, LENS.fy, LENS.cx, LENS.cy], (len(cameras), 1)),
        points,
    )


def test_triangulation_finds_the_points_and_leaves_out_parallel_rays() -> None:
    points = np.array([[0.5, 0.3, 4.0], [0.4, -0.2, 3.0], [500.0, 0.0, 4000.0]])
    cameras = CAMERAS[:3]
    seen = Observations(
        np.tile(np.arange(3), 3),
        np.repeat(np.arange(3), 3),
        np.concatenate([[c.project(p[None])[0][0] for c in cameras] for p in points]),
    )
    found = triangulate(_bundle(cameras, np.zeros((0, 3))), seen, 1.0)
    np.testing.assert_allclose(found.bundle.points, points[:2], atol=1e-9)
    assert found.seen.point.tolist() == [0, 0, 0, 1, 1, 1]


def test_derivatives_are_those_of_the_projection() -> None:
    camera, point = CAMERAS[3], np.array([[1.5, 0.2, 3.5]])
    pixel = camera.project(point)[0] + np.array([[0.3, -0.2]])
    bundle = _bundle([camera], point)
    one = np.zeros(1, np.int64)
    arrays = (bundle.rotation, bundle.centre, bundle.lens)
    _, side_view, _, side_point, _ = normal_equations(*arrays, point, one, one, pixel, 1e9)

    def cost(move: np.ndarray) -> float:
        turn = Rotation.from_rotvec(move[:3]).as_matrix()
        moved = replace(
            bundle,
            rotation=turn @ bundle.rotation,
            centre=bundle.centre + move[3:6],
            points=point + move[6:],
        )
        return 0.5 * float(moved.errors_px(Observations(one, one, pixel))[0] ** 2)

    steps = 1e-6 * np.eye(9)
    slopes = [(cost(step) - cost(-step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(
        -np.concatenate([side_view[0], side_point[0]]), slopes, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_rotation_deg", 0.0), ("huber_px", -1.0), ("max_features", 0), ("epipolar_px", np.nan)],
)
def test_settings_that_cannot_work_are_named(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        replace(CONFIG, **{field: value})
    assert caught.value.ids["field"] == field
