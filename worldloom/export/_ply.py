"""PLY files, binary little-endian: meshes and point clouds, written and read back."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from worldloom.errors import ExportError, InputError
from worldloom.scene import Mesh, PointCloud

_NAMES = {"<f4": "float", "<f8": "double", "|u1": "uchar", "<i4": "int"}
_KINDS = {name: kind for kind, name in _NAMES.items()}
_XYZ = ("x", "y", "z")
_NORMAL = ("nx", "ny", "nz")
_COLOR = ("red", "green", "blue")
_FACE_LINE = "property list uchar int vertex_indices"
_FACE = np.dtype([("count", "|u1"), ("corners", "<i4", (3,))])
_LONGEST_HEADER = 4096


def mesh_ply(mesh: Mesh) -> bytes:
    """Encodes a mesh with its colours and normals; positions are doubles, so nothing is lost.

    Raises:
        ExportError: the mesh has no faces.
    """
    if not len(mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write", format="ply")
    vertices = _vertex_table(mesh.vertices_in_world, mesh.normals_in_world, mesh.colors, [])
    faces = np.empty(len(mesh.faces), _FACE)
    faces["count"], faces["corners"] = 3, mesh.faces
    header = [*_element("vertex", vertices), f"element face {len(faces)}", _FACE_LINE]
    return _file(header, vertices.tobytes() + faces.tobytes())


def cloud_ply(cloud: PointCloud) -> bytes:
    """Encodes a point cloud with normals, colours, `confidence` (0 to 1) and `count` of views.

    Raises:
        ExportError: the cloud has no points.
    """
    if not len(cloud):
        raise ExportError("the point cloud has no points; there is nothing to write", format="ply")
    extra = [("confidence", "<f4"), ("count", "<i4")]
    points = _vertex_table(cloud.points_in_world, cloud.normals_in_world, cloud.colors, extra)
    points["confidence"], points["count"] = cloud.confidence, cloud.count
    return _file(_element("vertex", points), points.tobytes())


def read_mesh_ply(path: Path) -> Mesh:
    """Reads a mesh that `mesh_ply` wrote.

    Raises:
        InputError: the file cannot be read, or is damaged, or no such mesh.
    """
    vertices, faces = _read(path)
    return Mesh(
        _columns(vertices, _XYZ, np.float64, path),
        np.ascontiguousarray(faces["corners"]),
        _columns(vertices, _COLOR, np.uint8, path)
        if "red" in (vertices.dtype.names or ())
        else None,
        _columns(vertices, _NORMAL, np.float32, path)
        if "nx" in (vertices.dtype.names or ())
        else None,
    )


def read_cloud_ply(path: Path) -> PointCloud:
    """Reads a point cloud that `cloud_ply` wrote.

    Raises:
        InputError: the file cannot be read, or is damaged, or no such cloud.
    """
    points, _ = _read(path)
    return PointCloud(
        _columns(points, _XYZ, np.float64, path),
        _columns(points, _NORMAL, np.float32, path),
        _columns(points, _COLOR, np.uint8, path),
        _columns(points, ("confidence",), np.float32, path)[:, 0],
        _columns(points, ("count",), np.int32, path)[:, 0],
    )


def _vertex_table(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"] | None,
    colors: UInt8[np.ndarray, "n 3"] | None,
    extra: list[tuple[str, str]],
) -> np.ndarray:
    groups = [(_XYZ, "<f8", points), (_NORMAL, "<f4", normals), (_COLOR, "|u1", colors)]
    present = [(names, kind, values) for names, kind, values in groups if values is not None]
    fields = [(name, kind) for names, kind, _ in present for name in names]
    table = np.empty(len(points), fields + extra)
    for names, _, values in present:
        for k, name in enumerate(names):
            table[name] = values[:, k]
    return table


def _element(name: str, table: np.ndarray) -> list[str]:
    fields = table.dtype.fields or {}
    properties = [f"property {_NAMES[kind[0].str]} {field}" for field, kind in fields.items()]
    return [f"element {name} {len(table)}", *properties]


def _file(header: list[str], body: bytes) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", "comment Worldloom", *header, "end_header"]
    return "\n".join(lines).encode("ascii") + b"\n" + body


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tables of vertices and faces."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check the path", path=str(path)
        ) from error
    end = data.find(b"end_header\n", 0, _LONGEST_HEADER)
    header = data[: max(end, 0)].decode("ascii", "replace")
    if end < 0 or not header.startswith("ply\nformat binary_little_endian 1.0\n"):
        raise _unreadable(path, "it is no binary little-endian PLY")
    vertex_count = re.search(r"^element vertex (\d+)$", header, re.MULTILINE)
    face_count = re.search(r"^element face (\d+)$", header, re.MULTILINE)
    properties = re.findall(r"^property (\w+) (\w+)$", header, re.MULTILINE)
    if vertex_count is None or (face_count and _FACE_LINE not in header):
        raise _unreadable(path, "its elements are not those of a mesh or cloud of this project")
    if unknown := {kind for kind, _ in properties} - _KINDS.keys():
        raise _unreadable(path, f"it has properties of the type {sorted(unknown)}")
    vertex = np.dtype([(name, _KINDS[kind]) for kind, name in properties])
    vertices, faces = int(vertex_count[1]), int(face_count[1]) if face_count else 0
    start = end + len(b"end_header\n")
    if len(data) != start + vertices * vertex.itemsize + faces * _FACE.itemsize:
        raise _unreadable(path, "its length is not that of its header")
    return (
        np.frombuffer(data, vertex, vertices, start),
        np.frombuffer(data, _FACE, faces, start + vertices * vertex.itemsize),
    )


def _columns(table: np.ndarray, names: tuple[str, ...], kind: type, path: Path) -> np.ndarray:
    missing = set(names) - set(table.dtype.names or ())
    if missing:
        raise _unreadable(path, f"it has no {', '.join(sorted(missing))}")
    return np.stack([table[name] for name in names], axis=-1).astype(kind)


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"cannot read {path}: {reason}; export the scene again", path=str(path))
