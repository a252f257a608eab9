"""Wavefront OBJ with vertex colours."""

import numpy as np

from worldloom.errors import ExportError
from worldloom.scene import Mesh

_ROWS = 100_000


def mesh_obj(mesh: Mesh) -> bytes:
    """Encodes a mesh as text: `v x y z r g b` (sRGB, 0 to 1), `vn`, `f`.

    The colours behind the position are an extension that MeshLab, Blender and others read.
    Positions keep nine significant digits, in the frame of the input.

    Raises:
        ExportError: the mesh has no faces.
    """
    if not len(mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write", format="obj")
    parts = ["# Worldloom; frame of the input; vertex colours are sRGB\n"]
    if mesh.colors is None:
        parts.append(_lines("v %.9g %.9g %.9g\n", mesh.vertices_in_world))
    else:
        colored = np.concatenate([mesh.vertices_in_world, mesh.colors / 255], axis=1)
        parts.append(_lines("v %.9g %.9g %.9g %.4f %.4f %.4f\n", colored))
    corners = mesh.faces + 1
    if mesh.normals_in_world is None:
        parts.append(_lines("f %d %d %d\n", corners))
    else:
        parts.append(_lines("vn %.4f %.4f %.4f\n", mesh.normals_in_world))
        parts.append(_lines("f %d//%d %d//%d %d//%d\n", np.repeat(corners, 2, axis=1)))
    return "".join(parts).encode("ascii")


def _lines(pattern: str, rows: np.ndarray) -> str:
    """Formats rows, some at a time: numbers as Python objects take ten times their size."""
    return "".join(
        (pattern * len(part)) % tuple(part.ravel().tolist())
        for part in (rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS))
    )
