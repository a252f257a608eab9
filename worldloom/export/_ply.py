"""PLY files, binary little-endian: meshes and point clouds, some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from worldloom.errors import ExportError
from worldloom.export._cloud import CloudView
from worldloom.export._files import write_atomically, write_pieces
from worldloom.export._model import Model, Part
from worldloom.scene import Mesh, PointCloud

NAMES = {"<f4": "float", "<f8": "double", "|u1": "uchar", "<i4": "int"}
KINDS = {name: kind for kind, name in NAMES.items()}
XYZ = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")
COLOR = ("red", "green", "blue")
FACE_LINE = "property list uchar int vertex_indices"
FACE = np.dtype([("count", "|u1"), ("corners", "<i4", (3,))])
_FACE_ON_PAGE = np.dtype([*FACE.descr, ("page", "<i4")])
_ROWS = 200_000


@dataclass(frozen=True, eq=False)
class _Columns:
    """Values of one or more properties of each vertex."""

    names: tuple[str, ...]
    kind: str
    values: np.ndarray


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Writes a mesh without loss: positions as doubles, in the world of the input.

    Raises:
        ExportError: the mesh has no faces, or the file cannot be written.
    """
    if not len(mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write", format="ply")
    vertices = _vertices(mesh.vertices_in_world, mesh.normals_in_world, mesh.colors)
    header = [*_element(vertices), f"element face {len(mesh.faces)}", FACE_LINE]
    write_atomically(path, _file(header, vertices, mesh.faces))


def write_cloud(cloud: PointCloud, path: Path) -> None:
    """Writes a point cloud without loss: normals, colours, `confidence` and `count` of views.

    Raises:
        ExportError: the cloud has no points, or the file cannot be written.
    """
    if not len(cloud):
        raise ExportError("the point cloud has no points; there is nothing to write", format="ply")
    write_atomically(path, _cloud_file(CloudView(cloud)))


def write_model(model: Model, path: Path) -> None:
    """Writes a mesh with its textures as MeshLab and Blender read them, or with its colours.

    Texture coordinates are the vertex properties `s` and `t`, so vertices stand once for each of
    their places in a texture; `comment TextureFile` names the base colour, a page each, and the
    face property `texnumber` the page of a face. PLY holds no other maps, no axes and no unit.
    """
    if model.skin is None:
        mesh = model.mesh
        points = model.placement.turned(mesh.vertices_in_world)
        normals = _turned(model, mesh.normals_in_world)
        vertices = _vertices(points, normals, mesh.colors)
        header = [*_element(vertices), f"element face {len(mesh.faces)}", FACE_LINE]
        write_pieces(path, _file(header, vertices, mesh.faces))
        return
    comments = []
    for part in model.parts:
        if part.page is not None and "albedo" in part.page.images:
            name = f"{path.stem}_albedo.{part.page.tile}.png"
            write_pieces(path.with_name(name), part.page.png("albedo"))
            comments.append(f"comment TextureFile {name}")
    vertices, faces, numbers = _joined(model, model.parts)
    header = [*comments, *_element(vertices), f"element face {len(faces)}", FACE_LINE]
    paged = len(model.parts) > 1
    header += ["property int texnumber"] if paged else []
    write_pieces(path, _file(header, vertices, faces, numbers if paged else None))


def write_cloud_view(view: CloudView, path: Path) -> None:
    """Writes the columns that a view of a cloud has, with `confidence` and `count` of views."""
    write_pieces(path, _cloud_file(view))


def _turned(
    model: Model, normals: Float32[np.ndarray, "n 3"] | None
) -> Float32[np.ndarray, "n 3"] | None:
    return None if normals is None else model.placement.turned(normals)


def _joined(model: Model, parts: tuple[Part, ...]) -> tuple[list[_Columns], np.ndarray, np.ndarray]:
    """Returns the vertices of all parts, their faces, and the number of the part of each face."""
    mesh, base, faces = model.mesh, 0, []
    for part in parts:
        faces.append(part.faces + np.int32(base))
        base += len(part.vertex)
    vertex = np.concatenate([part.vertex for part in parts])
    normals = _turned(model, mesh.normals_in_world)
    vertices = _vertices(
        model.placement.turned(mesh.vertices_in_world)[vertex],
        None if normals is None else normals[vertex],
        None if mesh.colors is None else mesh.colors[vertex],
    )
    uv = np.concatenate([part.uv for part in parts if part.uv is not None])
    numbers = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    return [*vertices, _Columns(("s", "t"), "<f4", uv)], np.concatenate(faces), numbers


def _vertices(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"] | None,
    colors: UInt8[np.ndarray, "n 3"] | None,
) -> list[_Columns]:
    columns = [_Columns(XYZ, "<f8", points)]
    if normals is not None:
        columns.append(_Columns(NORMAL, "<f4", normals))
    if colors is not None:
        columns.append(_Columns(COLOR, "|u1", colors))
    return columns


def _cloud_file(view: CloudView) -> Iterator[bytes]:
    cloud = view.cloud
    columns = _vertices(
        view.points(0, len(cloud)),
        view.normals(0, len(cloud)) if view.has_normals else None,
        cloud.colors if view.has_colors else None,
    )
    columns.append(_Columns(("confidence",), "<f4", cloud.confidence[:, None]))
    columns.append(_Columns(("count",), "<i4", cloud.count[:, None]))
    return _file(_element(columns), columns)


def _element(columns: list[_Columns]) -> list[str]:
    properties = [
        f"property {NAMES[column.kind]} {name}" for column in columns for name in column.names
    ]
    return [f"element vertex {len(columns[0].values)}", *properties]


def _file(
    header: list[str],
    vertices: list[_Columns],
    faces: np.ndarray | None = None,
    pages: np.ndarray | None = None,
) -> Iterator[bytes]:
    lines = ["ply", "format binary_little_endian 1.0", "comment Worldloom", *header, "end_header"]
    yield "\n".join(lines).encode() + b"\n"
    fields = [(name, column.kind) for column in vertices for name in column.names]
    for first in range(0, len(vertices[0].values), _ROWS):
        rows = slice(first, first + _ROWS)
        table = np.empty(len(vertices[0].values[rows]), fields)
        for column in vertices:
            for k, name in enumerate(column.names):
                table[name] = column.values[rows, k]
        yield table.tobytes()
    for first in range(0, 0 if faces is None else len(faces), _ROWS):
        rows = slice(first, first + _ROWS)
        part = faces[rows] if faces is not None else np.empty((0, 3))
        table = np.empty(len(part), FACE if pages is None else _FACE_ON_PAGE)
        table["count"], table["corners"] = 3, part
        if pages is not None:
            table["page"] = pages[rows]
        yield table.tobytes()
