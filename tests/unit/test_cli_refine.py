"""`worldloom refine`: what goes in, what comes out, what is refused."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from cluster.cli import _main as cli
from tests.solids import ball, grid, joined
from worldloom.export import Manifest, read_mesh_ply, save_manifest, write_mesh
from worldloom.meshes import mesh_report, refine_mesh


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_options: None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.ply"
    write_mesh(joined(ball(3), ball(1, 0.005, (2, 0, 0))), path)
    return path


def test_a_file_is_refined_as_the_function_does(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "refined.ply"
    assert cli.run(["refine", str(source), "--out", str(out), "--simplify", "0.5", "--json"]) == 0
    written = read_mesh_ply(out)
    expected = refine_mesh(read_mesh_ply(source), simplify=0.5)
    np.testing.assert_array_equal(written.vertices_in_world, expected.vertices_in_world)
    np.testing.assert_array_equal(written.faces, expected.faces)
    told = json.loads(capfd.readouterr().out)
    assert told["file"] == str(out)
    assert (told["before"]["components"], told["after"]["components"]) == (2, 1)
    assert told["after"]["faces"] == mesh_report(expected).faces
    assert told["after"]["watertight"] is True


def test_each_step_can_be_left_out(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "same.ply"
    flags = ["--no-outliers", "--no-smooth", "--no-fill-holes"]
    assert cli.run(["refine", str(source), "--out", str(out), *flags]) == 0
    given, written = read_mesh_ply(source), read_mesh_ply(out)
    np.testing.assert_array_equal(written.vertices_in_world, given.vertices_in_world)
    np.testing.assert_array_equal(written.faces, given.faces)


def test_a_scene_folder_stays_as_it_is(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_manifest(Manifest(parameters={}, views=()), tmp_path)
    before = source.read_bytes()
    out = tmp_path / "refined.glb"
    assert cli.run(["refine", str(tmp_path), "--out", str(out), "--min-piece-share", "0"]) == 0
    assert source.read_bytes() == before
    assert out.stat().st_size > 10_000
    assert "non manifold edges" in capfd.readouterr().out


def test_what_cannot_be_refined_is_one_line(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.ply")
    assert cli.run(["refine", str(source), "--out", out, "--simplify", "0"]) == 2
    assert "share of the vertices to keep" in capfd.readouterr().err
    assert cli.run(["refine", str(tmp_path / "none"), "--out", out]) == 1
    assert "holds no finished scene" in capfd.readouterr().err
    assert cli.run(["refine", str(source), "--out", str(tmp_path / "out.stl")]) == 1
    assert "no mesh format has the suffix" in capfd.readouterr().err
    lost = grid(4, 4)
    lost.vertices_in_world[3] = np.nan
    write_mesh(lost, source)
    assert cli.run(["refine", str(source), "--out", out]) == 1
    assert "1 of 16 vertices are not finite" in capfd.readouterr().err
    assert not Path(out).exists()
