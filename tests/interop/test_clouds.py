"""Every cloud export of one small scene, opened by readers that are not the writers."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import laspy
import numpy as np
import open3d
import pytest
import trimesh

from tests.interop.conftest import HERE, Report
from tests.signpost import signpost
from worldloom import export_point_cloud
from worldloom.export import CLOUD_FORMATS, CloudFormat
from worldloom.scene import PointCloud

CLOUD = signpost("z", textured=False).point_cloud
COUNT = len(CLOUD)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[CloudFormat, Path]:
    folder, scene = tmp_path_factory.mktemp("clouds"), signpost("z", textured=False)
    return {kind: export_point_cloud(scene, folder / kind, kind) for kind in CLOUD_FORMATS}


def run(*words: object, **environment: str) -> str:
    process = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return process.stdout


@pytest.mark.parametrize("kind", ["ply", "pcd", "pcd-ascii", "xyz"])
def test_open3d(kind: CloudFormat, paths: dict[CloudFormat, Path], report: Report) -> None:
    found = open3d.io.read_point_cloud(str(paths[kind]))
    np.testing.assert_allclose(np.asarray(found.points), CLOUD.points_in_world, atol=1e-6)
    words = f"{COUNT} points"
    if kind != "xyz":
        np.testing.assert_allclose(np.asarray(found.normals), CLOUD.normals_in_world, atol=1e-6)
        np.testing.assert_allclose(np.asarray(found.colors) * 255, CLOUD.colors, atol=1e-3)
        words += ", normals, colours"
    report(kind, f"Open3D {metadata.version('open3d')}", "points", words)


def test_trimesh(paths: dict[CloudFormat, Path], report: Report) -> None:
    found = trimesh.load(paths["ply"])
    np.testing.assert_array_equal(found.vertices, CLOUD.points_in_world)
    np.testing.assert_array_equal(found.colors[:, :3], CLOUD.colors)
    report("ply", f"trimesh {metadata.version('trimesh')}", "points", f"{COUNT} points, bit by bit")


def test_numpy_reads_xyz(paths: dict[CloudFormat, Path], report: Report) -> None:
    found = np.loadtxt(paths["xyz"])
    wanted = [CLOUD.points_in_world, CLOUD.colors, CLOUD.normals_in_world]
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=1), atol=1e-5)
    report("xyz", "numpy.loadtxt", "points", f"{COUNT} points, colours, normals")


@pytest.mark.parametrize("kind", ["pcd", "pcd-ascii"])
def test_pcl(
    kind: CloudFormat, paths: dict[CloudFormat, Path], tmp_path: Path, report: Report
) -> None:
    """PCL reads the file, and writes what it found as text."""
    text, surface = tmp_path / "text.pcd", tmp_path / "cloud.ply"
    run("pcl_convert_pcd_ascii_binary", paths[kind], text, 0)
    lines = text.read_text().splitlines()
    assert "FIELDS x y z normal_x normal_y normal_z rgb confidence" in lines
    assert f"POINTS {COUNT}" in lines
    rows = [line.split() for line in lines[lines.index("DATA ascii") + 1 :]]
    table = np.array([row[:6] + row[7:] for row in rows], float)
    wanted = [CLOUD.points_in_world, CLOUD.normals_in_world, CLOUD.confidence[:, None]]
    np.testing.assert_allclose(table, np.concatenate(wanted, axis=1), atol=1e-5)
    if kind == "pcd-ascii":
        packed = np.array([row[6] for row in rows], int)
        colors = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1)
        np.testing.assert_array_equal(colors, CLOUD.colors)
    else:
        # Colours in the bits of a float: PCL itself takes them apart for a PLY.
        run("pcl_pcd2ply", paths[kind], surface)
        found = open3d.io.read_point_cloud(str(surface))
        np.testing.assert_allclose(np.asarray(found.colors) * 255, CLOUD.colors, atol=1e-3)
    version = run("dpkg-query", "-W", "-f", "${Version}", "pcl-tools").split("+")[0]
    words = f"{COUNT} points, normals, colours, confidence"
    report(kind, f"PCL {version}", "points", words)


def check_las(table: np.ndarray, cloud: PointCloud) -> None:
    """Columns: x y z, red green blue, normal, confidence, views."""
    np.testing.assert_allclose(table[:, :3], cloud.points_in_world, rtol=0, atol=1.1e-7)
    np.testing.assert_array_equal(table[:, 3:6], cloud.colors.astype(int) * 257)
    np.testing.assert_array_equal(table[:, 6:9], cloud.normals_in_world)
    np.testing.assert_array_equal(table[:, 9].astype(np.float32), cloud.confidence)
    np.testing.assert_array_equal(table[:, 10], cloud.count)


@pytest.mark.parametrize("kind", ["las", "laz"])
def test_copc(
    kind: CloudFormat, paths: dict[CloudFormat, Path], home: Path, report: Report
) -> None:
    """The reader of the makers of PDAL and Entwine, with laz-perf for what is compressed."""
    said = json.loads(run("node", HERE / "read_las.js", home / "node_modules", paths[kind]))
    assert (said["version"], said["format"]) == ("1.4", 7)
    check_las(np.array(said["points"]), CLOUD)
    versions = [
        json.loads((home / "node_modules" / name / "package.json").read_text())["version"]
        for name in ("copc", "laz-perf")
    ]
    words = f"{COUNT} points, colours, normals, confidence, views"
    report(kind, f"copc.js {versions[0]}, laz-perf {versions[1]}", "points", words)


def test_laszip(paths: dict[CloudFormat, Path], home: Path, report: Report) -> None:
    """LASzip is the reference; what was written is by another implementation."""
    script = (
        "import laspy, sys, numpy as np\n"
        "found = laspy.read(sys.argv[1], laz_backend=laspy.LazBackend.Laszip)\n"
        "names = ['x', 'y', 'z', 'red', 'green', 'blue', 'NormalX', 'NormalY', 'NormalZ',"
        " 'confidence', 'views']\n"
        "np.save(sys.argv[2], np.stack([np.asarray(found[name], float) for name in names], -1))\n"
    )
    out = paths["laz"].with_suffix(".npy")
    run(sys.executable, "-c", script, paths["laz"], out, PYTHONPATH=str(home / "readers"))
    check_las(np.load(out), CLOUD)
    (found,) = metadata.distributions(name="laszip", path=[str(home / "readers")])
    words = f"{COUNT} points, colours, normals, confidence, views"
    report("laz", f"LASzip (laszip {found.version})", "points", words)


def test_laspy(paths: dict[CloudFormat, Path], report: Report) -> None:
    found = laspy.read(paths["las"])
    np.testing.assert_allclose(found.xyz, CLOUD.points_in_world, rtol=0, atol=1.1e-7)
    reader = f"laspy {metadata.version('laspy')} (the writer)"
    report("las", reader, "points", f"{COUNT} points, LAS 1.4, point format 7")


def test_e57(paths: dict[CloudFormat, Path], home: Path, report: Report) -> None:
    """Another implementation than that of the writer, in Rust."""
    script = (
        "import e57, sys, numpy as np\n"
        "found = e57.read_points(sys.argv[1])\n"
        "rows = np.concatenate([np.asarray(found.points), np.asarray(found.color)], axis=1)\n"
        "np.save(sys.argv[2], rows)\n"
    )
    out = paths["e57"].with_suffix(".npy")
    run(sys.executable, "-c", script, paths["e57"], out, PYTHONPATH=str(home / "readers"))
    table = np.load(out)
    np.testing.assert_allclose(table[:, :3], CLOUD.points_in_world, atol=1e-6)
    np.testing.assert_allclose(table[:, 3:] * 255, CLOUD.colors, atol=1e-3)
    (found,) = metadata.distributions(name="e57", path=[str(home / "readers")])
    report("e57", f"e57 {found.version}", "points", f"{COUNT} points, colours")
