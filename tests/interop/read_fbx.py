"""Prints what ufbx finds in a file, as JSON: `python read_fbx.py FILE`."""

import json
import sys
from typing import Any

import ufbx


def corners(meshes: list[Any], name: str, width: int, world: bool = False) -> list[list[float]]:
    """Values at the corners of all faces of all meshes, in their order."""
    rows = []
    for mesh in meshes:
        attribute = getattr(mesh, name)
        values, indices = attribute.values, attribute.indices
        nodes = list(mesh.instances)
        matrix = nodes[0].geometry_to_world if world else None
        for k in range(len(indices)):
            value = list(values[indices[k]])
            if matrix is not None:
                value = [
                    sum(column[i] * part for column, part in zip(matrix, (*value, 1), strict=True))
                    for i in range(3)
                ]
            rows.append(value[:width])
    return rows


def map_of(texture: Any) -> dict[str, Any]:
    content = bytes(texture.content)
    return {"file": texture.relative_filename, "png": content.startswith(b"\x89PNG")}


def main(path: str) -> None:
    scene = ufbx.load_file(path)
    # The binding frees what no object of Python holds, while others still point to it.
    meshes, materials, videos = list(scene.meshes), list(scene.materials), list(scene.videos)
    textures = list(scene.textures)
    textured = len(textures) > 0
    maps = [
        {
            "diffuse": map_of(material.fbx.diffuse_color.texture),
            "normal": map_of(material.fbx.normal_map.texture),
        }
        for material in (materials if textured else [])
    ]
    found = {
        "version": scene.metadata.version,
        "warnings": len(scene.metadata.warnings),
        "up": scene.settings.axes.up.name,
        "unit_m": scene.settings.unit_meters,
        "faces": [mesh.num_faces for mesh in meshes],
        "corners": corners(meshes, "vertex_position", 3, world=True),
        "uv": corners(meshes, "vertex_uv", 2) if textured else [],
        "colors": [] if textured else corners(meshes, "vertex_color", 3),
        "materials": maps,
        "embedded": sum(len(bytes(video.content)) > 0 for video in videos),
    }
    print(json.dumps(found))


main(sys.argv[1])
