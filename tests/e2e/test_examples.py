"""The examples run as they stand, on tiny settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from worldloom import load_trajectory
from worldloom.export import load_scene

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.timeout(200)


def run(script: str, *words: object) -> str:
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", EXAMPLES / script]
    done = subprocess.run(
        [*command, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("room")
    told = run(
        *("reconstruct_room.py", "--out", out, "--layout", "corner"),
        *("--frames", 8, "--resolution", 128),
    )
    assert "make-part: 1 done" in told
    return out


def test_the_room_is_a_whole_scene_with_its_report(room: Path):
    scene = load_scene(room)
    assert len(scene.mesh.faces) > 1000
    assert (room / "report.html").stat().st_size > 100_000


def test_the_formats_are_written(room: Path, tmp_path: Path):
    told = run("export_formats.py", room, "--out", tmp_path / "formats", "--faces", 800)
    for name in (
        "light.glb",
        "light.obj",
        "light.ply",
        "points.ply",
        "points.laz",
        "colmap/cameras.txt",
    ):
        assert name in told
        assert (tmp_path / "formats" / name).stat().st_size > 0
    assert len(load_trajectory(tmp_path / "formats" / "transforms.json")) == 8


def test_a_scene_is_read_without_worldloom(room: Path):
    told = run("read_without_worldloom.py", room)
    counts = json.loads((room / "scene.json").read_text())["counts"]
    assert f"{counts['faces']} faces" in told
    assert f"cloud: {counts['points']} points" in told
    assert "cameras: 8 first at" in told


def test_a_path_of_cameras_is_filmed(tmp_path: Path):
    told = run("custom_trajectory.py", "--out", tmp_path, "--frames", 6, "--width", 96)
    assert "6 frames" in told
    both = [load_trajectory(tmp_path / name) for name in ("camera.json", "transforms.json")]
    assert [len(trajectory) for trajectory in both] == [6, 6]
    assert (tmp_path / "video.mp4").stat().st_size > 0


def test_a_panorama_becomes_a_scene(tmp_path: Path):
    told = run("panorama.py", "--out", tmp_path, "--height", 64)
    assert "preview.png" in told
    assert len(load_scene(tmp_path / "scene").mesh.faces) > 1000


def test_inline_and_ray_give_the_same_bytes(tmp_path: Path):
    told = run("same_bytes.py", "--out", tmp_path, "--frames", 5)
    assert told.splitlines()[-1] == "the same bytes"


def test_every_example_is_listed_and_tested():
    listed = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    scripts = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert scripts
    assert [name for name in scripts if name not in listed or name not in tested] == []
