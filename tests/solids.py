"""Small meshes of known shape."""

import numpy as np
import trimesh

from worldloom.scene import Mesh
from worldloom.surface import vertex_normals


def ball(
    subdivisions: int = 4, radius_m: float = 1.0, centre: tuple[float, ...] = (0, 0, 0)
) -> Mesh:
    """A closed sphere whose colours are its normals."""
    sphere = trimesh.creation.icosphere(subdivisions, radius_m)
    return coloured(np.asarray(sphere.vertices) + centre, np.asarray(sphere.faces))


def box(steps: int = 16, side_m: float = 1.0) -> Mesh:
    """A closed cube around the origin, each side a grid of `steps` x `steps` squares."""
    share = (np.arange(steps + 1) / steps - 0.5) * side_m
    u, v = np.meshgrid(share, share, indexing="ij")
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    quads = grid_faces(steps + 1, steps + 1)
    for axis in range(3):
        for sign in (-1, 1):
            points = np.empty((u.size, 3))
            points[:, axis] = sign * side_m / 2
            points[:, (axis + 1) % 3] = u.ravel()
            points[:, (axis + 2) % 3] = v.ravel()
            faces.append((quads if sign > 0 else quads[:, ::-1]) + len(vertices) * u.size)
            vertices.append(points)
    points, inverse = np.unique(np.concatenate(vertices).round(9), axis=0, return_inverse=True)
    return coloured(points, inverse.reshape(-1)[np.concatenate(faces)])


def grid(rows: int = 20, columns: int = 20, side_m: float = 1.0) -> Mesh:
    """A flat square in the plane z = 0 that faces +z."""
    x, y = np.meshgrid(np.linspace(0, side_m, rows), np.linspace(0, side_m, columns), indexing="ij")
    points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return coloured(points, grid_faces(rows, columns))


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Two faces a square of a grid of vertices, row by row."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    corners = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2)
    return corners.reshape(-1, 3)


def coloured(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh whose colours are its normals."""
    points, corners = vertices.astype(np.float64), faces.astype(np.int32)
    normals = vertex_normals(points, corners)
    return Mesh(points, corners, np.rint(normals * 127 + 128).astype(np.uint8), normals)


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices_in_world) for mesh in meshes)])
    return coloured(
        np.concatenate([mesh.vertices_in_world for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
    )


def empty() -> Mesh:
    """No vertices, no faces, but attributes."""
    nothing = np.zeros((0, 3))
    return Mesh(
        nothing, nothing.astype(np.int32), nothing.astype(np.uint8), nothing.astype(np.float32)
    )


def volume_m3(mesh: Mesh) -> float:
    """Signed volume that a closed mesh holds."""
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def bow_tie() -> Mesh:
    """Two triangles that touch in one vertex."""
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0]])
    return coloured(points, np.array([[0, 1, 2], [0, 3, 4]]))


def three_pages() -> Mesh:
    """Three triangles on one edge, as in a book."""
    points = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [-1, 0.5, 0], [-1, -0.5, 0]])
    return coloured(points, np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4]]))
