"""The `worldloom` command from a video to files, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from worldloom.cameras import load_trajectory
from worldloom.export import load_scene
from worldloom.synthetic import SceneSpec, build_scene, write_scene

# Whole processes on a machine that may be busy.
pytestmark = pytest.mark.timeout(300)
SPEC = SceneSpec(layout="corner", frames=8, width_px=160, height_px=120, supersampling=1)
SETTINGS = ("--resolution", "128", "--runner", "inline", "--workers", "2")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corner")
    write_scene(build_scene(SPEC), folder)
    return folder / "video.mp4"


@pytest.fixture(scope="module")
def done(
    video: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A finished scene, and what the command said."""
    out = tmp_path_factory.mktemp("out") / "scene"
    camera = video.with_name("camera.json")
    return out, run("reconstruct", video, "--trajectory", camera, "--out", out, *SETTINGS)


def test_reconstruct_writes_every_file_and_says_so(
    done: tuple[Path, subprocess.CompletedProcess[str]],
):
    out, process = done
    assert process.returncode == 0, process.stderr
    names = ["cameras.json", "mesh.glb", "mesh.obj", "mesh.ply", "point_cloud.ply", "preview.png"]
    names.append("report.html")
    assert [name for name in names if f"{out / name} " not in process.stdout] == []
    assert (out / "scene.json").is_file()
    scene = load_scene(out)
    counts = f"8 views, {len(scene.point_cloud):,} points, {len(scene.mesh.faces):,} faces"
    assert counts in process.stdout
    assert "all stages" in process.stdout
    # Plain lines, as stderr is no terminal: every stage begins and ends.
    lines = process.stderr.splitlines()
    assert "depth: 0/8" in lines
    assert [line for line in lines if line.startswith("depth: 8/8, ")]
    assert "\x1b" not in process.stdout + process.stderr


def test_running_again_reuses_all_work_and_leaves_the_same_files(
    done: tuple[Path, subprocess.CompletedProcess[str]], video: Path
):
    out, _ = done
    # The report and the manifest hold the time of the run.
    changing = {".json", ".html"}
    before = {p.name: p.read_bytes() for p in out.glob("*.*") if p.suffix not in changing}
    assert set(before) == {
        *("mesh.ply", "mesh.glb", "mesh.obj", "point_cloud.ply", "preview.png"),
        *("textured.glb", "unwrapped.npz"),
        *(f"texture_{kind}.1001.png" for kind in ("albedo", "normal", "roughness")),
    }
    camera = video.with_name("camera.json")
    again = run("reconstruct", video, "--trajectory", camera, "--out", out, "--json", *SETTINGS)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    staged = [row for row in result["timings"] if row["stage"] not in {"ingest", "appraise"}]
    assert staged
    assert [row for row in staged if row["reused"] != row["items"]] == []
    after = {p.name: p.read_bytes() for p in out.glob("*.*") if p.suffix not in changing}
    assert after == before


def test_the_object_of_json_tells_where_everything_is(
    done: tuple[Path, subprocess.CompletedProcess[str]],
):
    out, _ = done
    process = run("info", out, "--json", "--verify")
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["folder"] == str(out.resolve())
    assert result["degraded"] is False
    assert result["failures"] == []
    assert result["counts"]["views"] == 8
    assert result["counts"]["faces"] > 0
    assert all(Path(path).is_file() for path in result["files"])
    assert 0 < result["metrics"]["completeness"] <= 1
    assert process.stderr == ""


def test_info_notices_a_changed_file(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
):
    out, _ = done
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in out.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    assert run("info", copy, "--verify").returncode == 0
    damaged = bytearray((copy / "mesh.ply").read_bytes())
    damaged[-1] ^= 1
    (copy / "mesh.ply").write_bytes(damaged)
    process = run("info", copy, "--verify")
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1
    assert "mesh.ply has changed" in process.stderr


def test_export_writes_other_formats(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
):
    out, _ = done
    scene = load_scene(out)
    assert run("export", out, "--out", tmp_path / "a.glb").returncode == 0
    plain = run("export", out, "--out", tmp_path / "b", "--format", "obj", "--no-textures")
    assert plain.returncode == 0
    assert scene.unwrapped is not None
    for name, expected in (("a.glb", scene.unwrapped.mesh), ("b.obj", scene.mesh)):
        mesh = trimesh.load(tmp_path / name, force="mesh", process=False)
        assert len(mesh.faces) == len(expected.faces)
    points = run("export", out, "--out", tmp_path / "c.ply", "--points", "--json")
    assert json.loads(points.stdout) == {
        "product": "points",
        "file": str((tmp_path / "c.ply").resolve()),
    }
    assert (tmp_path / "c.ply").read_bytes() == (out / "point_cloud.ply").read_bytes()
    made = run("export", out, "--out", tmp_path / "d/transforms.json", "--cameras")
    assert made.returncode == 0, made.stderr
    cameras = load_trajectory(tmp_path / "d/transforms.json")
    for written, camera in zip(cameras, scene.cameras, strict=True):
        np.testing.assert_allclose(written.world_from_cam, camera.world_from_cam, atol=1e-9)


def test_export_to_an_unknown_suffix_fails_in_one_line(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
):
    process = run("export", done[0], "--out", tmp_path / "a.step")
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1
    assert "'.step'" in process.stderr


def test_a_broken_video_fails_in_one_line(tmp_path: Path, video: Path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 100)
    camera = video.with_name("camera.json")
    process = run("reconstruct", broken, "--trajectory", camera, "--out", tmp_path / "out")
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("worldloom: ")
    assert process.stderr.count("\n") == 1
    assert "broken.mp4" in process.stderr


def test_views_without_texture_fail_with_what_to_do(tmp_path: Path, video: Path):
    images = tmp_path / "flat"
    images.mkdir()
    trajectory = load_trajectory(video.with_name("camera.json"))
    for index in range(len(trajectory)):
        cv2.imwrite(str(images / f"{index:04d}.png"), np.full((120, 160, 3), 90, np.uint8))
    camera = video.with_name("camera.json")
    words = ("reconstruct", images, "--trajectory", camera, "--out", tmp_path / "out", "--json")
    process = run(*words, *SETTINGS)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    error = json.loads(process.stdout)["error"]
    assert error["type"] in {"PlanError", "ReconstructionError"}
    assert process.stderr.splitlines()[-1] == f"worldloom: {error['message']}"
    assert not (tmp_path / "out" / "scene.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_work_is_resumed(
    number: signal.Signals,
    code: int,
    video: Path,
    done: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path: Path,
):
    camera = video.with_name("camera.json")
    words = ("reconstruct", video, "--trajectory", camera, "--out", tmp_path, *SETTINGS)
    command = [sys.executable, "-m", "cluster", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("depth: 0/"):
                break
        time.sleep(0.3)
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(timeout=100) == code, rest
    assert "Traceback" not in rest
    if number == signal.SIGINT:
        assert rest.splitlines()[-1].endswith("run again to resume")
    assert not (tmp_path / "scene.json").exists()
    resumed = run(*words, "--json")
    assert resumed.returncode == 0, resumed.stderr
    timings = {row["stage"]: row for row in json.loads(resumed.stdout)["timings"]}
    assert timings["features"]["reused"] == timings["features"]["items"] == 8
    for name in ("mesh.ply", "point_cloud.ply"):
        assert (tmp_path / name).read_bytes() == (done[0] / name).read_bytes()
