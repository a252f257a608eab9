"""Binary glTF 2.0 with vertex colours (Khronos, glTF 2.0 specification)."""

import json
import math
import struct
from dataclasses import dataclass, field

import numpy as np

from worldloom.errors import ExportError
from worldloom.scene import Mesh

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTEX_DATA, _INDEX_DATA = 34962, 34963
_LARGEST_BYTES = 2**32 - 1
_COARSEST = 1e-5


@dataclass
class _Buffer:
    """The binary chunk as it grows, and what its parts mean."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    accessors: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    def add(self, values: np.ndarray, component: int, shape: str, target: int) -> int:
        """Appends values and returns the index of their accessor."""
        raw = np.ascontiguousarray(values).tobytes()
        view: dict[str, object] = {
            "buffer": 0,
            "byteOffset": len(self.data),
            "byteLength": len(raw),
            "target": target,
        }
        self.data += raw + b"\0" * (-len(raw) % 4)
        self.views.append(view)
        self.accessors.append(
            {
                "bufferView": len(self.views) - 1,
                "componentType": component,
                "count": len(values),
                "type": shape,
            }
        )
        return len(self.accessors) - 1


def mesh_glb(mesh: Mesh, up_in_world: tuple[float, float, float] | None = None) -> bytes:
    """Encodes a mesh as `.glb`.

    glTF is y-up. Vertices keep the frame of the input; only where `up_in_world` is given, the root
    node turns that direction to +y. Vertex colours are linear in glTF, so sRGB is converted, in 16
    bits. The material is unlit (KHR_materials_unlit), as the colours hold the light of the scene.

    Args:
        mesh: What to write.
        up_in_world: Upward direction of the input, where it is known.

    Raises:
        ExportError: the mesh has no faces, or is above glTF's 4 GiB, or up has no direction.
    """
    if not len(mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write", format="glb")
    buffer = _Buffer()
    offset = _offset(mesh.vertices_in_world)
    positions = (mesh.vertices_in_world - offset).astype("<f4")
    attributes = {"POSITION": buffer.add(positions, _FLOAT, "VEC3", _VERTEX_DATA)}
    buffer.accessors[-1]["min"] = positions.min(axis=0).tolist()
    buffer.accessors[-1]["max"] = positions.max(axis=0).tolist()
    if mesh.normals_in_world is not None:
        normals = _unit_normals(mesh.normals_in_world)
        attributes["NORMAL"] = buffer.add(normals, _FLOAT, "VEC3", _VERTEX_DATA)
    if mesh.colors is not None:
        colors = _LINEAR_16[np.pad(mesh.colors, ((0, 0), (0, 1)), constant_values=255)]
        attributes["COLOR_0"] = buffer.add(colors, _UINT16, "VEC4", _VERTEX_DATA)
        buffer.accessors[-1]["normalized"] = True
    indices = buffer.add(mesh.faces.astype("<u4").ravel(), _UINT32, "SCALAR", _INDEX_DATA)
    return _container(_document(buffer, attributes, indices, offset, up_in_world), buffer.data)


def _document(
    buffer: _Buffer,
    attributes: dict[str, int],
    indices: int,
    offset: np.ndarray,
    up_in_world: tuple[float, float, float] | None,
) -> dict[str, object]:
    primitive = {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}
    material = {
        "name": "vertex colours",
        "doubleSided": True,
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "extensions": {"KHR_materials_unlit": {}},
    }
    return {
        "asset": {"version": "2.0", "generator": "Worldloom"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": _nodes(offset, up_in_world),
        "meshes": [{"name": "mesh", "primitives": [primitive]}],
        "materials": [material],
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }


def _nodes(
    offset: np.ndarray, up_in_world: tuple[float, float, float] | None
) -> list[dict[str, object]]:
    root: dict[str, object] = {"name": "world", "children": [1]}
    if up_in_world is not None:
        root["rotation"] = _turn_to_y(up_in_world)
    mesh: dict[str, object] = {"name": "mesh", "mesh": 0}
    if offset.any():
        mesh["translation"] = offset.tolist()
    return [root, mesh]


def _offset(vertices: np.ndarray) -> np.ndarray:
    """Returns what to move the vertices by where single precision would be too coarse for them."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    coarseness = np.spacing(np.float32(np.abs(vertices).max()))
    if coarseness <= _COARSEST * np.linalg.norm(high - low):
        return np.zeros(3)
    return np.rint((low + high) / 2)


def _unit_normals(normals: np.ndarray) -> np.ndarray:
    """Returns normals of length 1, as glTF demands; unknown ones point along +y."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = normals / np.where(length > 0, length, 1)
    return np.where(length > 0, known, [0.0, 1.0, 0.0]).astype("<f4")


def _turn_to_y(up_in_world: tuple[float, float, float]) -> list[float]:
    """Returns the shortest rotation from a direction to +y, as glTF's quaternion xyzw."""
    length = math.hypot(*up_in_world)
    if not 0 < length < math.inf:
        raise ExportError(
            f"up_in_world {up_in_world} has no direction; give a vector or none", format="glb"
        )
    x, y, z = (value / length for value in up_in_world)
    if y < -1 + 1e-9:
        return [1.0, 0.0, 0.0, 0.0]
    norm = math.sqrt(2 + 2 * y)
    return [-z / norm, 0.0, x / norm, norm / 2]


def _container(document: dict[str, object], data: bytearray) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(data)
    if total > _LARGEST_BYTES:
        raise ExportError(
            f"the mesh takes {total / 2**30:.1f} GiB, above the 4 GiB of a .glb; simplify it or "
            "export ply",
            format="glb",
        )
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(data), b"BIN\0"),
            data,
        ]
    )


def _linear_16() -> np.ndarray:
    """Returns linear light in 16 bits of each 8-bit sRGB value (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.rint(linear * 65535).astype("<u2")


_LINEAR_16 = _linear_16()
