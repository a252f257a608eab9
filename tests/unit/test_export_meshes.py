"""Meshes in every format, as readers find them that did not write them."""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from tests.foreign import looked_at_by_assimp, looked_at_by_trimesh, looked_at_by_usd
from tests.painting import assert_same, expected
from tests.signpost import signpost, world_from_east_north_up
from worldloom import export_mesh
from worldloom.errors import ConfigError, ExportError
from worldloom.export import MESH_FORMATS, Axis, MeshFormat
from worldloom.scene import Mesh, ReconstructedScene, Texture

Y_UP_FROM_EAST_NORTH_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
AXES: tuple[Axis, ...] = ("x", "y", "z", "-x", "-y", "-z")
LOOKS = ("one page", "two pages", "colours")
# trimesh reads no colours of glTF beside a material, and one texture of a ply; for these there are
# other tests here, and Blender in `make interop`.
UNSEEN = {("gltf", "colours"), ("glb", "colours"), ("ply", "two pages")}
SEEN = [(kind, look) for kind in MESH_FORMATS for look in LOOKS if (kind, look) not in UNSEEN]


def scene_of(look: str, up: Axis) -> ReconstructedScene:
    return signpost(up, textured=look != "colours", pages=2 if look == "two pages" else 1)


def looked_at(path: Path, look: str) -> np.ndarray:
    if path.suffix.startswith(".usd"):
        return looked_at_by_usd(path)
    if path.suffix == ".fbx":
        return looked_at_by_assimp(path, textured=look != "colours")
    return looked_at_by_trimesh(path)


@pytest.mark.parametrize("up", ["z", "-y"])
@pytest.mark.parametrize(("kind", "look"), SEEN)
def test_surface_and_pictures_are_where_they_were(
    kind: MeshFormat, look: str, up: Axis, tmp_path: Path
) -> None:
    scene = scene_of(look, up)
    path = export_mesh(scene, tmp_path / f"signpost.{kind}")
    kept = kind == "ply" or (kind in ("usda", "usdc") and up == "z")
    turn = Y_UP_FROM_EAST_NORTH_UP @ world_from_east_north_up(up).T
    assert_same(looked_at(path, look), expected(scene, np.eye(3) if kept else turn))


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("kind", MESH_FORMATS)
def test_every_world_stands_upright(kind: MeshFormat, up: Axis, tmp_path: Path) -> None:
    """The post stands from 0 to 3 along the axis that readers of the format take for up."""
    path = export_mesh(signpost(up), tmp_path / f"signpost.{kind}")
    places = looked_at(path, "one page")[:, :3]
    standing: Axis = "y"
    if kind == "ply":
        standing = up
    elif kind in ("usda", "usdc") and up == "z":
        standing = "z"
    along = places @ world_from_east_north_up(standing)[:, 2]
    assert (along.min(), along.max()) == pytest.approx((0, 3), abs=1e-6)


@pytest.mark.parametrize(("axes", "standing"), [("y-up", "y"), ("z-up", "z"), ("world", "-y")])
def test_axes_can_be_asked_for(axes: Any, standing: Axis, tmp_path: Path) -> None:
    for kind in ("ply", "obj", "glb"):
        path = export_mesh(signpost("-y"), tmp_path / f"{axes}.{kind}", axes=axes)
        along = looked_at(path, "one page")[:, :3] @ world_from_east_north_up(standing)[:, 2]
        assert (along.min(), along.max()) == pytest.approx((0, 3), abs=1e-6)


def test_an_up_that_is_named_wins_over_the_cameras(tmp_path: Path) -> None:
    path = export_mesh(signpost("z"), tmp_path / "a.obj", up="x", include_textures=False)
    places = looked_at_by_trimesh(path)[:, :3]
    assert places[:, 1].max() == pytest.approx(1.5, abs=1e-6)
    with pytest.raises(ConfigError, match="up is 'north'; give one of auto, x"):
        export_mesh(signpost(), tmp_path / "b.obj", up="north")
    with pytest.raises(ConfigError, match="axes is"):
        export_mesh(signpost(), tmp_path / "b.obj", axes="left")
    with pytest.raises(ConfigError, match=r"unit_m is 0\.0"):
        export_mesh(signpost(), tmp_path / "b.obj", unit_m=0.0)


@pytest.mark.parametrize("kind", ["gltf", "glb", "fbx", "usda", "usdz"])
def test_millimetres_stay_far_from_the_origin(kind: MeshFormat, tmp_path: Path) -> None:
    far = (5_000_000.25, -300_000.125, 12_000.5)
    scene = signpost("z", textured=False, far=far)
    path = export_mesh(scene, tmp_path / f"far.{kind}", axes="world")
    if kind in ("gltf", "glb"):
        found = trimesh.load(path, process=False).dump()[0].vertices
    else:
        found = looked_at(path, "colours")[:, :3]
    # The readers of gltf and usd apply the translation in doubles, Assimp in single precision,
    # whose step is half a metre there.
    low, high = scene.mesh.vertices_in_world.min(axis=0), scene.mesh.vertices_in_world.max(axis=0)
    atol = 1e-3 if kind != "fbx" else 0.26
    np.testing.assert_allclose(found.min(axis=0), low, rtol=0, atol=atol)
    np.testing.assert_allclose(found.max(axis=0), high, rtol=0, atol=atol)


def test_text_keeps_its_digits_far_from_the_origin(tmp_path: Path) -> None:
    scene = signpost("y", textured=False, far=(5_000_000.25, -300_000.125, 12_000.5))
    path = export_mesh(scene, tmp_path / "far.obj")
    lines = [line.split() for line in path.read_text().splitlines()]
    found = np.array([line[1:4] for line in lines if line[0] == "v"], float)
    np.testing.assert_allclose(found, scene.mesh.vertices_in_world, rtol=0, atol=1e-7)


def glb_parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert json_length % 4 == 0
    document = json.loads(data[20 : 20 + json_length])
    size, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"BIN\0"
    assert size % 4 == 0
    assert size == document["buffers"][0]["byteLength"]
    return document, data[28 + json_length :]


def accessor(document: dict[str, Any], data: bytes, name: str) -> np.ndarray:
    entry = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"][name]]
    kind, columns = {5126: "<f4", 5123: "<u2"}[entry["componentType"]], int(entry["type"][-1])
    start = document["bufferViews"][entry["bufferView"]]["byteOffset"]
    return np.frombuffer(data, kind, entry["count"] * columns, start).reshape(-1, columns)


def test_glb_colours_are_linear_light_and_unlit(tmp_path: Path) -> None:
    colors = np.array([[0, 128, 255], [10, 188, 54], [1, 2, 3]], np.uint8)
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32), colors)
    scene = dataclasses.replace(signpost(textured=False), mesh=mesh)
    document, data = glb_parts(export_mesh(scene, tmp_path / "a.glb"))
    values = accessor(document, data, "COLOR_0") / 65535
    assert values[0].tolist() == pytest.approx([0, 0.21586, 1, 1], abs=1e-4)
    assert values[1, 1] == pytest.approx(0.50289, abs=1e-4)
    assert values[2, :3] == pytest.approx(np.array([1, 2, 3]) / 255 / 12.92, abs=1e-5)
    assert document["materials"][0]["extensions"] == {"KHR_materials_unlit": {}}


def test_glb_materials_are_those_of_pbr(tmp_path: Path) -> None:
    document, _ = glb_parts(export_mesh(signpost(pages=2), tmp_path / "a.glb"))
    assert [material["name"] for material in document["materials"]] == ["page_1001", "page_1002"]
    for material in document["materials"]:
        surface = material["pbrMetallicRoughness"]
        names = [
            document["images"][document["textures"][reference["index"]]["source"]]["name"]
            for reference in (
                surface["baseColorTexture"],
                surface["metallicRoughnessTexture"],
                material["normalTexture"],
            )
        ]
        tile = material["name"].removeprefix("page_")
        assert names == [f"{kind}.{tile}" for kind in ("albedo", "metallic_roughness", "normal")]
        assert surface["metallicFactor"] == 0
        assert "extensions" not in material


def test_glb_packs_roughness_into_green(tmp_path: Path) -> None:
    scene = signpost()
    path = export_mesh(scene, tmp_path / "a.gltf")
    image = trimesh.load(path, process=False).dump()[0].visual.material.metallicRoughnessTexture
    packed, roughness = np.asarray(image), scene.textures["roughness"].pages[0][..., 0]
    np.testing.assert_array_equal(packed[..., 1], roughness)
    assert not packed[..., 2].any()


def test_glb_scales_the_unit_to_metres(tmp_path: Path) -> None:
    path = export_mesh(signpost("y"), tmp_path / "a.glb", unit_m=0.01)
    assert looked_at_by_trimesh(path)[:, 1].max() == pytest.approx(0.03)


def test_tangents_are_those_of_the_surface(tmp_path: Path) -> None:
    """On a bent strip u runs around the bend and v along it, turned by 30 degrees and mirrored."""
    around, along = np.meshgrid(np.linspace(0, 1.5, 40), np.linspace(0, 1, 5), indexing="ij")
    points = np.stack([np.sin(around), along, np.cos(around)], axis=-1).reshape(-1, 3)
    normals = (points * [1, 0, 1]).astype(np.float32)
    index = np.arange(200).reshape(40, 5)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1)
    faces = quads.reshape(-1, 4)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3).astype(np.int32)
    flat = np.stack([around, along], axis=-1).reshape(-1, 2)
    angle = np.radians(30)
    for mirror in (1, -1):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        uv = (flat @ turn.T) * (mirror, 1)
        scale = np.ptp(uv)
        uv = ((uv - uv.min(axis=0)) / scale).astype(np.float32)
        scene = signpost()
        assert scene.unwrapped is not None
        unwrapped = dataclasses.replace(
            scene.unwrapped,
            mesh=Mesh(points, faces, None, normals),
            uv=uv[faces],
            page=np.zeros(len(faces), np.int32),
        )
        scene = dataclasses.replace(scene, unwrapped=unwrapped)
        document, data = glb_parts(export_mesh(scene, tmp_path / "a.glb", axes="world"))
        found, normal = accessor(document, data, "TANGENT"), accessor(document, data, "NORMAL")
        place = accessor(document, data, "POSITION")
        # The direction in which u grows fastest: around the bend, turned towards along.
        bend = np.stack([place[:, 2], np.zeros(len(place)), -place[:, 0]], axis=-1)
        u = mirror * (np.cos(angle) * bend + np.sin(angle) * np.array([0, 1, 0]))
        v = -np.sin(angle) * bend + np.cos(angle) * np.array([0, 1, 0])
        np.testing.assert_allclose(found[:, :3], u, atol=0.03)
        np.testing.assert_allclose(np.linalg.norm(found[:, :3], axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found[:, 3:] * np.cross(normal, found[:, :3]), v, atol=0.03)


def test_ply_says_which_picture_lies_on_a_face(tmp_path: Path) -> None:
    data = export_mesh(signpost(pages=2), tmp_path / "a.ply").read_bytes()
    header, _, body = data.partition(b"end_header\n")
    assert b"comment TextureFile a_albedo.1001.png\ncomment TextureFile a_albedo.1002.png" in header
    faces = np.frombuffer(body[-24 * 17 :], [("n", "u1"), ("c", "<i4", 3), ("page", "<i4")])
    assert (faces["n"] == 3).all()
    assert faces["page"].tolist() == [0] * 12 + [1] * 12


def test_obj_names_its_maps_without_blanks(tmp_path: Path) -> None:
    path = export_mesh(signpost(), tmp_path / "my sign.obj")
    assert "mtllib my_sign.mtl" in path.read_text()
    library = (tmp_path / "my_sign.mtl").read_text().splitlines()
    named = dict(line.split(" ", 1) for line in library if ".png" in line)
    assert named == {
        "map_Kd": "my_sign_albedo.1001.png",
        "norm": "my_sign_normal.1001.png",
        "map_Pr": "my_sign_roughness.1001.png",
    }
    assert all((tmp_path / name).is_file() for name in named.values())


def test_usd_states_axis_unit_and_cameras(tmp_path: Path) -> None:
    from pxr import Gf, Usd, UsdGeom

    for up, kind, axis in (("z", "usda", "Z"), ("-y", "usdc", "Y"), ("z", "usdz", "Y")):
        scene = signpost(up)
        path = export_mesh(scene, tmp_path / f"{kind}.{kind}", unit_m=0.5)
        stage = Usd.Stage.Open(str(path))
        assert UsdGeom.GetStageUpAxis(stage) == axis
        assert UsdGeom.GetStageMetersPerUnit(stage) == 0.5
        assert stage.GetDefaultPrim().GetPath() == "/World"
        prim = UsdGeom.Camera(stage.GetPrimAtPath("/World/cameras/arc"))
        world = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetDefaultPrim())
        file_from_world = np.array(world)[:3, :3].T
        for k, camera in enumerate(scene.cameras):
            view = prim.GetCamera(k)
            frustum = view.frustum
            # A place in the world falls on the same pixel through the camera of the stage.
            point = np.array(camera.centre_in_world) + camera.world_from_cam[:3, :3] @ [
                0.3,
                -0.2,
                4,
            ]
            (pixel,), _ = camera.project(point[None])
            matrix = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
            clip = matrix.Transform(Gf.Vec3d(*(file_from_world @ point).tolist()))
            size = np.array([camera.intrinsics.width_px, camera.intrinsics.height_px])
            found = (np.array([clip[0], -clip[1]]) + 1) / 2 * size
            np.testing.assert_allclose(found, pixel, atol=1e-3)


def test_textures_can_be_left_out_or_made_smaller(tmp_path: Path) -> None:
    scene = signpost()
    export_mesh(scene, tmp_path / "plain.obj", include_textures=False)
    assert [path.name for path in tmp_path.iterdir()] == ["plain.obj"]
    path = export_mesh(scene, tmp_path / "small.gltf", texture_resolution=64)
    image = trimesh.load(path, process=False).dump()[0].visual.material.baseColorTexture
    assert image.size == (64, 48)
    for wrong, reason in (
        (512, "baked at 256 px; 512 px need them to be baked anew"),
        (4, "too small"),
    ):
        with pytest.raises(ExportError, match=reason):
            export_mesh(scene, tmp_path / "a.glb", texture_resolution=wrong)
    with pytest.raises(ExportError, match="holds no textures"):
        export_mesh(signpost(textured=False), tmp_path / "a.glb", texture_resolution=64)
    with pytest.raises(ExportError, match="leave out one of the two"):
        export_mesh(scene, tmp_path / "a.glb", include_textures=False, texture_resolution=64)
    assert not (tmp_path / "a.glb").exists()


def test_smaller_textures_hold_the_mean_of_light_and_unit_normals(tmp_path: Path) -> None:
    scene = signpost()
    board = np.indices((192, 256)).sum(axis=0) % 2
    albedo = np.repeat((board * 255).astype(np.uint8)[..., None], 3, axis=2)
    # Two normals, 45 degrees to either side of straight up.
    tilt = np.where(board[..., None] > 0, [218, 128, 218], [38, 128, 218]).astype(np.uint8)
    covered = scene.textures["albedo"].covered
    textures = {
        **scene.textures,
        "albedo": Texture("albedo", (albedo,), covered),
        "normal": Texture("normal", (tilt,), covered),
    }
    scene = dataclasses.replace(scene, textures=textures)
    path = export_mesh(scene, tmp_path / "a.gltf", texture_resolution=128)
    material = trimesh.load(path, process=False).dump()[0].visual.material
    # Half the light of white is 188 of 255 in sRGB, not 128.
    assert np.unique(np.asarray(material.baseColorTexture)) == pytest.approx([188], abs=1)
    normal = np.asarray(material.normalTexture).reshape(-1, 3)
    assert np.abs(normal.astype(int) - [128, 128, 255]).max() <= 1


def test_meshes_that_no_format_can_hold_are_refused(tmp_path: Path) -> None:
    scene = signpost()
    assert scene.unwrapped is not None
    plain = dataclasses.replace(scene, unwrapped=None, textures={})
    holed = scene.mesh.vertices_in_world.copy()
    holed[3, 1] = np.nan
    beyond = scene.mesh.faces.copy()
    beyond[0, 0] = 48
    short = dataclasses.replace(
        scene.unwrapped, uv=scene.unwrapped.uv[:-1], page=scene.unwrapped.page[:-1]
    )
    paged = dataclasses.replace(scene.unwrapped, page=scene.unwrapped.page + 1)
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    cases = [
        (dataclasses.replace(plain, mesh=empty), "no faces; there is nothing to write"),
        (
            dataclasses.replace(
                plain, mesh=dataclasses.replace(scene.mesh, vertices_in_world=holed)
            ),
            "not finite",
        ),
        (
            dataclasses.replace(plain, mesh=dataclasses.replace(scene.mesh, faces=beyond)),
            "vertices that are not there",
        ),
        (dataclasses.replace(scene, unwrapped=short), "24 faces, but texture coordinates of 23"),
        (dataclasses.replace(scene, unwrapped=paged), "faces lie on page 1, but there are 1"),
    ]
    for kind in MESH_FORMATS:
        for case, reason in cases:
            with pytest.raises(ExportError, match=reason) as caught:
                export_mesh(case, tmp_path / f"a.{kind}")
            assert caught.value.ids["format"] == kind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", MESH_FORMATS)
def test_one_face_without_colours_and_normals_is_a_mesh(kind: MeshFormat, tmp_path: Path) -> None:
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]], np.int32))
    scene = dataclasses.replace(signpost(textured=False), mesh=mesh)
    path = export_mesh(scene, tmp_path / "one", kind, axes="world")
    assert path == tmp_path / f"one.{kind}"
    assert path.stat().st_size > 50
    if kind in ("obj", "ply", "gltf", "glb"):
        loaded: Any = trimesh.load(path, process=False, force="mesh")
        np.testing.assert_allclose(loaded.vertices, np.eye(3), atol=1e-7)


def test_formats_and_suffixes_have_to_agree(tmp_path: Path) -> None:
    scene = signpost(textured=False)
    assert export_mesh(scene, tmp_path / "a.GLB").name == "a.GLB"
    with pytest.raises(ExportError, match=r"no mesh format has the suffix '.stl'; use one of obj"):
        export_mesh(scene, tmp_path / "a.stl")
    with pytest.raises(ExportError, match=r"does not go with the name a\.ply"):
        export_mesh(scene, tmp_path / "a.ply", "obj")
    with pytest.raises(ExportError, match="'stl' is no mesh format"):
        export_mesh(scene, tmp_path / "a", "stl")


@pytest.mark.parametrize("kind", MESH_FORMATS)
def test_a_file_that_cannot_be_written_leaves_nothing(kind: MeshFormat, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    with pytest.raises(ExportError, match="cannot write"):
        export_mesh(signpost(), taken / f"a.{kind}")
    assert list(tmp_path.iterdir()) == [taken]


def test_the_turn_of_gltf_is_the_one_that_it_states(tmp_path: Path) -> None:
    """What stands below the root of the file is the world of the input, so it can be had back."""
    scene = signpost("-y", textured=False)
    document, data = glb_parts(export_mesh(scene, tmp_path / "a.glb"))
    np.testing.assert_allclose(
        accessor(document, data, "POSITION"), scene.mesh.vertices_in_world, atol=1e-7
    )
    turn = Rotation.from_quat(document["nodes"][0]["rotation"])
    np.testing.assert_allclose(turn.apply([0, -1, 0]), [0, 1, 0], atol=1e-12)
