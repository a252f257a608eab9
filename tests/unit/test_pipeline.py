"""The whole method in one process, on a small exact scene."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.corner import SPEC, corner_frames
from worldloom.api import reconstruct_files
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError, PlanError, ReconstructionError
from worldloom.export import load_scene
from worldloom.exposure import ExposureConfig
from worldloom.inline import InlineRunner
from worldloom.metrics import score_against_mesh
from worldloom.pipeline import reconstruct, split_holdout
from worldloom.quality import appraise
from worldloom.reconstruction import Reconstruction
from worldloom.response import ViewExposure, exposed
from worldloom.scene import Frame
from worldloom.stage import Progress
from worldloom.store import ArtifactKey
from worldloom.synthetic import build_scene, write_scene
from worldloom.texture import TextureConfig, bench_of, load_inputs


def silent(_progress: Progress) -> None:
    """Takes no notice."""


def made(folder: Path, frames: list[Frame], config: ReconstructionConfig) -> Reconstruction:
    bench = BenchConfig(str(folder))
    config = replace(config, texture=TextureConfig(textures=False))
    return reconstruct(frames, config, InlineRunner(bench), Bench(bench), silent)


def other_exposure(bench: Bench, frame: Frame, gain_rgb: np.ndarray) -> Frame:
    """The frame as a phone takes it that has set another exposure and white balance."""
    lens = frame.camera.intrinsics
    red, green, blue = gain_rgb.tolist()
    exposure = ViewExposure(frame.view_id, "filmic", (red, green, blue))
    image = exposed(bench.image(frame, lens.width_px, lens.height_px), exposure)
    key = ArtifactKey(f"frame/00/{frame.view_id}")
    encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    bench.store.write(key, "image.png", encoded.tobytes())
    return replace(frame, image=key)


def test_mesh_and_cloud_are_those_of_the_scene(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    result = made(tmp_path, frames, ReconstructionConfig())
    truth = build_scene(SPEC)
    cameras = truth.trajectory.cameras
    assert score_against_mesh(result.mesh, truth.mesh, cameras).fscore > 0.8
    assert score_against_mesh(result.point_cloud, truth.mesh, cameras).precision > 0.9
    assert not result.failures
    assert [report.name for report in result.views] == [frame.name for frame in frames]
    assert all(report.residual_px is not None for report in result.views)


def test_exposure_changes_colours_alone_and_only_where_views_differ(tmp_path: Path) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    frames, _ = corner_frames(bench)
    undone = ReconstructionConfig(depth_estimation=False)
    as_they_are = replace(undone, exposure=ExposureConfig(estimate=False))
    raw, even = (made(tmp_path, frames, c) for c in (as_they_are, undone))
    assert raw.balance is None
    assert [report.gain_rgb for report in raw.views] == [None] * len(frames)
    assert "balance" not in {report.stage for report in raw.stages}
    gains = np.array([report.gain_rgb for report in even.views])
    assert np.abs(gains - 1).max() < 0.01, "these views agree"
    np.testing.assert_array_equal(even.mesh.vertices_in_world, raw.mesh.vertices_in_world)
    np.testing.assert_array_equal(even.point_cloud.points_in_world, raw.point_cloud.points_in_world)
    truth = np.exp([[0.3, 0.2, 0.1], [-0.3, -0.2, -0.1]] * (len(frames) // 2))
    drifting = [other_exposure(bench, *pair) for pair in zip(frames, truth, strict=True)]
    raw, even = (made(tmp_path, drifting, c) for c in (as_they_are, undone))
    assert even.balance is not None
    np.testing.assert_allclose([report.gain_rgb for report in even.views], truth, rtol=0.03)
    assert even.balance.spread_levels < 0.5 * even.balance.spread_before_levels
    np.testing.assert_array_equal(even.mesh.faces, raw.mesh.faces)
    scores = [appraise(bench, result, drifting[:1], title="t").metrics for result in (raw, even)]
    assert scores[0]["color_spread_levels"] is None
    assert "holdout_fitted_psnr_db" not in scores[0]
    fitted, plain = scores[1]["holdout_fitted_psnr_db"], scores[1]["holdout_psnr_db"]
    assert fitted is not None
    assert plain is not None
    assert fitted > plain
    assert scores[1]["input_psnr_db"] > scores[0]["input_psnr_db"]  # type: ignore[operator]


def test_without_refinement_depth_is_made_once_at_full_size(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    result = made(tmp_path, frames, ReconstructionConfig(depth_estimation=False))
    stages = [report.stage for report in result.stages]
    assert "refine" not in stages
    assert "retrieve" not in stages
    assert {(ref.width_px, ref.height_px) for ref in result.depth} == {(160, 120)}


def test_voxels_and_cloud_follow_the_settings(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    fine = made(tmp_path, frames, ReconstructionConfig(point_cloud_density="high"))
    coarse = made(tmp_path, frames, ReconstructionConfig(point_cloud_density="low", voxel_m=0.1))
    assert coarse.cell_m == pytest.approx(4 * fine.cell_m)
    assert len(coarse.point_cloud) < len(fine.point_cloud) / 6
    assert coarse.voxel_m == 0.1
    assert len(coarse.mesh.faces) < len(fine.mesh.faces) / 4


def test_a_damaged_frame_degrades_but_does_not_end_the_job(tmp_path: Path) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    frames, _ = corner_frames(bench)
    lost = ArtifactKey("frame/00/damaged")
    bench.store.write(lost, "image.png", b"no picture")
    frames[2] = replace(frames[2], image=lost)
    result = made(tmp_path, frames, ReconstructionConfig())
    assert {failure.subject for failure in result.failures} == {"view 2 (corner/2)"}
    assert [failure.stage for failure in result.failures] == ["features"]
    assert "damaged" in result.failures[0].message
    assert all(2 not in report.partners for report in result.views)
    assert 2 not in {ref.frame.view_id for ref in result.depth}
    assert len(result.depth) == 5
    assert len(result.mesh.faces) > 1000
    assert result.views[2].kept_share is None


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    gone = [replace(frame, image=ArtifactKey("frame/00/gone")) for frame in frames]
    with pytest.raises(ReconstructionError, match="features failed for all of its 6 items"):
        made(tmp_path, gone, ReconstructionConfig())


def test_one_view_is_not_enough(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    with pytest.raises(PlanError, match="at least two views"):
        made(tmp_path, frames[:1], ReconstructionConfig())


def test_holdout_keeps_views_out_and_renumbers_the_rest(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    used, out = split_holdout(frames, 3)
    assert [frame.name for frame in out] == ["corner/2", "corner/5"]
    assert [frame.view_id for frame in used] == [0, 1, 2, 3]
    assert [frame.name for frame in used] == ["corner/0", "corner/1", "corner/3", "corner/4"]
    everything, none = split_holdout(frames, 0)
    assert [frame.name for frame in everything] == [frame.name for frame in frames]
    assert none == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resolution", 10),
        ("voxel_m", -1.0),
        ("sweep_share", 0.0),
        ("holdout", 1),
    ],
)
def test_settings_that_cannot_work_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        replace(ReconstructionConfig(), **{field: value})
    assert caught.value.ids["field"] == field


def test_files_in_scene_folder_out(tmp_path: Path) -> None:
    spec = replace(SPEC, frames=8)
    write_scene(build_scene(spec), tmp_path / "in")
    stages: list[str] = []
    scene = reconstruct_files(
        [tmp_path / "in" / "video.mp4"],
        tmp_path / "out",
        ReconstructionConfig(holdout=4),
        trajectories=[tmp_path / "in" / "camera.json"],
        on_progress=lambda progress: stages.append(progress.stage),
    )
    loaded = load_scene(tmp_path / "out")
    np.testing.assert_array_equal(loaded.mesh.faces, scene.mesh.faces)
    np.testing.assert_array_equal(loaded.point_cloud.colors, scene.point_cloud.colors)
    assert loaded.metadata == scene.metadata
    assert len(scene.cameras) == 6
    metrics = scene.metadata["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["holdout_coverage"] > 0.5
    assert metrics["holdout_psnr_db"] > 15
    quality = scene.metadata["quality"]
    assert isinstance(quality, dict)
    for name in ("completeness", "geometric_consistency", "texture_quality", "view_consistency"):
        assert 0.7 < quality[name] <= 1
        assert (quality["held_out"][name] is None) == (name == "geometric_consistency")
    assert metrics["texture_holdout_psnr_db"] > 15
    assert scene.unwrapped is not None
    assert set(scene.textures) == {"albedo", "normal", "roughness"}
    inputs = load_inputs(Bench(bench_of(scene, None)), scene)
    assert [frame.index for frame in inputs.held_out] == [3, 7]
    evidence = scene.metadata["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["exposure"]["response"] in ("filmic", "linear")
    assert evidence["exposure"]["shared_samples"] > 100
    assert all(len(view["gain_rgb"]) == 3 for view in evidence["views"])
    assert stages[0] == "ingest"
    assert "make-part" in stages
    assert scene.metadata["degraded"] is False
