"""FBX 7.5, binary, written by Assimp from a scene that is handed to it in memory."""

import ctypes
from ctypes import POINTER, byref, c_double, c_float, c_int32, c_uint, c_void_p, cast, pointer
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from worldloom.errors import ExportError
from worldloom.export import _assimp as ai
from worldloom.export._model import Model, Part
from worldloom.export._pages import Page
from worldloom.scene import TextureKind

_CENTIMETRES = 100.0
_MATT = 0.01
_SEMANTIC: dict[TextureKind, int] = {
    "albedo": ai.DIFFUSE,
    "normal": ai.NORMALS,
    "roughness": ai.SHININESS,
}
_FACE = np.dtype({"names": ["count", "corners"], "formats": ["<u4", "<u8"], "offsets": [0, 8]})


def write_fbx(model: Model, path: Path) -> None:
    """Writes one file with its textures embedded: +y up, the unit as `UnitScaleFactor`.

    FBX knows Phong and Lambert, no roughness: the roughness map is connected to
    `ShininessExponent`, as Blender writes and reads it. Vertex colours stay sRGB.

    Raises:
        ExportError: Assimp is missing or refuses the scene.
    """
    library = ai.library()
    scene = _Scene(path.stem)
    assembled = scene.assemble(model)
    code = library.aiExportScene(byref(assembled), b"fbx", str(path).encode(), 0)
    if code != 0:
        reason = (library.aiGetErrorString() or b"no reason given").decode(errors="replace")
        raise ExportError(
            f"Assimp cannot write {path.name} ({reason}); export glb instead",
            path=str(path),
            format="fbx",
        )


def _moved(offset: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


@dataclass
class _Scene:
    """Builds Assimp's structures and keeps the memory that they point to."""

    stem: str
    textures: list[ai.Texture] = field(default_factory=list[ai.Texture])
    kept: list[Any] = field(default_factory=list[Any])

    def assemble(self, model: Model) -> ai.Scene:
        meshes = [self._mesh(model, part, index) for index, part in enumerate(model.parts)]
        materials = [self._material(part.page) for part in model.parts]
        scene = ai.Scene()
        scene.root = pointer(self._nodes(model, len(meshes)))
        scene.num_meshes, scene.meshes = len(meshes), self._pointers(meshes, ai.Mesh)
        scene.num_materials = len(materials)
        scene.materials = self._pointers(materials, ai.Material)
        scene.num_textures = len(self.textures)
        if self.textures:
            scene.textures = self._pointers(self.textures, ai.Texture)
        scene.metadata = pointer(self._settings(model.placement.unit_m))
        return scene

    def _mesh(self, model: Model, part: Part, index: int) -> ai.Mesh:
        mesh = ai.Mesh()
        mesh.primitive_types = ai.TRIANGLES
        mesh.num_vertices, mesh.num_faces = len(part.vertex), len(part.faces)
        mesh.material_index = index
        mesh.name = ai.string("mesh" if part.page is None else f"page_{part.page.tile}")
        points = model.mesh.vertices_in_world[part.vertex] - model.origin_in_world
        mesh.vertices = self._floats(points)
        if model.mesh.normals_in_world is not None:
            mesh.normals = self._floats(model.mesh.normals_in_world[part.vertex])
        if (colors := model.colors_of(part)) is not None:
            opaque = np.pad(colors, ((0, 0), (0, 1)), constant_values=255)
            mesh.colors[0] = self._floats(opaque / np.float32(255))
        if part.uv is not None:
            mesh.texture_coords[0] = self._floats(np.pad(part.uv, ((0, 0), (0, 1))))
            mesh.num_uv_components[0] = 2
        corners = self._array(part.faces.astype("<u4"))
        faces = np.zeros(len(part.faces), _FACE)
        faces["count"] = 3
        faces["corners"] = corners.ctypes.data + 12 * np.arange(len(faces), dtype=np.uint64)
        mesh.faces = self._array(faces).ctypes.data
        return mesh

    def _material(self, page: Page | None) -> ai.Material:
        properties = [
            self._text("?mat.name", "surface" if page is None else f"page_{page.tile}"),
            self._numbers("$clr.diffuse", (1.0, 1.0, 1.0)),
            self._numbers("$clr.specular", (0.0, 0.0, 0.0)),
            # The template of a Phong material says 1, which Blender takes for metal.
            self._numbers("$mat.reflectivity", (0.0,)),
            # Anything above 0 makes Assimp write Phong, which has a place for the roughness map.
            self._numbers("$mat.shininess", (_MATT,)),
        ]
        for kind, semantic in _SEMANTIC.items():
            if page is not None and kind in page.images:
                name = self._embedded(page, kind)
                properties.append(self._text("$tex.file", name, semantic))
        material = ai.Material()
        material.num_properties = material.num_allocated = len(properties)
        material.properties = self._pointers(properties, ai.MaterialProperty)
        return material

    def _embedded(self, page: Page, kind: TextureKind) -> str:
        """Adds the image of a page and returns the name by which materials refer to it."""
        data = page.png(kind)
        # Assimp puts the hint behind the name.
        name = ai.string(f"{self.stem}_{kind}.{page.tile}")
        self.textures.append(ai.Texture(len(data), 0, b"png", data, name))
        self.kept.append(data)
        return f"*{len(self.textures) - 1}"

    def _text(self, key: str, text: str, semantic: int = 0) -> ai.MaterialProperty:
        # A string property is its length in four bytes, the bytes, and a zero.
        data = len(text.encode()).to_bytes(4, "little") + text.encode() + b"\0"
        return self._property(key, data, ai.STRING_DATA, semantic)

    def _numbers(self, key: str, values: tuple[float, ...]) -> ai.MaterialProperty:
        return self._property(key, np.array(values, "<f4").tobytes(), ai.FLOAT_DATA, 0)

    def _property(self, key: str, data: bytes, kind: int, semantic: int) -> ai.MaterialProperty:
        self.kept.append(data)
        return ai.MaterialProperty(ai.string(key), semantic, 0, len(data), kind, data)

    def _nodes(self, model: Model, meshes: int) -> ai.Node:
        """The root that a file has anyway, below it the turn to +y, below it the meshes."""
        numbers = (c_uint * meshes)(*range(meshes))
        self.kept.append(numbers)
        # Assimp's matrices are single precision: what one loses of the origin, another adds.
        coarse = model.origin_in_world.astype(np.float32).astype(np.float64)
        leaf = self._node("mesh", _moved(model.origin_in_world - coarse), [])
        leaf.num_meshes, leaf.meshes = meshes, cast(numbers, POINTER(c_uint))
        if coarse.any():
            leaf = self._node("origin", _moved(coarse), [leaf])
        turned = np.eye(4)
        turned[:3, :3] = model.placement.turn
        return self._node("root", np.eye(4), [self._node("world", turned, [leaf])])

    def _node(self, name: str, matrix: np.ndarray, children: list[ai.Node]) -> ai.Node:
        node = ai.Node()
        node.name = ai.string(name)
        node.transformation = (c_float * 16)(*matrix.ravel().tolist())
        node.num_children = len(children)
        for child in children:
            child.parent = pointer(node)
        if children:
            node.children = self._pointers(children, ai.Node)
        self.kept.append(node)
        return node

    def _settings(self, unit_m: float) -> ai.Metadata:
        """The settings that differ from what Assimp writes by itself (+y up, +z to the front)."""
        scale = c_double(unit_m * _CENTIMETRES)
        up = c_int32(1)
        self.kept += [scale, up]
        entries = {
            "UpAxis": ai.MetadataEntry(ai.INT_ENTRY, cast(byref(up), c_void_p)),
            "UnitScaleFactor": ai.MetadataEntry(ai.DOUBLE_ENTRY, cast(byref(scale), c_void_p)),
            "OriginalUnitScaleFactor": ai.MetadataEntry(
                ai.DOUBLE_ENTRY, cast(byref(scale), c_void_p)
            ),
        }
        keys = (ai.String * len(entries))(*(ai.string(key) for key in entries))
        values = (ai.MetadataEntry * len(entries))(*entries.values())
        self.kept += [keys, values]
        return ai.Metadata(
            len(entries),
            cast(keys, POINTER(ai.String)),
            cast(values, POINTER(ai.MetadataEntry)),
        )

    def _floats(self, values: np.ndarray) -> int:
        return self._array(values.astype("<f4")).ctypes.data

    def _array(self, values: np.ndarray) -> np.ndarray:
        values = np.ascontiguousarray(values)
        self.kept.append(values)
        return values

    def _pointers(self, items: list[Any], kind: Any) -> Any:
        """Returns a C array of pointers to structures, and keeps both."""
        array = (POINTER(kind) * len(items))(*(pointer(item) for item in items))
        self.kept += [*items, array]
        return ctypes.cast(array, POINTER(POINTER(kind)))
