"""Wavefront OBJ with its material library: textures, or colours at the vertices.

The PBR statements `map_Pr` and `norm` are those that Exocortex proposed and most readers took up.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldloom.export._files import write_pieces
from worldloom.export._model import Model, Part
from worldloom.export._pages import Page
from worldloom.export._text import Corners, Numbers, decimals, lines
from worldloom.scene import TextureKind

_ROWS = 100_000
_STATEMENT: dict[TextureKind, str] = {
    "albedo": "map_Kd",
    "normal": "norm",
    "roughness": "map_Pr",
}


def write_obj(model: Model, path: Path) -> None:
    """Writes text: `v x y z [r g b]`, `vt`, `vn`, `f`; beside it an `.mtl` and a PNG a texture.

    OBJ names no axes and no unit; its readers take +y for up. The colours behind the position
    (sRGB, 0 to 1) are an extension that MeshLab, Blender and others read.
    """
    if model.skin is not None:
        write_pieces(path.with_name(_library(path)), _materials(model, path))
    write_pieces(path, _text(model, path))


def _library(path: Path) -> str:
    return f"{_plain(path.stem)}.mtl"


def _plain(name: str) -> str:
    """Returns a name without blanks, at which readers of OBJ and MTL end a file name."""
    return re.sub(r"\s", "_", name)


def _text(model: Model, path: Path) -> Iterator[bytes]:
    mesh, place = model.mesh, model.placement
    yield b"# Worldloom; vertex colours are sRGB\n"
    if place.is_turned:
        rows = " / ".join(" ".join(f"{value:g}" for value in row) for row in place.turn)
        yield f"# turned from the world of the input by the rotation {rows}\n".encode("ascii")
    if model.skin is not None:
        yield f"mtllib {_library(path)}\n".encode()
    yield from _vertices(model)
    if (normals := mesh.normals_in_world) is not None:
        for first in range(0, len(normals), _ROWS):
            part = place.turned(normals[first : first + _ROWS])
            yield from lines(Numbers(part, 4), word="vn")
    base = 1
    for part in model.parts:
        yield from _faces(part, base, mesh.normals_in_world is not None)
        base += len(part.vertex)


def _vertices(model: Model) -> Iterator[bytes]:
    mesh = model.mesh
    # A turn by quarters changes no extent.
    digits = decimals(mesh.vertices_in_world)
    colors = None if model.skin is not None and _has_albedo(model) else mesh.colors
    for first in range(0, len(mesh.vertices_in_world), _ROWS):
        rows = slice(first, first + _ROWS)
        points = Numbers(model.placement.turned(mesh.vertices_in_world[rows]), digits)
        if colors is None:
            yield from lines(points, word="v")
        else:
            yield from lines(points, Numbers(colors[rows] / 255, 4), word="v")


def _has_albedo(model: Model) -> bool:
    return all(part.page is not None and "albedo" in part.page.images for part in model.parts)


def _faces(part: Part, base: int, has_normals: bool) -> Iterator[bytes]:
    """The texture coordinates and faces of one part; `base` is the number of its first `vt`."""
    if part.uv is not None:
        if part.page is not None:
            yield f"usemtl page_{part.page.tile}\n".encode()
        yield from lines(Numbers(part.uv, 7), word="vt")
    sign = "//" if part.uv is None else "/"
    # Some faces at a time: as numbers of 64 bits they take six times their size.
    for first in range(0, len(part.faces), _ROWS):
        faces = part.faces[first : first + _ROWS]
        columns = [part.vertex[faces] + 1]
        if part.uv is not None:
            columns.append(faces.astype(np.int64) + base)
        if has_normals:
            columns.append(columns[0])
        yield from lines(Corners(np.stack(columns, axis=-1), sign), word="f")


def _materials(model: Model, path: Path) -> bytes:
    text = ["# Worldloom\n"]
    for part in model.parts:
        if part.page is not None:
            text.append(_material(part.page, path))
    return "".join(text).encode()


def _material(page: Page, path: Path) -> str:
    statements = [f"newmtl page_{page.tile}", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "illum 1"]
    statements += ["Pr 1", "Pm 0"]
    for kind, statement in _STATEMENT.items():
        if kind in page.images:
            name = f"{_plain(path.stem)}_{kind}.{page.tile}.png"
            write_pieces(path.with_name(name), page.png(kind))
            statements.append(f"{statement} {name}")
    return "\n".join(statements) + "\n"
