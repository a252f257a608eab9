"""`worldloom refine`: what goes in, what comes out, what is refused."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh

from cluster.cli import _main as cli
from tests.solids import ball, grid, joined
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.export import Manifest, ViewRecord, export_scene, read_mesh_ply, write_mesh
from worldloom.meshes import mesh_report, refine_mesh
from worldloom.scene import PointCloud, ReconstructedScene


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


def scene_folder(folder: Path) -> Path:
    """A scene whose cameras look along +z, with +y down."""
    lens = CameraIntrinsics(50.0, 50.0, 32.0, 24.0, 64, 48)
    cameras = CameraTrajectory((Camera(lens, np.eye(4)),), (0,))
    one = np.ones(1, np.float32)
    cloud = PointCloud(
        np.zeros((1, 3)),
        np.zeros((1, 3), np.float32),
        np.zeros((1, 3), np.uint8),
        one,
        np.ones(1, np.int32),
    )
    mesh = joined(ball(3), ball(1, 0.005, (2, 0, 0)))
    views = (ViewRecord(0, "a/0", "a", 0, 64, 48),)
    export_scene(ReconstructedScene(mesh, cloud, cameras), folder, Manifest({}, views))
    return folder


def test_a_scene_folder_stays_as_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = scene_folder(tmp_path / "scene")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    out = tmp_path / "new" / "refined.glb"
    assert cli.run(["refine", str(folder), "--out", str(out)]) == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert "non manifold edges" in capfd.readouterr().out
    (read,) = trimesh.load_scene(out).geometry.values()
    assert len(read.faces) == 1280
    plain = tmp_path / "refined.ply"
    assert cli.run(["refine", str(folder), "--out", str(plain)]) == 0
    expected = refine_mesh(read_mesh_ply(folder / "mesh.ply"))
    written = read_mesh_ply(plain)
    np.testing.assert_array_equal(written.vertices_in_world, expected.vertices_in_world)
    # +y is down in this world and up in glTF.
    np.testing.assert_allclose(
        np.sort(-np.asarray(read.vertices)[:, 1]),
        np.sort(expected.vertices_in_world[:, 1]),
        atol=1e-5,
    )


def test_what_cannot_be_refined_is_one_line(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.ply")
    assert cli.run(["refine", str(source), "--out", out, "--simplify", "0"]) == 2
    assert "share of the vertices to keep" in capfd.readouterr().err
    assert cli.run(["refine", str(tmp_path / "none"), "--out", out]) == 1
    assert "holds no finished scene" in capfd.readouterr().err
    assert cli.run(["refine", str(source), "--out", str(tmp_path / "out.glb")]) == 2
    assert "no cameras that tell what is up" in capfd.readouterr().err
    folder = scene_folder(tmp_path / "scene")
    assert cli.run(["refine", str(folder), "--out", str(tmp_path / "out.stl")]) == 1
    assert ".stl" in capfd.readouterr().err
    lost = grid(4, 4)
    lost.vertices_in_world[3] = np.nan
    write_mesh(lost, source)
    assert cli.run(["refine", str(source), "--out", out]) == 1
    assert "1 of 16 vertices are not finite" in capfd.readouterr().err
    assert not Path(out).exists()
