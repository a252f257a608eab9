"""Smoothing that keeps edges: normals are filtered first, then vertices follow them."""

import numba
import numpy as np
from jaxtyping import Float64, Int32

from worldloom.meshes._topology import incidence
from worldloom.scene import Mesh


def denoised(
    mesh: Mesh, normal_rounds: int, vertex_rounds: int, sigma: float
) -> Float64[np.ndarray, "v 3"]:
    """Returns the vertices of a smoother surface with the same edges and corners.

    Zheng et al., "Bilateral normal filtering for mesh denoising", TVCG 2011, the local scheme
    (equation 4): the normal of a face becomes the mean over the faces that share a vertex with
    it, weighted by area, by a Gaussian of the distance (deviation: the mean distance of
    neighbours) and by one of the difference of the normals. Sun et al., "Fast and effective
    feature-preserving mesh denoising", TVCG 2007, equation 12: vertices move so that faces become
    perpendicular to their normals. There is no pull towards the inside, so nothing shrinks.

    Args:
        mesh: A manifold, also empty.
        normal_rounds: Passes over the normals; more is smoother.
        vertex_rounds: Passes over the vertices; more follows the normals more closely.
        sigma: Deviation of the Gaussian of the difference of two unit normals, 0 to 2; faces that
            differ by much more belong to different sides of an edge.
    """
    vertices, faces = mesh.vertices_in_world, mesh.faces
    if not len(faces):
        return vertices
    around = incidence(faces, len(vertices))
    normals, centres, areas = _planes(vertices, faces)
    spacing = _spacing(centres, faces, around.starts, around.corners)
    if not spacing > 0.0:
        return vertices
    for _ in range(normal_rounds):
        normals = _filtered(
            normals, centres, areas, faces, around.starts, around.corners, spacing, sigma
        )
    for _ in range(vertex_rounds):
        vertices = _followed(vertices, faces, normals, around.starts, around.corners)
    return vertices


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _planes(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit normals (0 without area), centres and areas of faces."""
    normals = np.zeros((len(faces), 3))
    centres = np.empty((len(faces), 3))
    areas = np.empty(len(faces))
    for f in range(len(faces)):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(x * x + y * y + z * z)
        areas[f] = 0.5 * length
        if length > 0.0:
            normals[f, 0], normals[f, 1], normals[f, 2] = x / length, y / length, z / length
        for axis in range(3):
            centres[f, axis] = (a[axis] + b[axis] + c[axis]) / 3.0
    return normals, centres, areas


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spacing(
    centres: np.ndarray, faces: np.ndarray, starts: np.ndarray, corners: np.ndarray
) -> float:
    """Mean distance of a face from those that share a vertex with it."""
    total, count = 0.0, 0
    for f in range(len(faces)):
        for k in range(3):
            v = faces[f, k]
            for i in range(starts[v], starts[v + 1]):
                g = corners[i] // 3
                if g != f:
                    square = 0.0
                    for axis in range(3):
                        square += (centres[f, axis] - centres[g, axis]) ** 2
                    total += np.sqrt(square)
                    count += 1
    return total / count if count else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filtered(
    normals: np.ndarray,
    centres: np.ndarray,
    areas: np.ndarray,
    faces: np.ndarray,
    starts: np.ndarray,
    corners: np.ndarray,
    spacing: float,
    sigma: float,
) -> np.ndarray:
    """One pass; faces that share an edge are met at both of its ends, and count twice."""
    out = np.empty_like(normals)
    near, alike = -0.5 / (spacing * spacing), -0.5 / (sigma * sigma)
    for f in range(len(faces)):
        x = y = z = 0.0
        for k in range(3):
            v = faces[f, k]
            for i in range(starts[v], starts[v + 1]):
                g = corners[i] // 3
                apart = differ = 0.0
                for axis in range(3):
                    apart += (centres[f, axis] - centres[g, axis]) ** 2
                    differ += (normals[f, axis] - normals[g, axis]) ** 2
                weight = areas[g] * np.exp(near * apart + alike * differ)
                x += weight * normals[g, 0]
                y += weight * normals[g, 1]
                z += weight * normals[g, 2]
        length = np.sqrt(x * x + y * y + z * z)
        if length > 0.0:
            out[f, 0], out[f, 1], out[f, 2] = x / length, y / length, z / length
        else:
            out[f] = normals[f]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _followed(
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    starts: np.ndarray,
    corners: np.ndarray,
) -> np.ndarray:
    """Moves each vertex by the mean of the steps that would put it into the planes of its faces."""
    centres = np.empty((len(faces), 3))
    for f in range(len(faces)):
        for axis in range(3):
            centres[f, axis] = (
                vertices[faces[f, 0], axis]
                + vertices[faces[f, 1], axis]
                + vertices[faces[f, 2], axis]
            ) / 3.0
    out = vertices.copy()
    for v in range(len(vertices)):
        degree = starts[v + 1] - starts[v]
        for i in range(starts[v], starts[v + 1]):
            f = corners[i] // 3
            height = 0.0
            for axis in range(3):
                height += normals[f, axis] * (centres[f, axis] - vertices[v, axis])
            for axis in range(3):
                out[v, axis] += height * normals[f, axis] / degree
    return out
