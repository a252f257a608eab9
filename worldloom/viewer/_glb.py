"""glTF for the viewer: unlit, as colours hold the light of the scene, and with the sides wanted."""

import io
import json
import struct
from typing import Any, cast

import numpy as np
from PIL import Image

from worldloom.scene import Mesh, Texture, UnwrappedMesh

_UNLIT = "KHR_materials_unlit"


def textured_glb(unwrapped: UnwrappedMesh, albedo: Texture) -> bytes:
    """Encodes a textured mesh, a primitive and a material for each page.

    Args:
        unwrapped: At least one face.
        albedo: A page for each page of the mesh.
    """
    import trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    scene = trimesh.Scene()
    mesh = unwrapped.mesh
    for page, image in enumerate(albedo.pages):
        chosen = unwrapped.page == page
        if not chosen.any():
            continue
        corners = mesh.vertices_in_world[mesh.faces[chosen]].reshape(-1, 3)
        uv = unwrapped.uv[chosen].reshape(-1, 2)
        material = PBRMaterial(baseColorTexture=Image.fromarray(image), roughnessFactor=1.0)
        faces = np.arange(len(corners)).reshape(-1, 3)
        visual = TextureVisuals(uv=uv, material=material)
        scene.add_geometry(trimesh.Trimesh(corners, faces, visual=visual, process=False))
    glb = cast("bytes", scene.export(file_type="glb"))
    return unlit_glb(glb, both_sides=False)


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


def plain_mesh(mesh: Mesh, origin: np.ndarray) -> Mesh:
    """Returns a mesh moved to the origin of the viewer, without normals."""
    return Mesh(mesh.vertices_in_world - origin, mesh.faces, mesh.colors)


def _chunks(glb: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the JSON and the binary chunk (glTF 2.0 specification, section 4.4)."""
    stream = io.BytesIO(glb)
    stream.seek(12)
    (size, _kind) = struct.unpack("<I4s", stream.read(8))
    document = json.loads(stream.read(size))
    (size, _kind) = struct.unpack("<I4s", stream.read(8))
    return document, stream.read(size)
