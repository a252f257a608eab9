"""The demo: the same input in every process, and a score against the truth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from worldloom.export import load_scene

pytestmark = pytest.mark.timeout(300)
WRITE = """
import sys
from pathlib import Path
from worldloom.synthetic import SceneSpec, build_scene, write_scene
write_scene(build_scene(SceneSpec(frames=16)), Path(sys.argv[1]), every_depth=8)
"""


def test_every_process_makes_the_same_input(tmp_path: Path):
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / name)], check=True, timeout=120)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert [path.name for path in files] == [
        "camera.json",
        "0000.png",
        "0008.png",
        "gt_mesh.ply",
        "video.mp4",
    ]
    differing = [
        p for p in files if (tmp_path / "a" / p).read_bytes() != (tmp_path / "b" / p).read_bytes()
    ]
    assert differing == []


def test_the_demo_scores_its_mesh_against_the_truth(tmp_path: Path):
    command = [sys.executable, "-m", "cluster", "demo", "--out", str(tmp_path), "--json"]
    command += ["--frames", "24", "--resolution", "160", "--runner", "inline"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    truth = result["truth"]
    assert truth["threshold_m"] == pytest.approx(0.0966, abs=0.001)
    assert truth["fscore"] >= 0.8
    harmonic = 2 * truth["precision"] * truth["recall"] / (truth["precision"] + truth["recall"])
    assert truth["fscore"] == pytest.approx(harmonic)
    assert result["counts"]["views"] == 24
    assert (tmp_path / "input" / "video.mp4").is_file()
    assert len(load_scene(tmp_path).mesh.faces) == result["counts"]["faces"]
