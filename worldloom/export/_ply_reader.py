"""PLY files of this project, read back."""

import re
from pathlib import Path

import numpy as np

from worldloom.errors import InputError
from worldloom.export._ply import COLOR, FACE, FACE_LINE, KINDS, NORMAL, XYZ
from worldloom.scene import Mesh, PointCloud

_LONGEST_HEADER = 4096


def read_mesh_ply(path: Path) -> Mesh:
    """Reads a mesh that `write_mesh` wrote.

    Raises:
        InputError: the file cannot be read, or is damaged, or no such mesh.
    """
    vertices, faces = read_tables(path)
    return Mesh(
        _columns(vertices, XYZ, np.float64, path),
        np.ascontiguousarray(faces["corners"]),
        _columns(vertices, COLOR, np.uint8, path)
        if "red" in (vertices.dtype.names or ())
        else None,
        _columns(vertices, NORMAL, np.float32, path)
        if "nx" in (vertices.dtype.names or ())
        else None,
    )


def read_cloud_ply(path: Path) -> PointCloud:
    """Reads a point cloud that `write_cloud` wrote.

    Raises:
        InputError: the file cannot be read, or is damaged, or no such cloud.
    """
    points, _ = read_tables(path)
    return PointCloud(
        _columns(points, XYZ, np.float64, path),
        _columns(points, NORMAL, np.float32, path),
        _columns(points, COLOR, np.uint8, path),
        _columns(points, ("confidence",), np.float32, path)[:, 0],
        _columns(points, ("count",), np.int32, path)[:, 0],
    )


def read_tables(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tables of vertices and faces of a binary little-endian PLY.

    Raises:
        InputError: the file cannot be read, or is damaged, or has other elements.
    """
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
    if vertex_count is None or (face_count and FACE_LINE not in header):
        raise _unreadable(path, "its elements are not those of a mesh or cloud of this project")
    if unknown := {kind for kind, _ in properties} - KINDS.keys():
        raise _unreadable(path, f"it has properties of the type {sorted(unknown)}")
    if len({name for _, name in properties}) != len(properties):
        raise _unreadable(path, "it has two properties of one name")
    vertex = np.dtype([(name, KINDS[kind]) for kind, name in properties])
    vertices, faces = int(vertex_count[1]), int(face_count[1]) if face_count else 0
    start = end + len(b"end_header\n")
    if len(data) != start + vertices * vertex.itemsize + faces * FACE.itemsize:
        raise _unreadable(path, "its length is not that of its header")
    return (
        np.frombuffer(data, vertex, vertices, start),
        np.frombuffer(data, FACE, faces, start + vertices * vertex.itemsize),
    )


def _columns(table: np.ndarray, names: tuple[str, ...], kind: type, path: Path) -> np.ndarray:
    missing = set(names) - set(table.dtype.names or ())
    if missing:
        raise _unreadable(path, f"it has no {', '.join(sorted(missing))}")
    return np.stack([table[name] for name in names], axis=-1).astype(kind)


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"cannot read {path}: {reason}; export the scene again", path=str(path))
