"""Runs inside Blender: opens files and reports what came of them, and draws pictures.

    blender -b --factory-startup --python tests/interop/blender_reader.py -- JOBS.json REPORT.json
    python tests/interop/blender_reader.py -- JOBS.json REPORT.json    (Blender as the module bpy)

JOBS.json is a list of {"file": ..., "picture": path or null}; REPORT.json gets a list of reports.
"""

import json
import math
import sys
import traceback
from pathlib import Path

import bpy
import mathutils
import numpy

# The glTF add-on of Debian's Blender 3.4 uses a name that Debian's numpy no longer has.
if not hasattr(numpy, "bool"):
    numpy.bool = bool

READERS = {
    ".obj": lambda path: bpy.ops.wm.obj_import(filepath=path),
    ".ply": lambda path: (
        bpy.ops.wm.ply_import(filepath=path)
        if bpy.app.version >= (4, 0, 0)
        else bpy.ops.import_mesh.ply(filepath=path)
    ),
    ".gltf": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".fbx": lambda path: bpy.ops.import_scene.fbx(filepath=path),
    ".usda": lambda path: bpy.ops.wm.usd_import(filepath=path),
    ".usdc": lambda path: bpy.ops.wm.usd_import(filepath=path),
    ".usdz": lambda path: bpy.ops.wm.usd_import(filepath=path),
}
WEIGHTS = ((0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6))


def base_color_image(material):
    """The image that a material takes its base colour from, over any nodes in between."""
    if material is None or not material.use_nodes:
        return None
    waiting = [
        node
        for node in material.node_tree.nodes
        if node.type in {"BSDF_PRINCIPLED", "EMISSION", "BACKGROUND"}
    ]
    sockets = [
        node.inputs["Base Color" if node.type == "BSDF_PRINCIPLED" else "Color"] for node in waiting
    ]
    while sockets:
        socket = sockets.pop()
        for link in socket.links:
            if link.from_node.type == "TEX_IMAGE":
                return link.from_node.image
            sockets += [item for item in link.from_node.inputs if item.is_linked]
    return None


def sampled(image, pixels, u, v):
    width, height = image.size
    x = min(max(int(u * width), 0), width - 1)
    y = min(max(int(v * height), 0), height - 1)
    start = (y * width + x) * image.channels
    return [round(value, 4) for value in pixels[start : start + 3]]


def samples_of(item, pixels_of):
    """Places on the faces and the colours of the picture there."""
    found = []
    mesh = item.data
    layer = mesh.uv_layers.active
    if layer is None:
        return found
    for polygon in mesh.polygons:
        material = mesh.materials[polygon.material_index] if mesh.materials else None
        image = base_color_image(material)
        if image is None or image.source == "TILED" or not image.has_data:
            continue
        if image.name not in pixels_of:
            pixels_of[image.name] = list(image.pixels)
        corners = [item.matrix_world @ mesh.vertices[k].co for k in polygon.vertices]
        uv = [layer.data[k].uv for k in polygon.loop_indices]
        for weights in WEIGHTS:
            place = sum(
                (c * w for c, w in zip(corners, weights, strict=True)), mathutils.Vector((0, 0, 0))
            )
            u, v = (sum(t[k] * w for t, w in zip(uv, weights, strict=True)) for k in (0, 1))
            found.append([*place, *sampled(image, pixels_of[image.name], u, v)])
    return found


def colors_of(item):
    """Places of corners and their colours, sRGB."""
    mesh = item.data
    layer = mesh.color_attributes.active_color if mesh.color_attributes else None
    if layer is None:
        return []
    found = []
    for loop in mesh.loops:
        entry = layer.data[loop.index if layer.domain == "CORNER" else loop.vertex_index]
        place = item.matrix_world @ mesh.vertices[loop.vertex_index].co
        found.append([*place, *list(entry.color_srgb)[:3]])
    return found


def report_of(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    READERS[Path(path).suffix](path)
    items = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    bpy.context.view_layer.update()
    pixels_of = {}
    corners = [item.matrix_world @ vertex.co for item in items for vertex in item.data.vertices]
    materials = {slot for item in items for slot in item.data.materials if slot is not None}
    images = [image for image in bpy.data.images if image.type == "IMAGE"]
    for image in images:
        # Blender reads an image when it is first asked for its pixels.
        _ = image.pixels[:1] if image.source != "TILED" else None
    normals = [
        [
            *(item.matrix_world @ polygon.center),
            *(item.matrix_world.to_3x3() @ polygon.normal).normalized(),
        ]
        for item in items
        for polygon in item.data.polygons
    ]
    return {
        "file": path,
        "vertices": len(corners),
        "faces": sum(len(item.data.polygons) for item in items),
        "low": [min(c[k] for c in corners) for k in range(3)],
        "high": [max(c[k] for c in corners) for k in range(3)],
        "materials": sorted(material.name for material in materials),
        "images": [
            {
                "name": image.name,
                "source": image.source,
                "size": list(image.size),
                "loaded": image.has_data or (image.source == "TILED" and len(image.tiles) > 0),
            }
            for image in sorted(images, key=lambda image: image.name)
        ],
        "textured": sorted({m.name for m in materials if base_color_image(m) is not None}),
        "normals": normals,
        "samples": [row for item in items for row in samples_of(item, pixels_of)],
        "colors": [row for item in items for row in colors_of(item)],
        "cameras": sorted(item.name for item in bpy.data.objects if item.type == "CAMERA"),
    }


def draw(path):
    """Renders the scene from the south east, a little above, as Blender's user would see it."""
    scene = bpy.context.scene
    for item in scene.objects:
        if item.type in {"CAMERA", "LIGHT"}:
            item.hide_render = True
    camera = bpy.data.objects.new("eye", bpy.data.cameras.new("eye"))
    camera.location = (3.2, -5.6, 3.2)
    direction = mathutils.Vector((0.4, 0, 1.5)) - camera.location
    camera.rotation_euler = direction.to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(camera)
    scene.camera = camera
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 3.0
    sun.rotation_euler = (math.radians(40), 0, math.radians(30))
    scene.collection.objects.link(sun)
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.6, 0.7, 0.8, 1)
    scene.world = world
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 32
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 360, 360
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)


def main():
    jobs_path, report_path = sys.argv[sys.argv.index("--") + 1 :]
    reports = []
    for job in json.loads(Path(jobs_path).read_text()):
        try:
            reports.append(report_of(job["file"]))
            if job.get("picture"):
                draw(job["picture"])
        except Exception:
            # One file that Blender cannot open must not hide what it says of the others.
            reports.append({"file": job["file"], "error": traceback.format_exc()})
    report = {"version": bpy.app.version_string, "reports": reports}
    Path(report_path).write_text(json.dumps(report))


main()
