import dataclasses
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.cli import _main as cli
from cluster.cli._reconstruct import Reconstruct
from cluster.cli._settings import Settings
from cluster.cli._summary import show_summary, size_text, summary_object
from cluster.cli._terminal import stdout_kept_clean
from tests.signpost import signpost
from worldloom.config import ReconstructionConfig
from worldloom.errors import InputError
from worldloom.export import Manifest, ViewRecord, export_scene
from worldloom.learned import AlignmentConfig, LearnedConfig
from worldloom.surface import SurfaceConfig
from worldloom.texture import TextureConfig

SHORT = {"max_views_per_chunk", "chunk_size_m"}
"""Flags of their own for what stands in the settings of a part too."""
OTHER_NAMES = {"density": "point_cloud_density", "depth_refinement": "depth_estimation"}


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_options: None)


def test_every_setting_of_the_api_has_a_flag_with_the_same_default_and_text():
    assert Settings().config() == ReconstructionConfig()
    flags = {OTHER_NAMES.get(field.name, field.name) for field in dataclasses.fields(Settings)}
    assert flags - SHORT == {field.name for field in dataclasses.fields(ReconstructionConfig)}


def test_every_flag_reaches_the_config():
    words = [
        *("reconstruct", "a.mp4", "--out", "b", "--resolution", "640", "--density", "high"),
        *("--no-depth-refinement", "--holdout", "8", "--voxel-m", "0.5", "--sweep-share", "0.4"),
        "--refine-poses",
        *("--min-sweep-px", "100", "--plan.max-partners", "3", "--sweep.window-px", "5"),
        *("--exposure.no-estimate", "--no-textures", "--texture-resolution", "2048"),
        *("--max-views-per-chunk", "40", "--chunk-size-m", "2.5"),
    ]
    command: Any = cli.parse(cli.Command, "worldloom", words)
    assert isinstance(command, Reconstruct)
    config = command.settings.config()
    assert config == dataclasses.replace(
        ReconstructionConfig(),
        resolution=640,
        point_cloud_density="high",
        depth_estimation=False,
        holdout=8,
        voxel_m=0.5,
        sweep_share=0.4,
        min_sweep_px=100,
        refine_poses=True,
        plan=config.plan,
        sweep=config.sweep,
        exposure=config.exposure,
        surface=SurfaceConfig(max_views_per_chunk=40, chunk_size_m=2.5),
        texture=TextureConfig(textures=False, texture_resolution=2048),
    )
    assert config.plan.max_partners == 3
    assert config.sweep.window_px == 5
    assert not config.exposure.estimate


def test_flags_of_the_depth_model_have_no_prefix():
    words = [
        *("reconstruct", "a.mp4", "--out", "b", "--depth-model", "owner/name"),
        *("--depth-model-cache", "c", "--depth-model-kind", "moge-2"),
        *("--depth-model-predicts", "depth", "--alignment.tolerance", "0.2"),
    ]
    command: Any = cli.parse(cli.Command, "worldloom", words)
    assert command.settings.config().learned == LearnedConfig(
        depth_model="owner/name",
        depth_model_cache="c",
        depth_model_kind="moge-2",
        depth_model_predicts="depth",
        alignment=AlignmentConfig(tolerance=0.2),
    )


@pytest.mark.parametrize("models", [[], [{"name": "tiny", "licence": "cc-by-nc-4.0"}]])
def test_the_summary_shows_the_licence_of_a_model(models: list[dict[str, str]], tmp_path: Path):
    manifest = Manifest(
        parameters={},
        views=(),
        counts={"views": 2, "points": 3, "faces": 4},
        evidence={"models": models},
    )
    stream = io.StringIO()
    show_summary(stream, tmp_path, manifest)
    shown = "Depth model: tiny, licence cc-by-nc-4.0" in stream.getvalue()
    assert shown == bool(models)
    assert summary_object(tmp_path, manifest)["models"] == models


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            [],
            "reconstruct, demo, refine, export, info, metrics, panorama, render, report, view",
        ),
        (["reconstruct", "--out", "b"], "no input"),
        (["reconstruct", "a.mp4"], "--out"),
        (["reconstruct", "a.mp4", "--out", "b", "--resolution", "9"], "at least 64 pixels, got 9"),
        (["reconstruct", "a.mp4", "--out", "b", "--holdout", "1"], "holdout"),
        (["reconstruct", "a.mp4", "--out", "b", "--every", "0"], "--every is 0"),
        (["reconstruct", "a.mp4", "--out", "b", "--workers", "0"], "--workers is 0"),
        (["reconstruct", "a.mp4", "--out", "b", "--density", "huge"], "huge"),
        (["reconstruct", "a.mp4", "--out", "b", "--sweep.window-px", "4"], "odd"),
        (
            ["reconstruct", "a", "--out", "b", "--runner", "inline", "--address", "h:1"],
            "--address is for --runner ray",
        ),
        (
            ["reconstruct", "a", "--out", "b", "--runner", "inline", "--depth-gpus", "0.5"],
            "--depth-gpus is for --runner ray",
        ),
        (["reconstruct", "a", "--out", "b", "--depth-gpus", "-1"], "--depth-gpus is -1"),
        (["reconstruct", "a", "--out", "b", "--chunk-gpus", "-1"], "--chunk-gpus is -1"),
        (["reconstruct", "a", "--out", "b", "--sweep.backend", "tpu"], "tpu"),
        (["demo", "--frames", "1"], "--frames is 1"),
        (["export", "a", "--out", "m.ply", "--points", "--cameras"], "not both"),
        (["export", "a", "--out", "m.glb", "--format", "ply"], "m.glb"),
        (["export", "a", "--out", "m.ply", "--points", "--format", "obj"], "--format obj"),
        (["export", "a", "--out", "c.json", "--cameras", "--format", "ply"], "colmap-binary"),
        (["export", "a", "--out", "s.splat", "--splats", "--points"], "one at a time"),
        (["export", "a", "--out", "s.ksplat", "--splats", "--format", "ksplat"], "spz"),
        (["export", "a", "--out", "s.glb", "--splats", "--format", "spz"], "s.glb"),
        (["export", "a", "--out", "c.ply", "--points", "--no-textures"], "are for the mesh"),
        (["export", "a", "--out", "c.las", "--points", "--unit-m", "2"], "are for the mesh"),
        (["export", "a", "--out", "m.ply", "--no-colors"], "are for --points"),
        (["export", "a", "--out", "c.pcd", "--points", "--format", "las"], "c.pcd"),
        (["export", "a", "--out", "m.obj", "--up", "north"], "north"),
        (["info"], "worldloom info"),
        (["report"], "worldloom report"),
        (["view", "a", "--viewer.max-faces", "2"], "max_faces is 2"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(
    words: list[str], part: str, capfd: pytest.CaptureFixture[str]
):
    assert cli.run(words) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("worldloom: ")
    assert captured.err.count("\n") == 1
    assert part in captured.err


@pytest.mark.parametrize(
    "words",
    [
        ["reconstruct", "{missing}", "--out", "{out}"],
        ["info", "{missing}"],
        ["report", "{missing}"],
        ["view", "{missing}"],
        ["export", "{missing}", "--out", "{out}.ply"],
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_one_line_and_exit_code_1(
    words: list[str], as_json: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    places = {"missing": tmp_path / "missing", "out": tmp_path / "out"}
    words = [word.format(**places) for word in words] + ["--json"] * as_json
    assert cli.run(words) == 1
    captured = capfd.readouterr()
    assert captured.err.startswith("worldloom: ")
    assert captured.err.count("\n") == 1
    assert str(tmp_path / "missing") in captured.err
    if as_json:
        error = json.loads(captured.out)["error"]
        assert error["type"] in {"InputError", "TrajectoryError"}
        assert str(tmp_path / "missing") in error["message"]
    else:
        assert captured.out == ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene folder with textures."""
    scene, out = signpost(), tmp_path_factory.mktemp("scene")
    views = tuple(ViewRecord(k, f"arc/{k:04d}", "arc", k, 320, 240) for k in range(5))
    export_scene(scene, out, Manifest(parameters={}, views=views), formats=["ply"])
    return out


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["--format", "obj"], {"out.obj", "out.mtl", "out_albedo.1001.png"}),
        (["--format", "obj", "--no-textures"], {"out.obj"}),
        (["--format", "gltf", "--texture-resolution", "64"], {"out.gltf", "out.bin"}),
        (["--format", "usdz"], {"out.usdz"}),
        (["--format", "fbx", "--up", "y", "--axes", "world"], {"out.fbx"}),
        (["--points", "--format", "laz"], {"out.laz"}),
        (["--points", "--format", "pcd-ascii", "--no-colors", "--no-normals"], {"out.pcd"}),
        (["--cameras", "--format", "transforms"], {"out"}),
    ],
)
def test_export_writes_what_is_asked_for(
    words: list[str],
    files: set[str],
    folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
):
    out = tmp_path / "out"
    assert cli.run(["export", str(folder), "--out", str(out), *words, "--json"]) == 0
    written = Path(json.loads(capfd.readouterr().out)["file"])
    assert written.parent == tmp_path
    names = {path.name for path in tmp_path.iterdir()}
    assert written.name in files <= names
    assert len(files) > 1 or names == files


def test_splats_of_a_surface_are_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    words = ["export", str(folder), "--splats", "--out", str(tmp_path / "a.ply")]
    assert cli.run(words) == 1
    error = capfd.readouterr().err
    assert "holds no splats" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_messages_of_several_lines_become_one(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_args: object, **_options: object) -> None:
        raise InputError("first\n  second")

    monkeypatch.setattr("cluster.cli._ending.load_manifest", fail)
    assert cli.run(["info", "a"]) == 1
    assert capfd.readouterr().err == "worldloom: first second\n"


def test_ctrl_c_says_how_to_go_on_and_exits_with_130(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cluster.cli._ending.load_manifest", interrupt)
    assert cli.run(["info", "a"]) == 130
    assert "run again to resume" in capfd.readouterr().err


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch):
    def break_down(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("cluster.cli._ending.load_manifest", break_down)
    with pytest.raises(ZeroDivisionError):
        cli.run(["info", "a"])


def test_stdout_stays_clean_whoever_prints(capfd: pytest.CaptureFixture[str]):
    with stdout_kept_clean() as stdout:
        print("python")
        os.write(1, b"native\n")
        os.system("echo child")
        stdout.write("result\n")
    print("after")
    sys.stdout.flush()
    captured = capfd.readouterr()
    assert captured.out == "result\nafter\n"
    assert sorted(captured.err.split()) == ["child", "native", "python"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1536, "1.5 KiB"),
        (200_000, "195 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (3 * 2**30, "3.0 GiB"),
    ],
)
def test_sizes_read_like_sizes(size: int, text: str):
    assert size_text(size) == text
