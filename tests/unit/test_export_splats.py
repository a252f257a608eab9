"""Splats in files: each format holds what it says, and what is read back is what was written."""

import dataclasses
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.gaussians import gaussians, same_turns
from tests.signpost import signpost
from tests.unit.test_export import manifest
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.errors import ConfigError, ExportError, InputError
from worldloom.export import (
    SPLAT_FORMATS,
    export_mesh,
    export_scene,
    export_splats,
    load_manifest,
    load_scene,
    read_splat_ply,
    read_splat_usd,
    read_spz,
    write_splats,
)
from worldloom.export._harmonics import harmonics
from worldloom.scene import ReconstructedScene, Splats


def scene_of(splats: Splats | None, down: str = "y") -> ReconstructedScene:
    """A scene whose cameras look along the world with `down` below."""
    pose = np.eye(4)
    if down == "-z":
        pose[:3, :3] = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    lens = CameraIntrinsics(50.0, 50.0, 32.0, 24.0, 64, 48)
    cameras = CameraTrajectory((Camera(lens, pose),), (0,), ("a/0000",), name="scene")
    return dataclasses.replace(signpost(textured=False), cameras=cameras, splats=splats)


def glb_parts(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def glb_columns(path: Path) -> dict[str, np.ndarray]:
    document, buffer = glb_parts(path)
    (primitive,) = document["meshes"][0]["primitives"]
    columns = {}
    for name, index in primitive["attributes"].items():
        entry = document["accessors"][index]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[entry["type"]]
        kind = {5126: "<f4", 5123: "<u2", 5121: "u1"}[entry["componentType"]]
        start = document["bufferViews"][entry["bufferView"]]["byteOffset"]
        column = np.frombuffer(buffer, kind, entry["count"] * width, start).reshape(-1, width)
        columns[name.removeprefix("KHR_gaussian_splatting:")] = column
    return columns


def assert_same(found: Splats, expected: Splats, tolerance: float) -> None:
    np.testing.assert_allclose(found.means_in_world, expected.means_in_world, atol=tolerance)
    np.testing.assert_allclose(found.scales_m, expected.scales_m, rtol=10 * tolerance)
    np.testing.assert_allclose(found.opacities, expected.opacities, atol=tolerance)
    np.testing.assert_allclose(found.sh, expected.sh, atol=tolerance)
    assert same_turns(found.rotations, expected.rotations) < 1e-3


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_ply_of_splats_comes_back(tmp_path: Path, degree: int) -> None:
    splats = gaussians(300, degree)
    write_splats(splats, tmp_path / "splats.ply")
    assert_same(read_splat_ply(tmp_path / "splats.ply"), splats, 1e-6)


def test_a_ply_has_the_columns_of_3dgs(tmp_path: Path) -> None:
    splats = gaussians(3, 1)
    write_splats(splats, tmp_path / "splats.ply")
    header, _, data = (tmp_path / "splats.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1] for line in header.decode().splitlines() if "property" in line]
    assert names == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{k}" for k in range(9)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
    table = dict(zip(names, np.frombuffer(data, "<f4").reshape(3, -1).T, strict=True))
    # Coefficients stand channel by channel: the first of green follows the last of red.
    np.testing.assert_array_equal(table["f_rest_3"], splats.sh[:, 1, 1])
    np.testing.assert_allclose(np.exp(table["scale_1"]), splats.scales_m[:, 1], rtol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-table["opacity"])), splats.opacities, rtol=1e-5)
    np.testing.assert_array_equal(table["rot_0"], splats.rotations[:, 0])


def test_opacities_of_0_and_1_stay_finite(tmp_path: Path) -> None:
    splats = dataclasses.replace(gaussians(2, 0), opacities=np.array([0, 1], np.float32))
    write_splats(splats, tmp_path / "s.ply")
    np.testing.assert_allclose(read_splat_ply(tmp_path / "s.ply").opacities, [0, 1], atol=2e-7)


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """Other programs leave normals out, or order columns in another way."""
    names = ["rot_0", "rot_1", "rot_2", "rot_3", "opacity", "scale_2", "scale_1", "scale_0"]
    names += ["f_dc_2", "f_dc_1", "f_dc_0", "z", "y", "x"]
    row = np.array([2, 0, 0, 0, 0, -3, -2, -1, 0.3, 0.2, 0.1, 7, 6, 5], "<f4")
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    (tmp_path / "s.ply").write_bytes(header.encode() + row.tobytes())
    splats = read_splat_ply(tmp_path / "s.ply")
    np.testing.assert_array_equal(splats.means_in_world, [[5, 6, 7]])
    np.testing.assert_allclose(splats.scales_m, np.exp([[-1, -2, -3]]), rtol=1e-6)
    np.testing.assert_array_equal(splats.rotations, [[1, 0, 0, 0]])
    np.testing.assert_allclose(splats.sh[0, 0], [0.1, 0.2, 0.3])
    assert splats.opacities == 0.5


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spz_comes_back_at_its_precision(tmp_path: Path, degree: int) -> None:
    splats = gaussians(500, degree)
    path = export_splats(scene_of(splats), tmp_path / "s", "spz", axes="world")
    found = read_spz(path)
    np.testing.assert_allclose(found.means_in_world, splats.means_in_world, atol=2.0**-17 + 1e-7)
    np.testing.assert_allclose(np.log(found.scales_m), np.log(splats.scales_m), atol=1 / 32 + 1e-5)
    np.testing.assert_allclose(found.opacities, splats.opacities, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(found.sh[:, 0], splats.sh[:, 0], atol=0.5 / 255 / 0.15 + 1e-5)
    for order, bucket in ((1, 8), (2, 16), (3, 16)):
        band = slice(order**2, (order + 1) ** 2)
        assert np.abs(found.sh[:, band] - splats.sh[:, band]).max(initial=0) <= (
            (bucket / 2 + 0.5) / 128
        )
    assert same_turns(found.rotations, splats.rotations) < 0.006


def test_spz_states_what_it_is_and_says_the_same_twice(tmp_path: Path) -> None:
    splats = gaussians(200, 3)
    first = export_splats(scene_of(splats), tmp_path / "a.spz").read_bytes()
    second = export_splats(scene_of(splats), tmp_path / "b.spz").read_bytes()
    assert first == second
    header = struct.unpack_from("<4sIIBBBB", gzip.decompress(first))
    assert header == (b"NGSP", 3, 200, 3, 16, 0, 0)
    write_splats(splats, tmp_path / "a.ply")
    assert len(first) < (tmp_path / "a.ply").stat().st_size / 3


def test_spz_of_version_2_is_read(tmp_path: Path) -> None:
    """One Gaussian, turned by a quarter about z, at -1.5, 0.5, 2 with a grey base."""
    body = struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0)
    for value in (-1.5, 0.5, 2.0):
        body += int(value * 4096).to_bytes(3, "little", signed=True)
    body += bytes([255, 128, 128, 128, 160, 144, 128, 128, 128, round(127.5 + 127.5 * 0.5**0.5)])
    (tmp_path / "a.spz").write_bytes(gzip.compress(body))
    splats = read_spz(tmp_path / "a.spz")
    np.testing.assert_array_equal(splats.means_in_world, [[-1.5, 0.5, 2]])
    np.testing.assert_allclose(splats.scales_m, np.exp([[0, -1, -2]]), rtol=1e-6)
    quarter = np.array([[0.5**0.5, 0, 0, 0.5**0.5]])
    assert same_turns(splats.rotations, quarter) < 0.02
    np.testing.assert_allclose(splats.sh, 0, atol=0.02)


def test_spz_makes_room_for_large_worlds_and_refuses_larger(tmp_path: Path) -> None:
    far = gaussians(20, 0, reach=5000.0)
    found = read_spz(export_splats(scene_of(far), tmp_path / "a.spz", axes="world"))
    np.testing.assert_allclose(found.means_in_world, far.means_in_world, atol=2.0**-11 + 1e-3)
    beyond = gaussians(20, 0, reach=2e7)
    with pytest.raises(ExportError, match="24 bits"):
        export_splats(scene_of(beyond), tmp_path / "b.spz")
    assert not (tmp_path / "b.spz").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "length"),
        (lambda data: data[:4] + struct.pack("<I", 9) + data[8:], "version"),
        (lambda data: data[:14] + b"\2" + data[15:], "extensions"),
        (lambda data: data[:9], "buffer"),
    ],
)
def test_a_damaged_spz_is_refused(tmp_path: Path, change: object, message: str) -> None:
    data = gzip.decompress(export_splats(scene_of(gaussians()), tmp_path / "a.spz").read_bytes())
    assert callable(change)
    (tmp_path / "b.spz").write_bytes(gzip.compress(change(data)))
    with pytest.raises(InputError, match=message):
        read_spz(tmp_path / "b.spz")
    (tmp_path / "b.spz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot read"):
        read_spz(tmp_path / "b.spz")


def test_glb_holds_what_the_extension_asks_for(tmp_path: Path) -> None:
    splats = gaussians(50, 2)
    path = export_splats(scene_of(splats), tmp_path / "s.glb", axes="world", unit_m=2.0)
    document, _ = glb_parts(path)
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    columns = glb_columns(path)
    np.testing.assert_array_equal(columns["POSITION"], 2 * splats.means_in_world)
    np.testing.assert_array_equal(columns["SCALE"], 2 * splats.scales_m)
    np.testing.assert_array_equal(columns["ROTATION"][:, 3], splats.rotations[:, 0])
    np.testing.assert_array_equal(columns["OPACITY"][:, 0], splats.opacities)
    np.testing.assert_array_equal(columns["SH_DEGREE_2_COEF_1"], splats.sh[:, 5])
    assert sum(name.startswith("SH_") for name in columns) == 9
    entry = document["accessors"][primitive["attributes"]["POSITION"]]
    assert entry["max"] == columns["POSITION"].max(axis=0).tolist()
    np.testing.assert_allclose(columns["COLOR_0"][:, 3] / 65535, splats.opacities, atol=1e-5)


@pytest.mark.parametrize("kind", ["usda", "usdc", "usdz"])
def test_usd_comes_back(tmp_path: Path, kind: str) -> None:
    splats = gaussians(30, 3)
    path = export_splats(scene_of(splats), tmp_path / "s", kind, axes="world", unit_m=0.5)
    assert_same(read_splat_usd(path), splats, 1e-6)
    assert {file.name for file in tmp_path.iterdir()} == {f"s.{kind}"}


def test_usd_says_which_axis_is_up(tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom, UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    context = UsdValidation.ValidationContext(validators)
    for down, up, turned in (("-z", "Z", False), ("y", "Y", True)):
        path = export_splats(scene_of(gaussians(), down), tmp_path / f"{up}.usda", unit_m=0.01)
        stage = Usd.Stage.Open(str(path))
        assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == (up, 0.01)
        same = np.allclose(read_splat_usd(path).means_in_world, gaussians().means_in_world)
        assert same is not turned
        assert [error.GetMessage() for error in context.Validate(stage)] == []


@pytest.mark.parametrize("kind", ["spz", "glb", "usdz", "usdc"])
def test_the_same_colours_are_seen_from_the_same_side(tmp_path: Path, kind: str) -> None:
    """In a world with y down, a look along +z from above is a look along -z in the file."""
    splats = gaussians(40, 3)
    path = export_splats(scene_of(splats), tmp_path / f"s.{kind}")
    if kind == "spz":
        found, tolerance = read_spz(path), 0.25
    elif kind == "glb":
        columns = glb_columns(path)
        names = [(d, m) for d in range(4) for m in range(2 * d + 1)]
        sh = np.stack([columns[f"SH_DEGREE_{d}_COEF_{m}"] for d, m in names], axis=1)
        quaternions = np.roll(columns["ROTATION"], 1, axis=1)
        parts = (columns["POSITION"], columns["SCALE"], quaternions, columns["OPACITY"][:, 0], sh)
        found, tolerance = Splats(*parts), 1e-5
    else:
        found, tolerance = read_splat_usd(path), 1e-5
    np.testing.assert_allclose(found.means_in_world, splats.means_in_world * (1, -1, -1), atol=1e-4)
    look = np.array([[0.36, 0.48, 0.8]])
    before = np.einsum("dk,nkc->nc", harmonics(look, 3), splats.sh)
    after = np.einsum("dk,nkc->nc", harmonics(look * (1, -1, -1), 3), found.sh)
    np.testing.assert_allclose(after, before, atol=tolerance)


def test_a_scene_folder_keeps_its_splats(tmp_path: Path) -> None:
    splats = gaussians(60, 2)
    written = export_scene(scene_of(splats), tmp_path / "a", manifest(1), formats=("ply",))
    assert written.counts["splats"] == 60
    assert {record.path: record.kind for record in written.files}["splats.ply"] == "splats"
    found = load_scene(tmp_path / "a").splats
    assert found is not None
    assert_same(found, splats, 1e-6)
    export_scene(scene_of(None), tmp_path / "a", manifest(1), formats=("ply",))
    assert load_scene(tmp_path / "a").splats is None
    assert "splats" not in load_manifest(tmp_path / "a").counts


@pytest.mark.parametrize("kind", SPLAT_FORMATS)
def test_a_scene_without_splats_says_so(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ExportError, match="holds no splats"):
        export_splats(scene_of(None), tmp_path / f"a.{kind}")
    assert list(tmp_path.iterdir()) == []


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no splat format"):
        export_splats(scene_of(gaussians()), tmp_path / "a.ksplat")
    with pytest.raises(ConfigError, match="no unit of length"):
        export_splats(scene_of(gaussians()), tmp_path / "a.spz", unit_m=2.0)
    with pytest.raises(ExportError, match="nothing to write"):
        write_splats(gaussians(0), tmp_path / "a.ply")
    mesh = export_mesh(scene_of(None), tmp_path / "m.usda")
    with pytest.raises(InputError, match="ParticleField3DGaussianSplat"):
        read_splat_usd(mesh)
    write_splats(gaussians(3), tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "b.ply").write_bytes(data.replace(b" opacity", b" opacitx"))
    with pytest.raises(InputError, match="no opacity"):
        read_splat_ply(tmp_path / "b.ply")
