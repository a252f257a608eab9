"""Poses on rendered images: matches, the residual against the memory, and the whole method."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.constellation import perturbed
from tests.corner import corner_frames, made
from worldloom.api import reconstruct_files
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import CameraTrajectory
from worldloom.config import ReconstructionConfig
from worldloom.inline import InlineRunner
from worldloom.pipeline import reconstruct
from worldloom.plan import EVIDENCE, FEATURES, EvidenceWork, FeatureWork
from worldloom.poses import MATCH, RESIDUAL, MatchView, MatchWork, ResidualResult, ResidualWork
from worldloom.reconstruction import Reconstruction
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Progress
from worldloom.store import ArtifactKey, artifact_key
from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.texture import TextureConfig

SPEC = SceneSpec(layout="corner", frames=8, width_px=240, height_px=180)
SIZE_M = 4.8
"""About the diagonal of the corner."""

BARE = TextureConfig(textures=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(BenchConfig(str(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def scene(bench: Bench) -> tuple[list[Frame], list[np.ndarray]]:
    return corner_frames(bench, SPEC)


def silent(_progress: Progress) -> None:
    """Takes no notice."""


def with_noise(frames: Sequence[Frame], angle_deg: float = 0.3) -> list[Frame]:
    cameras = perturbed(
        [f.camera for f in frames], angle_deg=angle_deg, distance=0.005 * SIZE_M * angle_deg / 0.3
    )
    return [replace(f, camera=c) for f, c in zip(frames, cameras, strict=True)]


def run(bench: Bench, frames: Sequence[Frame], config: ReconstructionConfig) -> Reconstruction:
    return reconstruct(frames, config, InlineRunner(bench.config), bench, silent)


def relative_errors(frames: Sequence[Frame], truth: Sequence[Frame]) -> tuple[float, float]:
    """Mean error of the motion from each view to the next: degrees, metres."""
    angles: list[float] = []
    distances: list[float] = []
    for i in range(len(frames) - 1):
        one, two = (
            views[i].camera.cam_from_world @ views[i + 1].camera.world_from_cam
            for views in (frames, truth)
        )
        angles.append(Rotation.from_matrix(one[:3, :3].T @ two[:3, :3]).magnitude())
        distances.append(float(np.linalg.norm(one[:3, 3] - two[:3, 3])))
    return float(np.degrees(np.mean(angles))), float(np.mean(distances))


def test_matches_under_wrong_poses_are_those_under_right_ones(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    described = [made(FEATURES, bench, FeatureWork(f, 240, 180, 800)) for f in frames]

    def matched(cameras: Sequence[Frame]) -> np.ndarray:
        one, two = (
            MatchView(i, frames[i].name, cameras[i].camera, described[i].artifact) for i in (2, 4)
        )
        result = made(MATCH, bench, MatchWork(one, (two,), 30.0))
        assert result.others == (4,)
        return bench.arrays(result.artifact, "matches.npz")["view_4"]

    pairs = matched(with_noise(frames))
    assert len(pairs) > 50
    assert len(pairs) > 0.9 * len(matched(frames))
    pixels = [bench.arrays(d.artifact, "features.npz")["pixels"] for d in described]
    own, other = pixels[2][pairs[:, 0]], pixels[4][pairs[:, 1]]
    depth = depths[2][own[:, 1].astype(int), own[:, 0].astype(int)].astype(np.float64)
    landed, _ = frames[4].camera.project(frames[2].camera.unproject(own, depth))
    assert (np.linalg.norm(landed - other, axis=1) < 2).mean() > 0.9


def test_views_without_features_have_no_matches(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    camera = scene[0][0].camera
    key = artifact_key("features", 0, "none")
    bench.write_arrays(
        key, "features.npz", pixels=np.zeros((0, 2)), descriptors=np.zeros((0, 128), np.uint8)
    )
    one, two = (MatchView(i, str(i), camera, key) for i in range(2))
    result = made(MATCH, bench, MatchWork(one, (two,), 30.0))
    assert result.others == ()
    assert result.count == 0


def residual_of(
    bench: Bench, frames: Sequence[Frame], depths: Sequence[np.ndarray], view: int
) -> ResidualResult:
    described = [made(FEATURES, bench, FeatureWork(f, 120, 90, 500)) for f in frames]
    others = tuple(d for d in described if d.frame.view_id != view)
    found = made(EVIDENCE, bench, EvidenceWork(described[view], others, 2.0))
    assert found.matched == tuple(d.frame.view_id for d in others)
    refs: list[DepthRef] = []
    for frame, depth in zip(frames, depths, strict=True):
        key = artifact_key("depth", 0, depth)
        bench.write_arrays(
            key,
            "depth.npz",
            depth=depth.astype(np.float32),
            confidence=np.ones(depth.shape, np.float32),
            normal_in_world=np.zeros((*depth.shape, 3), np.float32),
        )
        refs.append(DepthRef(frame, key, depth.shape[1], depth.shape[0]))
    work = ResidualWork(
        frames[view], found.artifact, tuple(r for r in refs if r.frame.view_id != view)
    )
    return made(RESIDUAL, bench, work)


def test_residual_against_the_memory_is_the_error_of_the_pose_in_pixels_of_the_image(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    right = residual_of(bench, frames, depths, 3)
    assert right.residual_px is not None
    assert right.points > 30
    assert right.residual_px < 0.6
    angle = np.radians(1.0)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.0, angle, 0.0]).as_matrix()
    camera = frames[3].camera
    turned = replace(camera, world_from_cam=camera.world_from_cam @ turn)
    wrong = [replace(f, camera=turned) if f.view_id == 3 else f for f in frames]
    found = residual_of(bench, wrong, depths, 3)
    assert found.residual_px == pytest.approx(camera.intrinsics.fx * angle, rel=0.25)


def test_without_known_depth_there_is_no_residual(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    found = residual_of(bench, frames, [np.zeros_like(depth) for depth in depths], 3)
    assert found.points == 0
    assert found.residual_px is None


def test_refinement_is_off_by_default_and_poses_that_are_off_are_named(
    bench: Bench,
    scene: tuple[list[Frame], list[np.ndarray]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames, _ = scene
    with caplog.at_level(logging.WARNING, "worldloom"):
        right = run(bench, frames, ReconstructionConfig(texture=BARE))
    assert right.frames == tuple(frames)
    assert [view.correction for view in right.views] == [None] * 8
    residuals = [view.reprojection_residual_px for view in right.views]
    assert max(r for r in residuals if r is not None) < 1.0
    assert None not in residuals
    assert "--refine-poses" not in caplog.text
    with caplog.at_level(logging.WARNING, "worldloom"):
        run(bench, with_noise(frames, 0.6), ReconstructionConfig(texture=BARE))
    assert "--refine-poses" in caplog.text
    assert "corner/" in caplog.text


def test_refinement_gives_the_poses_back_before_anything_is_made_of_them(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    given = with_noise(frames)
    config = ReconstructionConfig(refine_poses=True, depth_estimation=False, texture=BARE)
    result = run(bench, given, config)
    before, after = relative_errors(given, frames), relative_errors(result.frames, frames)
    assert after[0] < before[0] / 5
    assert after[1] < before[1] / 5
    for ref in result.depth:
        assert ref.frame.camera is result.frames[ref.frame.view_id].camera
    for report, frame, original in zip(result.views, result.frames, given, strict=True):
        assert report.correction is not None
        assert report.correction.state == "refined"
        moved = frame.camera.centre_in_world - original.camera.centre_in_world
        assert report.correction.move_m == pytest.approx(float(np.linalg.norm(moved)))
        assert 0 < report.correction.turn_deg < 2
        np.testing.assert_array_equal(
            np.array(report.correction.given_world_from_cam), original.camera.world_from_cam
        )
        assert frame.camera.intrinsics == original.camera.intrinsics
    stages = [stage.stage for stage in result.stages]
    assert stages[:5] == ["features", "match", "adjust", "match", "adjust"]
    again = run(bench, given, config)
    assert all(stage.reused == stage.items for stage in again.stages)
    for one, two in zip(result.frames, again.frames, strict=True):
        np.testing.assert_array_equal(one.camera.world_from_cam, two.camera.world_from_cam)


def test_a_view_that_cannot_be_read_keeps_its_pose(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]], caplog: pytest.LogCaptureFixture
) -> None:
    given = with_noise(scene[0])
    lost = ArtifactKey("frame/00/damaged")
    bench.store.write(lost, "image.png", b"no picture")
    given[2] = replace(given[2], image=lost)
    config = ReconstructionConfig(refine_poses=True, depth_estimation=False, texture=BARE)
    with caplog.at_level(logging.WARNING, "worldloom"):
        result = run(bench, given, config)
    assert result.frames[2] is given[2]
    states = [view.correction.state for view in result.views if view.correction]
    assert states == ["refined", "refined", "unmatched", *["refined"] * 5]
    assert "1 of 8 views keep their given poses" in caplog.text


def test_a_view_too_far_off_is_told_from_one_without_matches(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]], caplog: pytest.LogCaptureFixture
) -> None:
    frames = list(scene[0])
    (lost,) = perturbed([frames[3].camera], angle_deg=2.0, distance=0.0, seed=4)
    frames[3] = replace(frames[3], camera=lost)
    config = ReconstructionConfig(refine_poses=True, depth_estimation=False, texture=BARE)
    with caplog.at_level(logging.WARNING, "worldloom"):
        result = run(bench, frames, config)
    assert result.frames[3] is frames[3]
    states = [view.correction.state for view in result.views if view.correction]
    assert states == [*["refined"] * 3, "out of bounds", *["refined"] * 4]
    assert "--poses.max-rotation-deg" in caplog.text
    assert "corner/3" in caplog.text


def test_the_manifest_and_cameras_hold_what_was_done(tmp_path: Path) -> None:
    truth = build_scene(SPEC)
    write_scene(truth, tmp_path / "in")
    noisy = tuple(perturbed(truth.trajectory.cameras, angle_deg=0.3, distance=0.02))
    scene = reconstruct_files(
        [tmp_path / "in" / "video.mp4"],
        tmp_path / "out",
        ReconstructionConfig(refine_poses=True, depth_estimation=False, texture=BARE),
        trajectories=[CameraTrajectory(noisy, tuple(range(8)), name="noisy")],
    )
    evidence = scene.metadata["evidence"]
    assert isinstance(evidence, dict)
    views = evidence["views"]
    for view, used, given in zip(views, scene.cameras, noisy, strict=True):
        assert view["reprojection_residual_px"] < 2
        record = view["correction"]
        np.testing.assert_allclose(record["given_world_from_cam"], given.world_from_cam, atol=1e-9)
        moved = np.linalg.norm(used.centre_in_world - given.centre_in_world)
        assert record["move_m"] == pytest.approx(float(moved), abs=1e-9)
    metrics = scene.metadata["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["reprojection_residual_px"] < 1
