"""Tangents at vertices, as MikkTSpace defines them (Mikkelsen 2008)."""

import numpy as np
from jaxtyping import Float, Float32, Int32

_TINY = 1e-30


def tangents(
    points: Float[np.ndarray, "n 3"],
    normals: Float32[np.ndarray, "n 3"],
    uv: Float32[np.ndarray, "n 2"],
    faces: Int32[np.ndarray, "f 3"],
) -> Float32[np.ndarray, "n 4"]:
    """Returns unit tangents, along +u, and the sign of the bitangent, along +v.

    Each face adds its own tangent to its corners, laid into the plane of the vertex normal and
    weighted by the angle at the corner (Mikkelsen, "Simulation of wrinkled surfaces revisited",
    2008, section 2.1.1).

    Args:
        points: Positions.
        normals: Unit normals.
        uv: Texture coordinates from the bottom left; one place in the texture a vertex.
        faces: Triangles.

    Returns:
        Tangent and sign: bitangent = sign * cross(normal, tangent). Where the texture coordinates
        of all faces are degenerate, any direction across the normal.
    """
    corners, places = points[faces], uv[faces].astype(np.float64)
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (u_1, v_1), (u_2, v_2) = (places[:, 1] - places[:, 0]).T, (places[:, 2] - places[:, 0]).T
    area = u_1 * v_2 - u_2 * v_1
    along_u = (v_2[:, None] * edge_1 - v_1[:, None] * edge_2) * np.sign(area)[:, None]
    total, sign = np.zeros((len(points), 3)), np.zeros(len(points))
    for k in range(3):
        vertex = faces[:, k]
        normal = normals[vertex].astype(np.float64)
        flat = _across(along_u, normal)
        ahead = _across(corners[:, (k + 1) % 3] - corners[:, k], normal)
        behind = _across(corners[:, (k + 2) % 3] - corners[:, k], normal)
        angle = np.arccos(np.clip(np.einsum("fc,fc->f", ahead, behind), -1, 1))
        for axis in range(3):
            total[:, axis] += np.bincount(vertex, flat[:, axis] * angle, len(points))
        sign += np.bincount(vertex, np.sign(area), len(points))
    unknown = np.linalg.norm(total, axis=1) < 1e-12
    # The axis that the normal is farthest from lies across it.
    total[unknown] = np.eye(3)[np.abs(normals[unknown]).argmin(axis=1)]
    direction = _across(total, normals.astype(np.float64))
    return np.column_stack([direction, np.where(sign < 0, -1.0, 1.0)]).astype(np.float32)


def _across(
    vectors: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Returns vectors laid into the plane across normals, of length 1."""
    flat = vectors - np.einsum("nc,nc->n", vectors, normals)[:, None] * normals
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _TINY)
