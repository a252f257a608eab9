"""A mesh brought down to a number of faces that a browser draws without effort."""

import numpy as np
from jaxtyping import Float64, Int32, UInt8
from scipy.spatial import KDTree

from worldloom.errors import ConfigError
from worldloom.meshes import collapsed
from worldloom.scene import Mesh

_CLUSTERED_ABOVE = 8
"""Meshes of more faces than this times the budget are clustered first."""
_CLUSTERED_TO = 4
_MEASURED_FACES = 100_000
_BOX_PERCENTILES = (0.1, 99.9)


def mesh_within(mesh: Mesh, max_faces: int) -> Mesh:
    """Returns a mesh of about at most `max_faces` faces that looks like the given one.

    Edges are collapsed as `worldloom.meshes.decimate` does it. It takes seconds a million faces, so
    that larger meshes are clustered on a grid first (Rossignac and Borrel, 1993):
    what is meant to be looked at needs no more. Vertices that no face uses are left out.

    Args:
        mesh: Any triangle mesh; non-manifold and empty ones are welcome. Vertices that are not
            finite go, with their faces.
        max_faces: Budget, at least 4.

    Returns:
        The mesh with the colours of the nearest vertices of the original and without normals; or
        the mesh itself where it is small enough.

    Raises:
        ConfigError: the budget is below 4.
    """
    if max_faces < 4:
        raise ConfigError(f"max_faces is {max_faces}; give at least 4", field="max_faces")
    mesh = _finite(mesh)
    if len(mesh.faces) <= max_faces:
        return mesh
    # Single precision resolves a large world only near its origin.
    origin = np.median(mesh.vertices_in_world, axis=0)
    vertices, faces = mesh.vertices_in_world - origin, mesh.faces
    if len(faces) > _CLUSTERED_ABOVE * max_faces:
        vertices, faces = _clustered(vertices, faces, _CLUSTERED_TO * max_faces)
    if len(faces) > max_faces:
        coarse = collapsed(Mesh(vertices, faces), max_faces)
        vertices, faces = coarse.vertices_in_world, coarse.faces
    vertices, faces = _used(vertices, faces)
    colors = None
    if mesh.colors is not None and len(vertices):
        colors = _nearest_colors(vertices, mesh.vertices_in_world - origin, mesh.colors)
    return Mesh(vertices + origin, faces, colors)


def _finite(mesh: Mesh) -> Mesh:
    finite = np.asarray(np.isfinite(mesh.vertices_in_world).all(axis=1))
    if finite.all():
        return mesh
    number = np.cumsum(finite) - 1
    faces = number[mesh.faces[finite[mesh.faces].all(axis=1)]].astype(np.int32)
    normals = mesh.normals_in_world
    return Mesh(
        mesh.vertices_in_world[finite],
        faces,
        None if mesh.colors is None else mesh.colors[finite],
        None if normals is None else normals[finite],
    )


def _clustered(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"], wanted: int
) -> tuple[Float64[np.ndarray, "n 3"], Int32[np.ndarray, "m 3"]]:
    """Joins the vertices of each cell of a grid; faces that collapse go."""
    side = np.sqrt(2 * _face_area(vertices, faces) * len(faces) / wanted)
    if not side > 0:
        return vertices, faces
    low, high = np.percentile(vertices, _BOX_PERCENTILES, axis=0)
    # What lies further out than half the box is joined at its edge, or the grid has no end.
    low, high = low - (high - low) / 2, high + (high - low) / 2
    cells = np.floor((np.clip(vertices, low, high) - low) / side).astype(np.int64)
    extent = cells.max(axis=0) + 1
    keys = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
    _, number, count = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(number, vertices[:, k]) / count for k in range(3)], axis=-1)
    joined = number[faces]
    a, b, c = joined.T
    return means, joined[(a != b) & (b != c) & (c != a)].astype(np.int32)


def _face_area(vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]) -> float:
    """Returns the area of a usual face: the median, of some of them where there are many."""
    measured = faces[:: max(1, len(faces) // _MEASURED_FACES)]
    a, b, c = (vertices[measured[:, k]] for k in range(3))
    return float(np.median(np.linalg.norm(np.cross(b - a, c - a), axis=1))) / 2


def _used(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[Float64[np.ndarray, "n 3"], Int32[np.ndarray, "m 3"]]:
    used, number = np.unique(faces, return_inverse=True)
    return vertices[used], number.reshape(-1, 3).astype(np.int32)


def _nearest_colors(
    vertices: Float64[np.ndarray, "n 3"],
    of: Float64[np.ndarray, "v 3"],
    colors: UInt8[np.ndarray, "v 3"],
) -> UInt8[np.ndarray, "n 3"]:
    tree = KDTree(of, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(vertices)
    return colors[nearest]
