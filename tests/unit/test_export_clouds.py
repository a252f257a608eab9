"""Point clouds and cameras in every format, as readers find them that did not write them."""

import dataclasses
import logging
import sys
from pathlib import Path

import laspy
import numpy as np
import open3d
import pye57
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signpost import signpost, world_from_east_north_up
from worldloom import export_cameras, export_point_cloud, load_trajectory
from worldloom.errors import ConfigError, ExportError, TrajectoryError
from worldloom.export import CLOUD_FORMATS, CloudFormat, read_cloud_ply, up_axis
from worldloom.export._las import scale_and_offset
from worldloom.scene import PointCloud, ReconstructedScene

FAR = (5_000_000.25, -300_000.125, 12_000.5)
OPEN3D = ("ply", "pcd", "pcd-ascii", "xyz")


def scene_with(cloud: PointCloud) -> ReconstructedScene:
    return dataclasses.replace(signpost(textured=False), point_cloud=cloud)


@pytest.mark.parametrize("kind", ["pcd", "pcd-ascii", "ply"])
def test_open3d_reads_positions_normals_and_colours(kind: CloudFormat, tmp_path: Path) -> None:
    scene = signpost(textured=False)
    path = export_point_cloud(scene, tmp_path / "cloud", kind)
    cloud = scene.point_cloud
    assert path.suffix == f".{kind.partition('-')[0]}"
    found = open3d.io.read_point_cloud(str(path))
    np.testing.assert_allclose(np.asarray(found.points), cloud.points_in_world, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found.normals), cloud.normals_in_world, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found.colors) * 255, cloud.colors, atol=1e-3)
    tensors = open3d.t.io.read_point_cloud(str(path)).point
    np.testing.assert_allclose(tensors["confidence"].numpy()[:, 0], cloud.confidence, atol=1e-6)


@pytest.mark.parametrize("kind", ["pcd", "pcd-ascii", "ply"])
def test_colours_and_normals_can_be_left_out(kind: CloudFormat, tmp_path: Path) -> None:
    scene = signpost(textured=False)
    for colors, normals in ((True, False), (False, True), (False, False)):
        path = export_point_cloud(scene, tmp_path / f"{colors}{normals}", kind, colors, normals)
        found = open3d.io.read_point_cloud(str(path))
        assert (found.has_colors(), found.has_normals()) == (colors, normals)
        np.testing.assert_allclose(
            np.asarray(found.points), scene.point_cloud.points_in_world, atol=1e-6
        )


def test_ply_loses_nothing(tmp_path: Path) -> None:
    scene = signpost(textured=False, far=FAR)
    found = read_cloud_ply(export_point_cloud(scene, tmp_path / "cloud.ply"))
    for field in dataclasses.fields(PointCloud):
        np.testing.assert_array_equal(
            getattr(found, field.name), getattr(scene.point_cloud, field.name)
        )


@pytest.mark.parametrize(("colors", "normals"), [(True, True), (False, True), (True, False)])
def test_xyz_says_what_its_columns_are(colors: bool, normals: bool, tmp_path: Path) -> None:
    scene = signpost(textured=False, far=FAR)
    cloud = scene.point_cloud
    path = export_point_cloud(scene, tmp_path / "cloud.xyz", None, colors, normals)
    names = path.read_text().splitlines()[0].removeprefix("# ").split()
    table = np.loadtxt(path)
    assert table.shape == (len(cloud), len(names))
    np.testing.assert_allclose(table[:, :3], cloud.points_in_world, rtol=0, atol=1e-7)
    expected = {"red": cloud.colors} if colors else {}
    expected |= {"nx": cloud.normals_in_world} if normals else {}
    assert len(names) == 3 + 3 * len(expected)
    for first, values in expected.items():
        start = names.index(first)
        np.testing.assert_allclose(table[:, start : start + 3], values, atol=1e-5)
    by_open3d = open3d.io.read_point_cloud(str(path))
    np.testing.assert_allclose(np.asarray(by_open3d.points), cloud.points_in_world, atol=1e-6)


@pytest.mark.parametrize("kind", ["las", "laz"])
def test_laspy_reads_what_las_can_hold(kind: CloudFormat, tmp_path: Path) -> None:
    scene = signpost(textured=False, far=FAR)
    cloud = scene.point_cloud
    found = laspy.read(export_point_cloud(scene, tmp_path / f"cloud.{kind}"))
    assert (str(found.header.version), found.header.point_format.id) == ("1.4", 7)
    assert found.header.are_points_compressed == (kind == "laz")
    assert found.header.global_encoding.wkt
    np.testing.assert_allclose(found.xyz, cloud.points_in_world, rtol=0, atol=1.1e-7)
    np.testing.assert_allclose(found.header.mins, cloud.points_in_world.min(axis=0), atol=1.1e-7)
    wide = np.stack([found.red, found.green, found.blue], axis=-1)
    np.testing.assert_array_equal(wide, cloud.colors.astype(np.uint16) * 257)
    normals = np.stack([found["NormalX"], found["NormalY"], found["NormalZ"]], axis=-1)
    np.testing.assert_array_equal(normals, cloud.normals_in_world)
    np.testing.assert_array_equal(found["confidence"], cloud.confidence)
    np.testing.assert_array_equal(found["views"], cloud.count)
    assert set(found.return_number) == set(found.number_of_returns) == {1}
    plain = laspy.read(export_point_cloud(scene, tmp_path / f"p.{kind}", None, False, False))
    assert "NormalX" not in plain.point_format.dimension_names
    assert not plain.red.any()


@given(
    st.lists(st.floats(-1e7, 1e7), min_size=3, max_size=3),
    st.floats(1e-3, 1e6),
    st.integers(0, 1000),
)
def test_las_keeps_a_ten_millionth_wherever_the_cloud_is(
    corner: list[float], extent: float, seed: int
) -> None:
    low = np.array(corner)
    high = low + extent * np.random.default_rng(seed).random(3)
    scale, offset = scale_and_offset(low, high)
    longest = (high - low).max()
    finest = np.spacing(max(np.abs(low).max(), np.abs(high).max()))
    assert (scale <= max(longest * 1e-7, finest) * (1 + 1e-6)).all()
    for point in (low, high):
        steps = np.rint((point - offset) / scale)
        assert (np.abs(steps) < 2**31).all()
        np.testing.assert_allclose(offset + steps * scale, point, rtol=0, atol=scale[0] + finest)


def test_a_cloud_of_one_point_has_a_scale(tmp_path: Path) -> None:
    cloud = signpost(textured=False).point_cloud
    one = PointCloud(*(getattr(cloud, field.name)[:1] for field in dataclasses.fields(cloud)))
    for kind in CLOUD_FORMATS:
        path = export_point_cloud(scene_with(one), tmp_path / kind, kind)
        assert path.stat().st_size > 0
    found = laspy.read(tmp_path / "las.las")
    np.testing.assert_allclose(found.xyz, one.points_in_world, atol=1e-12)


def test_e57_keeps_positions_far_from_the_origin(tmp_path: Path) -> None:
    scene = signpost(textured=False, far=FAR)
    path = export_point_cloud(scene, tmp_path / "cloud.e57")
    with pye57.E57(str(path)) as file:
        found = file.read_scan(0, colors=True, ignore_missing_fields=True)
    positions = np.stack([found[f"cartesian{axis}"] for axis in "XYZ"], axis=-1)
    np.testing.assert_allclose(positions, scene.point_cloud.points_in_world, rtol=0, atol=1e-6)
    colors = np.stack([found[f"color{name}"] for name in ("Red", "Green", "Blue")], axis=-1)
    np.testing.assert_array_equal(colors, scene.point_cloud.colors)


def test_e57_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pye57", None)
    with pytest.raises(ExportError, match=r"pip install 'worldloom\[e57\]'"):
        export_point_cloud(signpost(textured=False), tmp_path / "cloud.e57")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["pcd", "pcd-ascii"])
def test_pcd_states_what_it_took_off(
    kind: CloudFormat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = signpost(textured=False, far=FAR)
    with caplog.at_level(logging.WARNING):
        path = export_point_cloud(scene, tmp_path / "far", kind)
    assert "relative to its VIEWPOINT" in caplog.text
    header = path.read_bytes().split(b"DATA")[0].decode().splitlines()
    line = next(line for line in header if line.startswith("VIEWPOINT"))
    moved = np.array(line.split()[1:4], float)
    assert line.split()[4:] == ["1", "0", "0", "0"]
    found = np.asarray(open3d.io.read_point_cloud(str(path)).points) + moved
    np.testing.assert_allclose(found, scene.point_cloud.points_in_world, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", CLOUD_FORMATS)
def test_clouds_keep_the_world_until_they_are_asked_to_turn(
    kind: CloudFormat, tmp_path: Path
) -> None:
    scene = signpost("-y", textured=False)
    for axes, turned in (("format", False), ("z-up", True)):
        path = export_point_cloud(scene, tmp_path / axes, kind, axes=axes)
        if kind in OPEN3D:
            found = np.asarray(open3d.io.read_point_cloud(str(path)).points)
        elif kind == "e57":
            with pye57.E57(str(path)) as file:
                scan = file.read_scan(0, ignore_missing_fields=True)
            found = np.stack([scan[f"cartesian{axis}"] for axis in "XYZ"], axis=-1)
        else:
            found = np.array(laspy.read(path).xyz)
        up = world_from_east_north_up("z" if turned else "-y")[:, 2]
        assert 0 < (found @ up).max() < 3.001
        assert (found @ up).min() > -1e-5


@pytest.mark.parametrize("kind", CLOUD_FORMATS)
def test_clouds_that_no_format_can_hold_are_refused(kind: CloudFormat, tmp_path: Path) -> None:
    cloud = signpost(textured=False).point_cloud
    empty = PointCloud(*(getattr(cloud, field.name)[:0] for field in dataclasses.fields(cloud)))
    holed = dataclasses.replace(cloud, points_in_world=cloud.points_in_world.copy())
    holed.points_in_world[2, 1] = np.inf
    for case, reason in ((empty, "no points; there is nothing to write"), (holed, "not finite")):
        with pytest.raises(ExportError, match=reason):
            export_point_cloud(scene_with(case), tmp_path / "a", kind)
    with pytest.raises(ExportError, match=r"suffix '.pts'; use one of ply, pcd"):
        export_point_cloud(scene_with(cloud), tmp_path / "a.pts")
    with pytest.raises(ConfigError, match="axes is 'north'"):
        export_point_cloud(scene_with(cloud), tmp_path / "a", kind, axes="north")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["transforms", "worldstereo", "colmap-text", "opencv", None])
def test_cameras_go_into_every_trajectory_format(kind: str | None, tmp_path: Path) -> None:
    scene = signpost("-y")
    path = export_cameras(scene, tmp_path / "deep" / "cameras.yml", kind)
    found = load_trajectory(path, format=kind)
    for one, other in zip(found, scene.cameras, strict=True):
        np.testing.assert_allclose(one.world_from_cam, other.world_from_cam, atol=1e-6)
        np.testing.assert_allclose(one.intrinsics.matrix, other.intrinsics.matrix, atol=1e-6)


def test_cameras_turn_with_the_mesh(tmp_path: Path) -> None:
    scene = signpost("-y")
    found = load_trajectory(export_cameras(scene, tmp_path / "camera.json", axes="y-up"))
    assert up_axis(scene.cameras) == "-y"
    assert up_axis(found) == "y"
    for one, other in zip(found, scene.cameras, strict=True):
        np.testing.assert_allclose(
            one.centre_in_world, other.centre_in_world * [1, -1, -1], atol=1e-9
        )
    with pytest.raises(TrajectoryError, match="there is no format 'ply'"):
        export_cameras(scene, tmp_path / "camera.ply", "ply")


def test_cameras_that_disagree_tell_no_up(caplog: pytest.LogCaptureFixture) -> None:
    trajectory = signpost("z").cameras
    around = []
    for k, camera in enumerate(trajectory):
        pose = camera.world_from_cam.copy()
        angle = 2 * np.pi * k / len(trajectory)
        pose[:3, :3] = [
            [np.cos(angle), -np.sin(angle), 0],
            [np.sin(angle), np.cos(angle), 0],
            [0, 0, 1],
        ]
        around.append(dataclasses.replace(camera, world_from_cam=pose))
    with caplog.at_level(logging.WARNING):
        assert up_axis(dataclasses.replace(trajectory, cameras=tuple(around))) is None
    assert "do not tell which way is up" in caplog.text
