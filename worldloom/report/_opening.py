"""How to open what a scene holds, by format."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Guide:
    """One format: what it is good for, and how programs open it."""

    suffix: str
    what: str
    steps: tuple[tuple[str, str], ...]
    """Program, and what to do there."""


_MESH_LAB = ("MeshLab", "File > Import Mesh, or drop the file on the window.")
_CLOUD_COMPARE = (
    "CloudCompare",
    "File > Open. Accept the shift that it offers where coordinates are large.",
)
_GLTF_STEPS = (
    ("Browser", "Drop it on any glTF viewer, for example the one of Khronos or of three.js."),
    ("Blender", "File > Import > glTF 2.0. Colours: viewport shading > Material Preview."),
    ("Unreal", "Content Drawer > Import; Interchange reads glTF since 5.1."),
    ("Unity", "Add the package com.unity.cloud.gltfast, then drop the file into Assets."),
    ("Omniverse", "File > Import in USD Composer; it is converted to USD."),
)
_USD_STEPS = (
    ("Omniverse", "File > Open in USD Composer."),
    ("Blender", "File > Import > Universal Scene Description."),
    ("Unreal", "Enable the plug-in USD Importer, then Window > Virtual Production > USD Stage."),
    ("usdview", "usdview FILE, from OpenUSD."),
)
_GUIDES = (
    Guide(".glb", "Mesh for browsers and game engines, in one file.", _GLTF_STEPS),
    Guide(".gltf", "The same with its data beside it; keep the files together.", _GLTF_STEPS),
    Guide(
        ".ply",
        "Mesh or points in full precision, with normals and colours.",
        (
            ("Blender", "File > Import > Stanford PLY. Colours: an Attribute node named Col."),
            _MESH_LAB,
            _CLOUD_COMPARE,
            ("Python", 'trimesh.load("mesh.ply"), or open3d.io.read_point_cloud.'),
            ("SuperSplat", "For splats.ply, which is neither: drop it on the editor."),
        ),
    ),
    Guide(
        ".obj",
        "Mesh as text, for programs that read nothing else.",
        (
            ("Blender", "File > Import > Wavefront. Choose the up axis that is named above."),
            _MESH_LAB,
            ("Unity, Unreal", "Drop it into the project; vertex colours are left out there."),
        ),
    ),
    Guide(
        ".fbx",
        "Mesh for game engines and animation.",
        (
            ("Unreal", "Content Drawer > Import."),
            ("Unity", "Drop it into Assets."),
            ("Blender", "File > Import > FBX."),
        ),
    ),
    Guide(
        ".spz",
        "Splats, compressed.",
        (("SuperSplat", "Drop it on the editor."), ("Python", "worldloom.export.read_spz(path)")),
    ),
    Guide(".usda", "Scene as USD text.", _USD_STEPS),
    Guide(".usdc", "Scene as binary USD.", _USD_STEPS),
    Guide(
        ".usdz",
        "Scene in one file, textures included.",
        (*_USD_STEPS, ("iPhone, iPad", "Tap it: Quick Look shows it in the room.")),
    ),
    Guide(
        ".las",
        "Points for surveyors and GIS.",
        (_CLOUD_COMPARE, ("QGIS", "Layer > Add Point Cloud Layer."), ("PDAL", "pdal info FILE")),
    ),
    Guide(
        ".laz",
        "The same, compressed.",
        (_CLOUD_COMPARE, ("QGIS", "Layer > Add Point Cloud Layer."), ("PDAL", "pdal info FILE")),
    ),
    Guide(
        ".pcd",
        "Points for the Point Cloud Library and robots.",
        (("PCL", "pcl_viewer FILE"), _CLOUD_COMPARE),
    ),
    Guide(".xyz", "Points as text, a line each.", (_CLOUD_COMPARE, _MESH_LAB)),
    Guide(".e57", "Points for laser scanning software.", (_CLOUD_COMPARE,)),
    Guide(
        ".json",
        "Cameras: cam_from_world and intrinsics of each view; and scene.json, the manifest.",
        (
            ("Python", 'worldloom.load_trajectory("cameras.json")'),
            ("Other formats", "worldloom export DIR --cameras --format transforms --out FILE"),
        ),
    ),
)


def guides_for(paths: Iterable[str]) -> tuple[Guide, ...]:
    """Returns the guides to the formats of some files, in a fixed order."""
    suffixes = {PurePosixPath(path).suffix.lower() for path in paths}
    return tuple(guide for guide in _GUIDES if guide.suffix in suffixes)
