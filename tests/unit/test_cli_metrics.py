"""`worldloom metrics`: reads what was measured, measures again, says what is missing."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.cli import _main as cli
from worldloom.api import reconstruct_files
from worldloom.config import ReconstructionConfig
from worldloom.export import load_manifest, save_manifest
from worldloom.surface import SurfaceConfig
from worldloom.synthetic import SceneSpec, build_scene, write_scene

NUMBERS = ("completeness", "geometric_consistency", "texture_quality", "view_consistency")


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_options: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    spec = SceneSpec(layout="corner", frames=7, width_px=128, height_px=96)
    write_scene(build_scene(spec), folder / "in")
    reconstruct_files(
        [folder / "in" / "video.mp4"],
        folder / "out",
        ReconstructionConfig(
            depth_estimation=False, holdout=4, surface=SurfaceConfig(chunk_blocks=40)
        ),
        trajectories=[folder / "in" / "camera.json"],
        report=False,
    )
    return folder / "out"


@pytest.fixture
def scene(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "scene"))


def told(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capfd.readouterr().out)


def test_what_was_measured_is_shown(scene: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(scene / "artifacts")
    assert cli.run(["metrics", str(scene), "--json"]) == 0
    quality = told(capfd)["quality"]
    assert quality == json.loads((scene / "scene.json").read_text())["quality"]
    for name in NUMBERS:
        assert 0.5 < quality[name] <= 1
    assert quality["held_out"]["completeness"] > 0.5
    assert quality["held_out"]["geometric_consistency"] is None
    assert len(quality["views"]) == 6
    assert len(quality["chunks"]) > 1
    assert len(quality["seams"]) > 0
    assert cli.run(["metrics", str(scene)]) == 0
    text = capfd.readouterr().out
    assert "6 views judged" in text
    assert "seam, worst" in text


def test_it_is_measured_again_to_the_same_numbers(
    scene: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = load_manifest(scene)
    assert cli.run(["metrics", str(scene), "--recompute", "--json"]) == 0
    assert load_manifest(scene) == before, "the mesh of the file is that of the reconstruction"
    save_manifest(replace(before, quality={}), scene)
    moved = scene.parent / "elsewhere"
    (scene / "artifacts").rename(moved)
    assert cli.run(["metrics", str(scene), "--store", str(moved), "--views", "2", "--json"]) == 0
    capfd.readouterr()
    assert len(load_manifest(scene).quality["views"]) == 2


def test_missing_evidence_is_one_line(scene: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(scene / "artifacts")
    assert cli.run(["metrics", str(scene), "--recompute"]) == 1
    assert "frames and depth maps of the scene are gone" in capfd.readouterr().err
    assert not (scene / "artifacts").exists()
    (scene / "artifacts").mkdir()
    assert cli.run(["metrics", str(scene), "--recompute"]) == 1
    assert "does not hold what the quality of this scene is measured on" in capfd.readouterr().err
    assert cli.run(["metrics", str(scene / "none")]) == 1
    assert "holds no finished scene" in capfd.readouterr().err
    assert cli.run(["metrics", str(scene), "--views", "0"]) == 2
    assert "give at least 1" in capfd.readouterr().err
