"""Files of a scene: read by others as they were written, whole or not at all."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open3d
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signpost import signpost
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.errors import ExportError, InputError
from worldloom.export import (
    InputRecord,
    Manifest,
    MeshFormat,
    ViewRecord,
    export_scene,
    load_manifest,
    load_scene,
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


def test_empty_products_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no faces; there is nothing to write"):
        write_mesh(EMPTY, tmp_path / "mesh.ply")
    with pytest.raises(ExportError, match="no points; there is nothing to write"):
        write_cloud(random_cloud(points=0), tmp_path / "cloud.ply")
    assert list(tmp_path.iterdir()) == []


def test_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    write_atomically(path, b"first")

    def pieces() -> Iterator[bytes]:
        yield b"second"
        raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match=r"file.bin: No space left on device; free space"):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]
    write_atomically(path, iter([b"a", b"", b"bc"]))
    assert path.read_bytes() == b"abc"
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


def test_a_textured_scene_reads_back_as_written(tmp_path: Path) -> None:
    scene = signpost(pages=2)
    assert scene.unwrapped is not None
    covered = np.random.default_rng(0).random(scene.textures["albedo"].covered[0].shape) < 0.5
    albedo = dataclasses.replace(scene.textures["albedo"], covered=(covered, ~covered))
    scene = dataclasses.replace(scene, textures={**scene.textures, "albedo": albedo})
    written = export_scene(scene, tmp_path, manifest(5), formats=["ply"])
    kinds = {record.path: record.kind for record in written.files}
    assert kinds["textured.glb"] == "textured_mesh"
    assert kinds["unwrapped.npz"] == "unwrapped"
    assert sum(kind == "texture" for kind in kinds.values()) == 6
    assert written.counts["unwrapped_faces"] == 24
    loaded = load_scene(tmp_path)
    assert loaded.unwrapped is not None
    same(loaded.unwrapped.mesh, scene.unwrapped.mesh)
    np.testing.assert_array_equal(loaded.unwrapped.uv, scene.unwrapped.uv)
    np.testing.assert_array_equal(loaded.unwrapped.page, scene.unwrapped.page)
    assert loaded.textures.keys() == scene.textures.keys()
    for kind, texture in scene.textures.items():
        found = loaded.textures[kind]
        assert found.kind == kind
        for name in ("pages", "covered"):
            for one, other in zip(getattr(found, name), getattr(texture, name), strict=True):
                np.testing.assert_array_equal(one, other)
    again = export_scene(loaded, tmp_path / "again", manifest(5), formats=["ply"])
    for one, other in zip(again.files, written.files, strict=True):
        # The rotations of these cameras are rounded once more.
        assert one == other or one.path == "cameras.json"


def test_a_scene_without_textures_forgets_those_of_an_earlier_one(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    export_scene(signpost(), tmp_path, manifest(5), formats=["ply"])
    export_scene(scene, tmp_path, manifest(3), formats=["ply"])
    loaded = load_scene(tmp_path)
    assert loaded.unwrapped is None
    assert loaded.textures == {}


def test_damaged_textures_are_found(tmp_path: Path) -> None:
    scene = signpost()
    export_scene(scene, tmp_path, manifest(5), formats=["ply"])
    page, arrays = tmp_path / "texture_normal.1001.png", tmp_path / "unwrapped.npz"
    kept = page.read_bytes()
    page.write_bytes(kept[:40])
    with pytest.raises(InputError, match=r"texture_normal.1001.png has changed"):
        load_scene(tmp_path)
    with pytest.raises(InputError, match=r"texture_normal.1001.png is missing or no image"):
        load_scene(tmp_path, verify=False)
    page.write_bytes(kept)
    arrays.write_bytes(arrays.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cannot read .*unwrapped.npz"):
        load_scene(tmp_path, verify=False)
    with pytest.raises(ExportError, match="textures but no unwrapped mesh"):
        export_scene(dataclasses.replace(scene, unwrapped=None), tmp_path, manifest(5))


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
