"""glTF for the viewer: unlit, as colours hold the light of the scene, and with the sides wanted."""

import io
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import CameraTrajectory
from worldloom.export import export_mesh
from worldloom.scene import (
    Mesh,
    PointCloud,
    ReconstructedScene,
    Texture,
    TextureKind,
    UnwrappedMesh,
)

_UNLIT = "KHR_materials_unlit"


def mesh_glb(mesh: Mesh, cameras: CameraTrajectory, origin: Float64[np.ndarray, "3"]) -> bytes:
    """Encodes a mesh with its vertex colours, relative to an origin, in the axes of the world.

    Args:
        mesh: At least one face.
        cameras: Of its scene.
        origin: Origin of the viewer, world.
    """
    return _encoded(ReconstructedScene(_moved(mesh, origin), _no_points(), cameras))


def textured_glb(
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    cameras: CameraTrajectory,
    origin: Float64[np.ndarray, "3"],
) -> bytes:
    """Encodes a textured mesh, relative to an origin, in the axes of the world.

    Args:
        unwrapped: At least one face.
        albedo: A page for each page of the mesh.
        cameras: Of its scene.
        origin: Origin of the viewer, world.
    """
    moved = UnwrappedMesh(_moved(unwrapped.mesh, origin), unwrapped.uv, unwrapped.page)
    textures: dict[TextureKind, Texture] = {"albedo": albedo}
    return _encoded(ReconstructedScene(moved.mesh, _no_points(), cameras, moved, textures))


def unlit_glb(glb: bytes, *, both_sides: bool) -> bytes:
    """Returns a GLB whose materials are unlit and show one side of a face or both."""
    document, binary = _chunks(glb)
    for material in document.get("materials", []):
        material["doubleSided"] = both_sides
        material.setdefault("extensions", {})[_UNLIT] = {}
    document["extensionsUsed"] = sorted({*document.get("extensionsUsed", []), _UNLIT})
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", b"glTF", 2, total)
    first = struct.pack("<I4s", len(text), b"JSON") + text
    return head + first + struct.pack("<I4s", len(binary), b"BIN\0") + binary


def _encoded(scene: ReconstructedScene) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = export_mesh(scene, Path(folder) / "mesh.glb", axes="world")
        return unlit_glb(path.read_bytes(), both_sides=False)


def _moved(mesh: Mesh, origin: Float64[np.ndarray, "3"]) -> Mesh:
    return Mesh(mesh.vertices_in_world - origin, mesh.faces, mesh.colors, mesh.normals_in_world)


def _no_points() -> PointCloud:
    return PointCloud(
        np.zeros((0, 3)),
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.uint8),
        np.zeros(0, np.float32),
        np.zeros(0, np.int32),
    )


def _chunks(glb: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the JSON and the binary chunk (glTF 2.0 specification, section 4.4)."""
    stream = io.BytesIO(glb)
    stream.seek(12)
    (size, _kind) = struct.unpack("<I4s", stream.read(8))
    document = json.loads(stream.read(size))
    (size, _kind) = struct.unpack("<I4s", stream.read(8))
    return document, stream.read(size)
