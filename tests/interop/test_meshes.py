"""Every mesh export of one small scene, opened by readers that are not the writers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.foreign import looked_at_by_assimp, looked_at_by_trimesh, looked_at_by_usd
from tests.interop.blenders import Blender, opened_by_blender
from tests.interop.conftest import HERE, Report
from tests.painting import assert_same, expected
from tests.signpost import signpost, world_from_east_north_up
from worldloom import export_mesh
from worldloom.export import MESH_FORMATS, Axis, MeshFormat
from worldloom.scene import Mesh, ReconstructedScene

# Drawing all pictures takes minutes; without them it is seconds.
pytestmark = pytest.mark.timeout(600)
WORLDS: tuple[Axis, ...] = ("z", "-y")
LOOKS = ("one page", "two pages", "colours")
Y_UP_FROM_EAST_NORTH_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
CASES = [(kind, look, up) for kind in MESH_FORMATS for look in LOOKS for up in WORLDS]


@dataclass(frozen=True)
class Exports:
    """One file a format, look and world."""

    folder: Path

    def path(self, kind: MeshFormat, look: str, up: Axis) -> Path:
        return self.folder / up / look.replace(" ", "-") / kind / f"signpost.{kind}"


def scene_of(look: str, up: Axis) -> ReconstructedScene:
    return signpost(up, textured=look != "colours", pages=2 if look == "two pages" else 1)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    made = Exports(tmp_path_factory.mktemp("meshes"))
    for kind, look, up in CASES:
        export_mesh(scene_of(look, up), made.path(kind, look, up))
    return made


def file_from_world(kind: MeshFormat, up: Axis) -> np.ndarray:
    if kind == "ply" or (kind in ("usda", "usdc") and up == "z"):
        return np.eye(3)
    return Y_UP_FROM_EAST_NORTH_UP @ world_from_east_north_up(up).T


def opened(
    command: list[str],
    exports: Exports,
    name: str,
    pictures: Path | None,
    paths: list[str] | None = None,
) -> Blender:
    """Lets a Blender open all files, and draw them where it is asked to."""
    cases = CASES if name == "module" else [case for case in CASES if "usd" not in case[0]]
    jobs = [{"file": str(exports.path(*case))} for case in cases]
    if pictures is not None:
        for job, (kind, look, up) in zip(jobs, cases, strict=True):
            drawn = f"{name}_{kind}_{look.replace(' ', '-')}_{up}.png"
            job["picture"] = str(pictures.resolve() / drawn)
    return opened_by_blender(command, jobs, exports.folder, name, paths)


@pytest.fixture(scope="module")
def module(exports: Exports, home: Path, pytestconfig: pytest.Config) -> Blender:
    """Blender as the makers build it, as a Python module of its own."""
    command = [sys.executable, "-s", str(HERE / "blender_reader.py")]
    pictures: Path | None = pytestconfig.getoption("--pictures")
    return opened(command, exports, "module", pictures, [str(home / "blender")])


@pytest.fixture(scope="module")
def debian(exports: Exports, home: Path, pytestconfig: pytest.Config) -> Blender:
    """Blender as Debian packages it, which leaves out USD."""
    script = str(HERE / "blender_reader.py")
    command = ["blender", "-b", "--factory-startup", "--python", script]
    return opened(command, exports, "debian", pytestconfig.getoption("--pictures"))


def check_blender(said: dict[str, Any], kind: MeshFormat, look: str, up: Axis) -> str:
    """Compares what Blender found, and puts it into words.

    Blender is z-up; what stands in the world of the input, seen from the south, has to be there
    again, whatever the axes of the file.
    """
    assert "error" not in said, said.get("error")
    scene = scene_of(look, up)
    kept = kind == "ply"
    turn = np.eye(3) if kept else world_from_east_north_up(up).T
    mesh = scene.mesh
    assert (said["faces"], said["vertices"]) == (24, 48)
    points = (mesh.vertices_in_world @ turn.T)[mesh.faces]
    flat = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert_same(np.array(said["normals"]), np.concatenate([points.mean(axis=1), flat], axis=1))
    standing = points.reshape(-1, 3) @ (world_from_east_north_up(up)[:, 2] if kept else [0, 0, 1])
    assert (standing.min(), standing.max()) == pytest.approx((0, 3), abs=1e-6)
    words = ["24 faces", "in the world of the input" if kept else "upright", "normals out"]
    if look == "colours" or kept:
        colours = expected(signpost(up, textured=False), turn)
        assert_same(np.array(said["colors"]), colours)
        words.append("vertex colours")
    if look != "colours" and not kept:
        pages = 2 if look == "two pages" else 1
        maps = 2 if kind == "obj" else 3
        assert len(said["textured"]) == len(said["materials"]) == pages
        assert len(said["images"]) == pages * maps
        assert all(image["loaded"] and image["size"] == [256, 192] for image in said["images"])
        assert_same(np.array(said["samples"]), expected(scene, turn))
        plural = "s" if pages > 1 else ""
        words.append(f"{pages} material{plural}, {pages * maps} pictures, in place")
    if kind.startswith("usd"):
        assert said["cameras"] == ["arc"]
        words.append("camera")
    return ", ".join(words)


@pytest.mark.parametrize(("kind", "look", "up"), CASES)
def test_blender_of_its_makers(
    kind: MeshFormat, look: str, up: Axis, exports: Exports, module: Blender, report: Report
) -> None:
    words = check_blender(module.reports[str(exports.path(kind, look, up))], kind, look, up)
    report(kind, f"Blender {module.version}", look, words)


@pytest.mark.parametrize(("kind", "look", "up"), [c for c in CASES if "usd" not in c[0]])
def test_blender_of_debian(
    kind: MeshFormat, look: str, up: Axis, exports: Exports, debian: Blender, report: Report
) -> None:
    words = check_blender(debian.reports[str(exports.path(kind, look, up))], kind, look, up)
    report(kind, f"Blender {debian.version} (Debian)", look, words)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["gltf", "glb"])
def test_gltf_validator(
    kind: MeshFormat, look: str, exports: Exports, home: Path, report: Report
) -> None:
    files = [str(exports.path(kind, look, up)) for up in WORLDS]
    command = ["node", str(HERE / "validate_gltf.js"), str(home / "node_modules"), *files]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    for said in json.loads(process.stdout):
        issues = said["issues"]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
        # The pictures of the signpost are not powers of two; that is for the scene to choose.
        codes = {message["code"] for message in issues["messages"]}
        assert codes <= {"IMAGE_NPOT_DIMENSIONS"}
        assert said["info"]["totalTriangleCount"] == 24
        words = f"{issues['numErrors']} errors, {issues['numWarnings']} warnings"
        report(kind, f"glTF Validator {said['version']}", look, words)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["usda", "usdc", "usdz"])
def test_openusd_validators(kind: MeshFormat, look: str, exports: Exports, report: Report) -> None:
    from pxr import Usd, UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    context = UsdValidation.ValidationContext(validators)
    assert len(validators) >= 25
    for up in WORLDS:
        path = exports.path(kind, look, up)
        found = context.Validate(Usd.Stage.Open(str(path)))
        assert [(error.GetName(), error.GetMessage()) for error in found] == []
        assert_same(looked_at_by_usd(path), expected(scene_of(look, up), file_from_world(kind, up)))
    version = metadata.version("usd-core")
    words = f"0 errors of {len(validators)} validators; surface and colours the same"
    report(kind, f"OpenUSD {version}", look, words)


@pytest.mark.parametrize("look", LOOKS)
def test_ufbx(look: str, exports: Exports, home: Path, report: Report) -> None:
    """In a process of its own: the binding frees what its objects still point to."""
    for up in WORLDS:
        command = [sys.executable, str(HERE / "read_fbx.py"), str(exports.path("fbx", look, up))]
        environment = {**os.environ, "PYTHONPATH": str(home / "readers")}
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        said = json.loads(process.stdout)
        assert (said["version"], said["warnings"], said["up"]) == (7500, 0, "POSITIVE_Y")
        assert said["unit_m"] == pytest.approx(1.0)
        assert sum(said["faces"]) == 24
        scene = scene_of(look, up)
        turn = file_from_world("fbx", up)
        corners = (scene.mesh.vertices_in_world @ turn.T)[scene.mesh.faces].reshape(-1, 3)
        np.testing.assert_allclose(said["corners"], corners, atol=1e-6)
        if look == "colours":
            colors = scene.mesh.colors[scene.mesh.faces].reshape(-1, 3) / 255
            np.testing.assert_allclose(said["colors"], colors, atol=1e-6)
            words = "24 faces, vertex colours, +y up, metres"
        else:
            pages = 2 if look == "two pages" else 1
            v = scene.unwrapped.uv.reshape(-1, 2)
            np.testing.assert_allclose(said["uv"], v, atol=1e-6)
            assert len(said["materials"]) == pages
            for number, maps in enumerate(said["materials"]):
                for slot, kind in (("diffuse", "albedo"), ("normal", "normal")):
                    assert maps[slot]["file"] == f"signpost_{kind}.{1001 + number}.png"
                    assert maps[slot]["png"]
            words = f"24 faces, {pages} material{'s' * (pages > 1)}, {3 * pages} embedded pictures"
            words += ", +y up, metres"
            assert said["embedded"] == 3 * pages
    report("fbx", f"ufbx {metadata_of(home, 'ufbx')}", look, words)


def test_ufbx_finds_millimetres_far_from_the_origin(home: Path, tmp_path: Path) -> None:
    scene = signpost("z", textured=False, far=(5_000_000.25, -300_000.125, 12_000.5))
    path = export_mesh(scene, tmp_path / "far.fbx", axes="world")
    environment = {**os.environ, "PYTHONPATH": str(home / "readers")}
    process = subprocess.run(
        [sys.executable, str(HERE / "read_fbx.py"), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    corners = scene.mesh.vertices_in_world[scene.mesh.faces].reshape(-1, 3)
    found = np.array(json.loads(process.stdout)["corners"])
    np.testing.assert_allclose(found, corners, rtol=0, atol=1e-6)


@pytest.mark.parametrize("look", LOOKS)
def test_assimp_reads_what_it_wrote(look: str, exports: Exports, report: Report) -> None:
    for up in WORLDS:
        found = looked_at_by_assimp(exports.path("fbx", look, up), textured=look != "colours")
        assert_same(found, expected(scene_of(look, up), file_from_world("fbx", up)))
    reader = f"Assimp {metadata.version('cmeel-assimp')} (the writer)"
    report("fbx", reader, look, "surface and colours the same")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["obj", "ply", "gltf", "glb"])
def test_trimesh(kind: MeshFormat, look: str, exports: Exports, report: Report) -> None:
    for up in WORLDS:
        path, turn = exports.path(kind, look, up), file_from_world(kind, up)
        wanted = expected(scene_of(look, up), turn)
        if kind in ("gltf", "glb") and look == "colours":
            assert_same(corners_by_trimesh(path), wanted[:, :3])
            words = "surface the same; it reads no colours beside a material"
        elif (kind, look) == ("ply", "two pages"):
            assert_same(looked_at_by_trimesh(path)[:, :3], wanted[:, :3])
            words = "surface the same; it reads one picture"
        else:
            assert_same(looked_at_by_trimesh(path), wanted)
            words = "surface and colours the same"
    report(kind, f"trimesh {metadata.version('trimesh')}", look, words)


def corners_by_trimesh(path: Path) -> np.ndarray:
    import trimesh

    loaded: Any = trimesh.load(path, process=False)
    return np.concatenate([item.vertices[item.faces].reshape(-1, 3) for item in loaded.dump()])


def test_tangents_are_those_of_blender(home: Path, tmp_path: Path) -> None:
    """Blender computes tangents by Mikkelsen's own code; ours on a bent strip are the same."""
    around, along = np.meshgrid(np.linspace(0, 1.5, 12), np.linspace(0, 1, 4), indexing="ij")
    points = np.stack([np.sin(around), along + 0.2 * around, np.cos(around)], -1).reshape(-1, 3)
    index = np.arange(48).reshape(12, 4)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1)
    faces = quads.reshape(-1, 4)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3).astype(np.int32)
    normals = (points * [1, 0, 1]).astype(np.float32)
    uv = np.stack([around / 1.6 + 0.1 * along**2, along * 0.9], -1).reshape(-1, 2)
    scene = signpost("z")
    unwrapped = type(scene.unwrapped)(
        Mesh(points, faces, None, normals),
        uv.astype(np.float32)[faces],
        np.zeros(len(faces), np.int32),
    )
    scene = ReconstructedScene(
        scene.mesh, scene.point_cloud, scene.cameras, unwrapped, scene.textures
    )
    path = export_mesh(scene, tmp_path / "strip.glb")
    said = tmp_path / "tangents.json"
    command = [sys.executable, "-s", str(HERE / "blender_tangents.py"), "--", str(path), str(said)]
    environment = {**os.environ, "PYTHONPATH": str(home / "blender")}
    subprocess.run(command, env=environment, capture_output=True, timeout=100, check=True)
    rows = np.array(json.loads(said.read_text()))
    ours, theirs = rows[:, :4], rows[:, 4:]
    np.testing.assert_array_equal(ours[:, 3], theirs[:, 3])
    np.testing.assert_allclose(ours[:, :3], theirs[:, :3], atol=2e-3)


def metadata_of(home: Path, package: str) -> str:
    """Version of a package in the folder of readers."""
    (found,) = metadata.distributions(name=package, path=[str(home / "readers")])
    return found.version
