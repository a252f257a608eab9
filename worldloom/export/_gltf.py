"""glTF 2.0, as one binary file or as JSON with files beside (Khronos, glTF 2.0 specification)."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from scipy.spatial.transform import Rotation

from worldloom.errors import ExportError
from worldloom.export._files import write_pieces
from worldloom.export._gltf_buffer import (
    FLOAT,
    INDEX_DATA,
    ROWS,
    UINT16,
    UINT32,
    VERTEX_DATA,
    Buffer,
)
from worldloom.export._model import Model, Part
from worldloom.export._pages import Page, linear_light
from worldloom.export._tangents import tangents

_LARGEST_BYTES = 2**32 - 1
_CLAMP, _LINEAR, _LINEAR_MIPMAP_LINEAR = 33071, 9729, 9987


@dataclass
class _Writer:
    """A document as it grows; images go into the buffer, or beside the file at `path`."""

    path: Path
    beside: bool
    buffer: Buffer = field(default_factory=Buffer)
    images: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    textures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    materials: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def add_image(self, data: bytes, name: str) -> dict[str, int]:
        """Adds a PNG and returns the reference of its texture."""
        image: dict[str, Any] = {"name": name, "mimeType": "image/png"}
        if self.beside:
            file = f"{self.path.stem}_{name}.png"
            write_pieces(self.path.with_name(file), data)
            image["uri"] = quote(file)
        else:
            image["bufferView"] = self.buffer.add_image(data)
        self.images.append(image)
        self.textures.append({"sampler": 0, "source": len(self.images) - 1})
        return {"index": len(self.textures) - 1}


def write_glb(model: Model, path: Path) -> None:
    """Writes one binary file, +y up, metres, textures embedded.

    Raises:
        ExportError: it would be above glTF's 4 GiB.
    """
    writer = _Writer(path, beside=False)
    text = _encoded(_document(model, writer))
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + writer.buffer.length
    require_length(total)
    write_pieces(path, container(text, writer.buffer, total))


def write_gltf(model: Model, path: Path) -> None:
    """Writes JSON, and beside it a `.bin` and a PNG a texture.

    Raises:
        ExportError: the binary part would be above 4 GiB.
    """
    writer = _Writer(path, beside=True)
    document = _document(model, writer)
    require_length(writer.buffer.length)
    binary = f"{path.stem}.bin"
    document["buffers"][0]["uri"] = quote(binary)
    write_pieces(path.with_name(binary), writer.buffer.pieces())
    write_pieces(path, _encoded(document))


def container(text: bytes, buffer: Buffer, total: int) -> Iterator[bytes]:
    """Yields a binary file of `total` bytes: its JSON, padded to four, and its buffer."""
    yield struct.pack("<4sII", b"glTF", 2, total)
    yield struct.pack("<I4s", len(text), b"JSON") + text
    yield struct.pack("<I4s", buffer.length, b"BIN\0")
    yield from buffer.pieces()


def _document(model: Model, writer: _Writer) -> dict[str, Any]:
    primitives = [_primitive(model, part, writer) for part in model.parts]
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Worldloom"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": _nodes(model),
        "meshes": [{"name": "mesh", "primitives": primitives}],
        "materials": writer.materials,
        "buffers": [{"byteLength": writer.buffer.length}],
        "bufferViews": writer.buffer.views,
        "accessors": writer.buffer.accessors,
    }
    if any("extensions" in material for material in writer.materials):
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    if writer.images:
        document["images"] = writer.images
        document["textures"] = writer.textures
        document["samplers"] = [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP,
                "wrapT": _CLAMP,
            }
        ]
    return document


def _primitive(model: Model, part: Part, writer: _Writer) -> dict[str, Any]:
    mesh, buffer, count = model.mesh, writer.buffer, len(part.vertex)

    def positions(first: int, last: int) -> np.ndarray:
        points = mesh.vertices_in_world[part.vertex[first:last]] - model.origin_in_world
        return points.astype("<f4")

    low, high = _bounds(positions(i, min(i + ROWS, count)) for i in range(0, count, ROWS))
    attributes = {
        "POSITION": buffer.add_rows(count, FLOAT, "VEC3", VERTEX_DATA, positions, min=low, max=high)
    }
    if (normals := mesh.normals_in_world) is not None:
        attributes["NORMAL"] = buffer.add_rows(
            count, FLOAT, "VEC3", VERTEX_DATA, lambda i, j: _unit(normals[part.vertex[i:j]])
        )
        if part.uv is not None and part.page is not None and "normal" in part.page.images:
            # With them, readers agree on what the normal map means.
            frames = tangents(
                mesh.vertices_in_world[part.vertex],
                _unit(normals[part.vertex]),
                part.uv,
                part.faces,
            )
            attributes["TANGENT"] = buffer.add_rows(
                count, FLOAT, "VEC4", VERTEX_DATA, lambda i, j: frames[i:j]
            )
    if (uv := part.uv) is not None:
        # glTF counts v from the top of the image.
        attributes["TEXCOORD_0"] = buffer.add_rows(
            count,
            FLOAT,
            "VEC2",
            VERTEX_DATA,
            lambda i, j: (uv[i:j] * (1, -1) + (0, 1)).astype("<f4"),
        )
    if (colors := model.colors_of(part)) is not None:
        attributes["COLOR_0"] = buffer.add_rows(
            count, UINT16, "VEC4", VERTEX_DATA, lambda i, j: _rgba(colors[i:j]), normalized=True
        )
    indices = buffer.add_rows(
        3 * len(part.faces),
        UINT32,
        "SCALAR",
        INDEX_DATA,
        lambda i, j: part.faces.reshape(-1)[i:j].astype("<u4"),
    )
    writer.materials.append(_material(part.page, colors is not None, writer))
    return {
        "attributes": attributes,
        "indices": indices,
        "material": len(writer.materials) - 1,
        "mode": 4,
    }


def _material(page: Page | None, colored: bool, writer: _Writer) -> dict[str, Any]:
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    material: dict[str, Any] = {
        "name": "surface" if page is None else f"page_{page.tile}",
        "doubleSided": True,
        "pbrMetallicRoughness": surface,
    }
    if page is None:
        if colored:
            # The colours hold the light of the scene; it would be lit twice.
            material["extensions"] = {"KHR_materials_unlit": {}}
        return material
    if "albedo" in page.images:
        surface["baseColorTexture"] = writer.add_image(page.png("albedo"), f"albedo.{page.tile}")
    if "roughness" in page.images:
        surface["metallicRoughnessTexture"] = writer.add_image(
            page.metallic_roughness_png(), f"metallic_roughness.{page.tile}"
        )
    if "normal" in page.images:
        material["normalTexture"] = writer.add_image(page.png("normal"), f"normal.{page.tile}")
    return material


def _nodes(model: Model) -> list[dict[str, Any]]:
    """A root that turns the world to +y and metres, and the mesh in the world of the input."""
    place = model.placement
    root: dict[str, Any] = {"name": "world", "children": [1]}
    if place.is_turned:
        root["rotation"] = Rotation.from_matrix(place.turn).as_quat().tolist()
    if place.unit_m != 1:
        root["scale"] = [place.unit_m] * 3
    mesh: dict[str, Any] = {"name": "mesh", "mesh": 0}
    if model.origin_in_world.any():
        mesh["translation"] = model.origin_in_world.tolist()
    return [root, mesh]


def _bounds(pieces: Iterator[np.ndarray]) -> tuple[list[float], list[float]]:
    """Returns the corners of the box around rows that come in pieces."""
    boxes = np.array([(piece.min(axis=0), piece.max(axis=0)) for piece in pieces])
    return boxes[:, 0].min(axis=0).tolist(), boxes[:, 1].max(axis=0).tolist()


def _unit(normals: np.ndarray) -> np.ndarray:
    """Returns normals of length 1, as glTF demands; unknown ones point along +y."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = normals / np.where(length > 0, length, 1)
    return np.where(length > 0, known, [0.0, 1.0, 0.0]).astype("<f4")


def _rgba(colors: np.ndarray) -> np.ndarray:
    """Returns linear light in 16 bits, as glTF demands, opaque."""
    linear = np.rint(linear_light(colors) * 65535).astype("<u2")
    return np.pad(linear, ((0, 0), (0, 1)), constant_values=65535)


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def require_length(
    size_bytes: int, what: str = "the mesh takes", remedy: str = "simplify it or export ply"
) -> None:
    """Refuses a file that would be too long.

    Raises:
        ExportError: it is above 4 GiB.
    """
    if size_bytes > _LARGEST_BYTES:
        raise ExportError(
            f"{what} {size_bytes / 2**30:.1f} GiB, above the 4 GiB of glTF; {remedy}",
            format="glb",
        )
