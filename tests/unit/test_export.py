"""Files of a scene: read by others as they were written, whole or not at all."""

import dataclasses
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import open3d
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.errors import ExportError, InputError
from worldloom.export import (
    InputRecord,
    Manifest,
    MeshFormat,
    ViewRecord,
    cloud_ply,
    export_scene,
    load_manifest,
    load_scene,
    mesh_glb,
    mesh_obj,
    mesh_ply,
    read_cloud_ply,
    read_mesh_ply,
    save_manifest,
    sha256_of,
    software_versions,
    write_atomically,
    write_cloud,
    write_mesh,
)
from worldloom.scene import Mesh, PointCloud, ReconstructedScene
from worldloom.stage import Failure, StageReport

PLY = b"ply\nformat binary_little_endian 1.0\n"
EMPTY = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))


def random_mesh(seed: int = 0, vertices: int = 40, faces: int = 60, far: float = 0.0) -> Mesh:
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(vertices, 3))
    return Mesh(
        rng.normal(size=(vertices, 3)) + far,
        np.stack([rng.permutation(vertices)[:3] for _ in range(faces)]).astype(np.int32),
        rng.integers(0, 256, (vertices, 3), np.uint8),
        (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
    )


def random_cloud(seed: int = 0, points: int = 50) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(
        rng.normal(size=(points, 3)),
        rng.normal(size=(points, 3)).astype(np.float32),
        rng.integers(0, 256, (points, 3), np.uint8),
        rng.random(points, np.float32),
        rng.integers(2, 9, points, np.int32),
    )


def trajectory(count: int) -> CameraTrajectory:
    cameras: list[Camera] = []
    for k in range(count):
        pose = np.eye(4)
        pose[0, 3] = 0.1 * k
        cameras.append(Camera(CameraIntrinsics(100.0, 101.0, 33.5, 20.5, 64 + 2 * k, 48), pose))
    return CameraTrajectory(tuple(cameras), tuple(range(count)), name="test")


def manifest(count: int) -> Manifest:
    return Manifest(
        parameters={"resolution": 512, "sweep": {"window_px": 7}},
        views=tuple(ViewRecord(k, f"a/{k:04d}", "a", 2 * k, 64 + 2 * k, 48) for k in range(count)),
        inputs=(InputRecord("video.mp4", "a", "camera.json", 6, count),),
        timings=(StageReport("estimate", 1.25, count, 1, 0),),
        metrics={"completeness": 0.75, "psnr_db": None},
        failures=(Failure("estimate", "view 3", "PlanError", "no overlap", 1),),
        degraded=True,
        software=software_versions(),
        created="2025-01-02T03:04:05Z",
    )


@pytest.fixture
def scene() -> ReconstructedScene:
    return ReconstructedScene(random_mesh(), random_cloud(), trajectory(3))


@given(st.integers(0, 1000), st.booleans(), st.booleans(), st.integers(3, 30), st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_mesh_ply_keeps_everything(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    colored: bool,
    has_normals: bool,
    vertices: int,
    faces: int,
) -> None:
    mesh = random_mesh(seed, vertices, faces, far=1e6)
    mesh = dataclasses.replace(
        mesh,
        colors=mesh.colors if colored else None,
        normals_in_world=mesh.normals_in_world if has_normals else None,
    )
    path = tmp_path_factory.mktemp("ply") / "mesh.ply"
    write_mesh(mesh, path)
    same(read_mesh_ply(path), mesh)


def same(found: Mesh, expected: Mesh) -> None:
    np.testing.assert_array_equal(found.vertices_in_world, expected.vertices_in_world)
    np.testing.assert_array_equal(found.faces, expected.faces)
    for name in ("colors", "normals_in_world"):
        value = getattr(expected, name)
        if value is None:
            assert getattr(found, name) is None
        else:
            np.testing.assert_array_equal(getattr(found, name), value)


def test_other_readers_read_the_mesh_ply(tmp_path: Path) -> None:
    mesh = random_mesh()
    path = tmp_path / "mesh.ply"
    write_mesh(mesh, path)
    by_trimesh = trimesh.load(path, process=False)
    np.testing.assert_array_equal(by_trimesh.vertices, mesh.vertices_in_world)
    np.testing.assert_array_equal(by_trimesh.faces, mesh.faces)
    np.testing.assert_array_equal(by_trimesh.visual.vertex_colors[:, :3], mesh.colors)
    by_open3d = open3d.io.read_triangle_mesh(str(path))
    np.testing.assert_array_equal(np.asarray(by_open3d.vertices), mesh.vertices_in_world)
    np.testing.assert_array_equal(np.asarray(by_open3d.triangles), mesh.faces)
    np.testing.assert_allclose(np.asarray(by_open3d.vertex_normals), mesh.normals_in_world)
    np.testing.assert_allclose(np.asarray(by_open3d.vertex_colors) * 255, mesh.colors, atol=1e-3)


def test_other_readers_read_the_cloud_ply(tmp_path: Path) -> None:
    cloud = random_cloud()
    path = tmp_path / "cloud.ply"
    write_cloud(cloud, path)
    by_open3d = open3d.t.io.read_point_cloud(str(path)).point
    np.testing.assert_array_equal(by_open3d.positions.numpy(), cloud.points_in_world)
    np.testing.assert_array_equal(by_open3d.normals.numpy(), cloud.normals_in_world)
    np.testing.assert_array_equal(by_open3d.colors.numpy(), cloud.colors)
    np.testing.assert_array_equal(by_open3d["confidence"].numpy()[:, 0], cloud.confidence)
    by_trimesh = trimesh.load(path)
    np.testing.assert_array_equal(by_trimesh.vertices, cloud.points_in_world)
    ours = read_cloud_ply(path)
    for field in dataclasses.fields(PointCloud):
        np.testing.assert_array_equal(getattr(ours, field.name), getattr(cloud, field.name))


def test_obj_holds_positions_colours_normals_and_faces() -> None:
    mesh = random_mesh()
    lines = [line.split() for line in mesh_obj(mesh).decode().splitlines()]
    positions = np.array([line[1:4] for line in lines if line[0] == "v"], float)
    colors = np.array([line[4:] for line in lines if line[0] == "v"], float)
    normals = np.array([line[1:] for line in lines if line[0] == "vn"], float)
    faces = [line[1:] for line in lines if line[0] == "f"]
    np.testing.assert_allclose(positions, mesh.vertices_in_world, rtol=1e-8)
    np.testing.assert_allclose(colors * 255, mesh.colors, atol=0.02)
    np.testing.assert_allclose(normals, mesh.normals_in_world, atol=5.1e-5)
    corners = [[[int(x) for x in corner.split("//")] for corner in face] for face in faces]
    np.testing.assert_array_equal(np.array(corners)[..., 0] - 1, mesh.faces)
    np.testing.assert_array_equal(np.array(corners)[..., 1] - 1, mesh.faces)
    plain = dataclasses.replace(mesh, colors=None, normals_in_world=None)
    loaded = trimesh.load(io.BytesIO(mesh_obj(plain)), file_type="obj", process=False)
    np.testing.assert_allclose(loaded.vertices, mesh.vertices_in_world, rtol=1e-8)
    np.testing.assert_array_equal(loaded.faces, mesh.faces)


def glb_parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert json_length % 4 == 0
    document = json.loads(data[20 : 20 + json_length])
    size, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"BIN\0"
    assert size % 4 == 0
    return document, data[28 + json_length :]


def test_glb_is_read_by_trimesh_with_geometry_unchanged() -> None:
    mesh = random_mesh()
    loaded = trimesh.load(io.BytesIO(mesh_glb(mesh)), file_type="glb", process=False)
    (geometry,) = loaded.dump()
    np.testing.assert_allclose(geometry.vertices, mesh.vertices_in_world, atol=1e-6)
    np.testing.assert_array_equal(geometry.faces, mesh.faces)
    document, data = glb_parts(mesh_glb(mesh))
    normals = np.frombuffer(data, "<f4", 120, document["bufferViews"][1]["byteOffset"])
    np.testing.assert_allclose(normals.reshape(-1, 3), mesh.normals_in_world, atol=1e-6)


def test_glb_colours_are_linear_light() -> None:
    vertices = np.zeros((3, 3))
    vertices[[1, 2], [0, 1]] = 1
    colors = np.array([[0, 128, 255], [10, 188, 54], [1, 2, 3]], np.uint8)
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32), colors)
    document, data = glb_parts(mesh_glb(mesh))
    accessor = document["accessors"][1]
    view = document["bufferViews"][accessor["bufferView"]]
    assert accessor["normalized"] is True
    values = np.frombuffer(data, "<u2", 12, view["byteOffset"]).reshape(3, 4) / 65535
    assert values[0].tolist() == pytest.approx([0, 0.21586, 1, 1], abs=1e-4)
    assert values[1, 1] == pytest.approx(0.50289, abs=1e-4)
    assert values[2, :3] == pytest.approx(np.array([1, 2, 3]) / 255 / 12.92, abs=1e-5)
    assert document["materials"][0]["extensions"] == {"KHR_materials_unlit": {}}


def test_glb_keeps_millimetres_far_from_the_origin() -> None:
    mesh = random_mesh(far=5_000_000.25)
    loaded = trimesh.load(io.BytesIO(mesh_glb(mesh)), file_type="glb", process=False)
    (geometry,) = loaded.dump()
    np.testing.assert_allclose(geometry.vertices, mesh.vertices_in_world, atol=1e-6, rtol=0)


@pytest.mark.parametrize("up", [(0.0, 0.0, 2.0), (0.0, -1.0, 0.0), (1.0, 1.0, 0.3), (0, 1, 0)])
def test_glb_turns_a_known_up_to_y(up: tuple[float, float, float]) -> None:
    direction = np.array(up) / np.linalg.norm(up)
    vertices = np.stack([np.zeros(3), direction, np.cross(direction, [0.3, 0.5, 0.7])])
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32))
    up_floats = (float(up[0]), float(up[1]), float(up[2]))
    data = mesh_glb(mesh, up_in_world=up_floats)
    (geometry,) = trimesh.load(io.BytesIO(data), file_type="glb", process=False).dump()
    np.testing.assert_allclose(geometry.vertices[1], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(geometry.vertices, axis=1), np.linalg.norm(vertices, axis=1), atol=1e-6
    )
    document, _ = glb_parts(mesh_glb(mesh))
    assert "rotation" not in document["nodes"][0]


def test_glb_refuses_an_up_without_direction() -> None:
    with pytest.raises(ExportError, match="no direction"):
        mesh_glb(random_mesh(), up_in_world=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("encode", [mesh_ply, mesh_glb, mesh_obj])
def test_empty_mesh_is_refused(encode: object) -> None:
    with pytest.raises(ExportError, match="no faces; there is nothing to write"):
        encode(EMPTY)  # type: ignore[operator]


def test_empty_cloud_and_unknown_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no points; there is nothing to write"):
        cloud_ply(random_cloud(points=0))
    with pytest.raises(ExportError, match=r"suffix '.stl'; use .ply, .glb or .obj"):
        write_mesh(random_mesh(), tmp_path / "mesh.stl")
    with pytest.raises(ExportError, match=r"suffix '.las'; use .ply"):
        write_cloud(random_cloud(), tmp_path / "cloud.las")
    assert list(tmp_path.iterdir()) == []


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "file.bin"
    write_atomically(path, b"first")
    full = OSError(28, "No space left on device")

    def disk_is_full(self: Path, _data: bytes) -> int:
        self.touch()
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", disk_is_full)
        with pytest.raises(ExportError, match=r"file.bin: No space left on device; free space"):
            write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ExportError, match="deep"):
        write_atomically(path / "below", b"a file is no folder")


def test_scene_reads_back_as_written(scene: ReconstructedScene, tmp_path: Path) -> None:
    preview = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    written = export_scene(scene, tmp_path, manifest(3), preview)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cameras.json",
        "mesh.glb",
        "mesh.obj",
        "mesh.ply",
        "point_cloud.ply",
        "preview.png",
        "scene.json",
    ]
    for record in written.files:
        path = tmp_path / record.path
        assert (record.bytes, record.sha256) == (path.stat().st_size, sha256_of(path))
    assert written.counts == {"views": 3, "points": 50, "vertices": 40, "faces": 60}
    assert load_manifest(tmp_path) == written
    loaded = load_scene(tmp_path)
    same(loaded.mesh, scene.mesh)
    np.testing.assert_array_equal(
        loaded.point_cloud.points_in_world, scene.point_cloud.points_in_world
    )
    for found, expected in zip(loaded.cameras, scene.cameras, strict=True):
        assert found.intrinsics == expected.intrinsics
        np.testing.assert_allclose(found.world_from_cam, expected.world_from_cam, atol=1e-12)
    assert loaded.cameras.frame_names == ("a/0000", "a/0001", "a/0002")
    assert loaded.metadata["degraded"] is True
    assert loaded.metadata["failures"][0]["message"] == "no overlap"  # type: ignore[index]
    again = tmp_path / "again"
    assert export_scene(loaded, again, manifest(3), preview).files == written.files


def test_formats_can_be_chosen_and_ply_always_stays(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    formats: list[MeshFormat] = ["glb"]
    written = export_scene(scene, tmp_path, manifest(3), formats=formats)
    names = {record.path for record in written.files}
    assert names == {"cameras.json", "mesh.glb", "mesh.ply", "point_cloud.ply"}


def test_a_failed_export_leaves_no_manifest_behind(
    scene: ReconstructedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_scene(scene, tmp_path, manifest(3))

    def refuse(*_args: object, **_options: object) -> None:
        raise ExportError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("worldloom.export._scene.save_trajectory", refuse)
        with pytest.raises(ExportError, match="disk full"):
            export_scene(scene, tmp_path, manifest(3))
    with pytest.raises(InputError, match="no finished scene"):
        load_scene(tmp_path)
    export_scene(scene, tmp_path, manifest(3))
    load_scene(tmp_path)


def test_an_empty_product_is_refused_before_anything_is_touched(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    export_scene(scene, tmp_path, manifest(3))
    for empty in (
        dataclasses.replace(scene, mesh=EMPTY),
        dataclasses.replace(scene, point_cloud=random_cloud(points=0)),
    ):
        with pytest.raises(ExportError, match="nothing to write"):
            export_scene(empty, tmp_path, manifest(3))
    with pytest.raises(ExportError, match="lists 2 views but there are 3 cameras"):
        export_scene(scene, tmp_path, manifest(2))
    load_scene(tmp_path)


def test_changed_missing_and_foreign_files_are_found(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    written = export_scene(scene, tmp_path, manifest(3))
    mesh = tmp_path / "mesh.ply"
    data = bytearray(mesh.read_bytes())
    data[-1] ^= 1
    mesh.write_bytes(data)
    with pytest.raises(InputError, match=r"mesh.ply has changed"):
        load_scene(tmp_path)
    load_scene(tmp_path, verify=False)
    mesh.write_bytes(data[:-5])
    with pytest.raises(InputError, match=r"mesh.ply: its length"):
        load_scene(tmp_path, verify=False)
    mesh.unlink()
    with pytest.raises(InputError, match=r"mesh.ply is missing"):
        load_scene(tmp_path)
    outside = dataclasses.replace(written.files[0], path="../cameras.json")
    save_manifest(dataclasses.replace(written, files=(outside,)), tmp_path)
    with pytest.raises(InputError, match="outside of"):
        load_scene(tmp_path)


def test_manifests_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished scene"):
        load_manifest(tmp_path)
    (tmp_path / "scene.json").write_text('{"views": 3}')
    with pytest.raises(InputError, match="no manifest of a scene"):
        load_manifest(tmp_path)
    (tmp_path / "scene.json").write_text("{")
    with pytest.raises(InputError, match="no manifest of a scene"):
        load_manifest(tmp_path)
    save_manifest(dataclasses.replace(manifest(1), version=99), tmp_path)
    with pytest.raises(InputError, match="version 99"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no binary little-endian PLY"),
        (b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", "no binary little-endian"),
        (
            PLY + b"element face 0\nend_header\n",
            "its elements are not those",
        ),
        (
            PLY + b"element vertex 1\nproperty half x\nend_header\n",
            r"properties of the type \['half'\]",
        ),
        (
            PLY + b"element vertex 0\nproperty float x\nend_header\n",
            "it has no y, z",
        ),
    ],
)
def test_foreign_ply_files_are_refused_with_the_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "mesh.ply"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        read_mesh_ply(path)
