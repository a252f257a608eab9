"""A reconstructed room with the textures baked for it, in every mesh format, by foreign readers."""

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
from scipy.spatial import KDTree

from tests.foreign import looked_at_by_assimp, looked_at_by_trimesh, looked_at_by_usd
from tests.interop.blenders import Blender, opened_by_blender
from tests.interop.conftest import HERE, Report
from tests.painting import expected
from worldloom import export_mesh, reconstruct_files
from worldloom.config import ReconstructionConfig
from worldloom.export import MESH_FORMATS, MeshFormat
from worldloom.scene import ReconstructedScene
from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.texture import TextureConfig

pytestmark = pytest.mark.timeout(600)
FACES, SIDE_PX = 3000, 512
Y_DOWN_TO_Y_UP = np.diag([1.0, -1.0, -1.0])
Z_UP_FROM_Y_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
WITHOUT_USD: tuple[MeshFormat, ...] = tuple(kind for kind in MESH_FORMATS if "usd" not in kind)


@dataclass(frozen=True)
class Room:
    """A reconstruction and its exports."""

    scene: ReconstructedScene
    folder: Path

    def path(self, kind: MeshFormat) -> Path:
        return self.folder / kind / f"room.{kind}"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("baked")
    truth = build_scene(SceneSpec(layout="corner", frames=10, width_px=160, height_px=120))
    write_scene(truth, folder / "input")
    config = ReconstructionConfig(
        resolution=160,
        texture=TextureConfig(max_texture_faces=FACES, texture_resolution=SIDE_PX),
    )
    scene = reconstruct_files([folder / "input"], folder / "scene", config, report=False)
    made = Room(scene, folder)
    for kind in MESH_FORMATS:
        export_mesh(scene, made.path(kind), up="-y")
    return made


def turn_of(kind: MeshFormat) -> np.ndarray:
    """Axes of a file; the world of the room is y-down, as that of its first camera."""
    return np.eye(3) if kind == "ply" else Y_DOWN_TO_Y_UP


def same_share(found: np.ndarray, wanted: np.ndarray, radius: float = 1e-4) -> float:
    """Share of the places of the scene that a reader found, in the colour that they have.

    A few places lie so near to the edge of a texel that rounding decides for its neighbour.
    """
    assert len(found) == len(wanted)
    # Places of neighbouring faces may be as near: the colour tells them apart.
    tree = KDTree(found[:, :3])
    _, near = tree.query(wanted[:, :3], k=4, distance_upper_bound=radius)
    padded = np.concatenate([found[:, 3:], np.full((1, 3), np.inf)])
    apart = np.abs(padded[near] - wanted[:, None, 3:]).max(axis=2).min(axis=1)
    return float((apart <= 2 / 255).mean())


def words_of(scene: ReconstructedScene) -> str:
    assert scene.unwrapped is not None
    return f"{len(scene.unwrapped.mesh.faces):,} faces"


def test_the_room_is_what_a_reconstruction_bakes(room: Room) -> None:
    assert room.scene.unwrapped is not None
    assert 500 < len(room.scene.unwrapped.mesh.faces) <= FACES
    assert set(room.scene.textures) == {"albedo", "normal", "roughness"}
    assert room.scene.textures["albedo"].pages[0].std() > 10, "it shows something"


@pytest.fixture(scope="module")
def module(room: Room, home: Path) -> Blender:
    command = [sys.executable, "-s", str(HERE / "blender_reader.py")]
    jobs = [{"file": str(room.path(kind))} for kind in MESH_FORMATS]
    return opened_by_blender(command, jobs, room.folder, "module", [str(home / "blender")])


@pytest.fixture(scope="module")
def debian(room: Room, home: Path) -> Blender:
    script = str(HERE / "blender_reader.py")
    command = ["blender", "-b", "--factory-startup", "--python", script]
    jobs = [{"file": str(room.path(kind))} for kind in WITHOUT_USD]
    return opened_by_blender(command, jobs, room.folder, "debian")


def check_blender(said: dict[str, Any], kind: MeshFormat, scene: ReconstructedScene) -> str:
    """Compares what Blender found, which is z-up: what comes from y-up files is turned."""
    assert "error" not in said, said.get("error")
    assert scene.unwrapped is not None
    assert said["faces"] == len(scene.unwrapped.mesh.faces)
    if kind == "ply":
        # Blender reads no pictures of a ply.
        low = scene.unwrapped.mesh.vertices_in_world.min(axis=0)
        np.testing.assert_allclose(said["low"], low, atol=1e-5)
        return f"{words_of(scene)}, in the world of the input"
    maps = 2 if kind == "obj" else 3
    pages = len(scene.textures["albedo"].pages)
    sizes = [[page.shape[1], page.shape[0]] for page in scene.textures["albedo"].pages]
    assert len(said["images"]) == maps * pages
    assert all(image["loaded"] and image["size"] in sizes for image in said["images"])
    wanted = expected(scene, Z_UP_FROM_Y_UP @ Y_DOWN_TO_Y_UP)
    assert same_share(np.array(said["samples"]), wanted) > 0.99
    return f"{words_of(scene)}, upright, {maps * pages} pictures, in place"


@pytest.mark.parametrize("kind", MESH_FORMATS)
def test_blender_of_its_makers(
    kind: MeshFormat, room: Room, module: Blender, report: Report
) -> None:
    words = check_blender(module.reports[str(room.path(kind))], kind, room.scene)
    report(kind, f"Blender {module.version}", "baked", words)


@pytest.mark.parametrize("kind", WITHOUT_USD)
def test_blender_of_debian(kind: MeshFormat, room: Room, debian: Blender, report: Report) -> None:
    words = check_blender(debian.reports[str(room.path(kind))], kind, room.scene)
    report(kind, f"Blender {debian.version} (Debian)", "baked", words)


@pytest.mark.parametrize("kind", ["gltf", "glb"])
def test_gltf_validator(kind: MeshFormat, room: Room, home: Path, report: Report) -> None:
    modules = str(home / "node_modules")
    command = ["node", str(HERE / "validate_gltf.js"), modules, str(room.path(kind))]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (said,) = json.loads(process.stdout)
    assert said["issues"]["messages"] == []
    assert room.scene.unwrapped is not None
    assert said["info"]["totalTriangleCount"] == len(room.scene.unwrapped.mesh.faces)
    report(kind, f"glTF Validator {said['version']}", "baked", "0 errors, 0 warnings, 0 hints")


@pytest.mark.parametrize("kind", ["usda", "usdc", "usdz"])
def test_openusd_validators(kind: MeshFormat, room: Room, report: Report) -> None:
    from pxr import Usd, UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    path = room.path(kind)
    found = UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    assert [(error.GetName(), error.GetMessage()) for error in found] == []
    assert same_share(looked_at_by_usd(path), expected(room.scene, turn_of(kind))) > 0.99
    words = f"0 errors of {len(validators)} validators; {words_of(room.scene)}, in place"
    report(kind, f"OpenUSD {metadata.version('usd-core')}", "baked", words)


def test_ufbx(room: Room, home: Path, report: Report) -> None:
    environment = {**os.environ, "PYTHONPATH": str(home / "readers")}
    command = [sys.executable, str(HERE / "read_fbx.py"), str(room.path("fbx"))]
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    said = json.loads(process.stdout)
    assert (said["warnings"], said["up"]) == (0, "POSITIVE_Y")
    unwrapped = room.scene.unwrapped
    assert unwrapped is not None
    corners = (unwrapped.mesh.vertices_in_world @ turn_of("fbx").T)[unwrapped.mesh.faces]
    np.testing.assert_allclose(said["corners"], corners.reshape(-1, 3), atol=1e-5)
    np.testing.assert_allclose(said["uv"], unwrapped.uv.reshape(-1, 2), atol=1e-6)
    pictures = 3 * len(room.scene.textures["albedo"].pages)
    assert said["embedded"] == pictures
    (version,) = metadata.distributions(name="ufbx", path=[str(home / "readers")])
    words = f"{words_of(room.scene)}, {pictures} embedded pictures, in place"
    report("fbx", f"ufbx {version.version}", "baked", words)


def test_assimp(room: Room, report: Report) -> None:
    found = looked_at_by_assimp(room.path("fbx"), textured=True)
    assert same_share(found, expected(room.scene, turn_of("fbx"))) > 0.99
    reader = f"Assimp {metadata.version('cmeel-assimp')} (the writer)"
    report("fbx", reader, "baked", f"{words_of(room.scene)}, in place")


@pytest.mark.parametrize("kind", ["obj", "ply", "gltf", "glb"])
def test_trimesh(kind: MeshFormat, room: Room, report: Report) -> None:
    found = looked_at_by_trimesh(room.path(kind))
    assert same_share(found, expected(room.scene, turn_of(kind))) > 0.99
    words = f"{words_of(room.scene)}, in place"
    report(kind, f"trimesh {metadata.version('trimesh')}", "baked", words)
