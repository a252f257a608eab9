"""`worldloom panorama`: words to settings, one line for what is wrong, a scene in the end."""

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cluster.cli import _main as cli
from cluster.cli._panorama import Panoramas
from tests.balls import BallRoom
from worldloom.export import load_scene
from worldloom.panorama import LayerConfig, SphereSampling


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_options: None)


def parsed(*words: str) -> Panoramas:
    command: Any = cli.parse(cli.Command, "worldloom", ["panorama", *words])
    assert isinstance(command, Panoramas)
    return command


def test_every_flag_reaches_the_settings() -> None:
    command = parsed(
        *("a.png", "b.png", "--out", "o", "--trajectory", "t.json", "--sampling", "icosahedron"),
        *("--fov-deg", "95", "--view-px", "300", "--layers.max-jump", "0.1", "--layers.reach-deg"),
        *("3", "--depth", "d.png", "--depth-kind", "face-z", "--depth-scale", "0.01"),
        *("--resolution", "256", "--density", "high", "--every", "3", "--no-report"),
    )
    assert command.every == 3
    assert not command.ending.report
    assert command.inputs == (Path("a.png"), Path("b.png"))
    assert command.trajectory == Path("t.json")
    assert command.sphere == SphereSampling("icosahedron", 95.0, 300)
    assert command.layers == LayerConfig(max_jump=0.1, reach_deg=3.0)
    source = command.source()
    assert source is not None
    assert (source.content, source.kind, source.scale) == (Path("d.png"), "face-z", 0.01)
    assert command.settings.config().resolution == 256
    assert command.settings.config().point_cloud_density == "high"
    assert parsed("a.png", "--out", "o").source() is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.png", "--out", "o", "--every", "0"], "--every is 0; give at least 1"),
        (["--out", "o"], "no input; give at least one panorama"),
        (["a.png", "--out", "o", "--depth-scale", "2"], "--depth-scale say how to read --depth"),
        (["a.png", "--out", "o", "--fov-deg", "60"], "fov_deg must be 90.0 to 140"),
        (["a.png", "--out", "o", "--depth", "d.npy", "--depth-scale", "-1"], "depth_scale must be"),
    ],
)
def test_wrong_arguments_become_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["panorama", *words]) == cli.USAGE
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_panorama_with_depth_becomes_a_scene_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    image, distance = BallRoom().panorama(64, np.eye(4))
    cv2.imwrite(str(tmp_path / "room.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(tmp_path / "mm.png"), np.rint(distance * 1000).astype(np.uint16))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    words = [
        *("panorama", str(tmp_path / "room.png"), "--depth", str(tmp_path / "mm.png")),
        *("--out", str(tmp_path / "out"), "--workers", "1", "--json", "--resolution", "64"),
        "--no-report",
    ]
    assert cli.run(words) == cli.OK
    told = json.loads(capfd.readouterr().out)
    assert told["counts"]["faces"] > 5000
    assert not told["degraded"]
    assert not (tmp_path / "out" / "report.html").exists()
    scene = load_scene(tmp_path / "out")
    assert np.median(BallRoom().off_surface(scene.mesh.vertices_in_world)) < 0.001


def test_one_panorama_alone_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "room.png"), np.zeros((64, 128, 3), np.uint8))
    words = ["panorama", str(tmp_path / "room.png"), "--out", str(tmp_path / "out")]
    assert cli.run(words) == cli.USAGE
    assert "add its depth (--depth FILE" in capsys.readouterr().err
