"""Runs inside Blender: the tangents of a glb beside those that Blender computes, as JSON.

python tests/interop/blender_tangents.py -- FILE.glb REPORT.json    (Blender as the module bpy)
"""

import json
import struct
import sys
from pathlib import Path

import bpy


def accessor(path, name):
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    entry = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"][name]]
    start = 28 + length + document["bufferViews"][entry["bufferView"]]["byteOffset"]
    width = int(entry["type"][-1])
    values = struct.unpack_from(f"<{entry['count'] * width}f", data, start)
    return [values[k : k + width] for k in range(0, len(values), width)]


def main():
    path, report_path = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=path)
    (item,) = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    mesh = item.data
    mesh.calc_tangents()
    # Blender keeps the vertices of the file in their order, turned from y-up to z-up.
    rows = []
    written = accessor(path, "TANGENT")
    for loop in mesh.loops:
        x, y, z, sign = written[loop.vertex_index]
        rows.append([x, -z, y, sign, *loop.tangent, loop.bitangent_sign])
    Path(report_path).write_text(json.dumps(rows))


main()
