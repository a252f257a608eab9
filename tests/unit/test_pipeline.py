"""The whole method in one process, on a small exact scene."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.corner import SPEC, corner_frames
from worldloom.api import reconstruct_files
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError, PlanError, ReconstructionError
from worldloom.export import load_scene
from worldloom.inline import InlineRunner
from worldloom.metrics import score_against_mesh
from worldloom.pipeline import Reconstruction, reconstruct, split_holdout
from worldloom.scene import Frame
from worldloom.stage import Progress
from worldloom.store import ArtifactKey
from worldloom.synthetic import build_scene, write_scene


def silent(_progress: Progress) -> None:
    """Takes no notice."""


def made(folder: Path, frames: list[Frame], config: ReconstructionConfig) -> Reconstruction:
    bench = BenchConfig(str(folder))
    return reconstruct(frames, config, InlineRunner(bench), Bench(bench), silent)


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
    assert stages[0] == "ingest"
    assert "merge" in stages
    assert scene.metadata["degraded"] is False
