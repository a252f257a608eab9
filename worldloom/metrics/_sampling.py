"""Points to be compared: sampled from surfaces by area, thinned to one a voxel; deterministic."""

import math

import numpy as np
from jaxtyping import Float64

from worldloom.scene import Mesh, PointCloud

_MOST_SAMPLES = 2_000_000


def surface_points(
    geometry: Mesh | PointCloud, voxel: float, most: int = _MOST_SAMPLES
) -> Float64[np.ndarray, "n 3"]:
    """Returns points that stand for a geometry, at most one a voxel.

    A mesh is sampled evenly by area, about three samples a voxel face; a cloud, or a mesh without
    faces, is taken as it is. Points that are not finite are left out.

    Args:
        geometry: Mesh or cloud.
        voxel: Side of the voxels, world unit.
        most: Upper bound of the samples before thinning.
    """
    if isinstance(geometry, PointCloud):
        points = geometry.points_in_world
    elif not len(geometry.faces):
        points = geometry.vertices_in_world
    else:
        points = _sampled(geometry, voxel, most)
    return thinned(points[np.isfinite(points).all(axis=1)], voxel)


def thinned(points: Float64[np.ndarray, "n 3"], voxel: float) -> Float64[np.ndarray, "m 3"]:
    """Returns the first point of each voxel, in the order of the voxels."""
    if not len(points):
        return points
    cell = np.floor(points / voxel).astype(np.int64)
    cell -= cell.min(axis=0)
    extent = cell.max(axis=0) + 1
    if math.prod(int(side) for side in extent) >= 2**62:
        _, first = np.unique(cell, axis=0, return_index=True)
        return points[first]
    key = (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]
    _, first = np.unique(key, return_index=True)
    return points[first]


def _sampled(mesh: Mesh, voxel: float, most: int) -> Float64[np.ndarray, "n 3"]:
    """Samples a mesh at equal steps of area, spread inside each face by a fixed sequence.

    The place inside a face follows the R2 sequence: Roberts, "The Unreasonable Effectiveness of
    Quasirandom Sequences", 2018. The unit square is folded onto the triangle.
    """
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    edge_u, edge_v = b - a, c - a
    area = 0.5 * np.linalg.norm(np.cross(edge_u, edge_v), axis=-1)
    area = np.where(np.isfinite(area), area, 0)
    upto = np.cumsum(area)
    if not len(upto) or upto[-1] <= 0:
        return mesh.vertices_in_world
    count = int(np.clip(math.ceil(3 * upto[-1] / voxel**2), 1, most))
    k = np.arange(count)
    face = np.searchsorted(upto, (k + 0.5) * (upto[-1] / count), side="right")
    face = np.minimum(face, len(area) - 1)
    plastic = 1.32471795724474602596
    u, v = (0.5 + k / plastic) % 1, (0.5 + k / plastic**2) % 1
    folded = u + v > 1
    u, v = np.where(folded, 1 - u, u), np.where(folded, 1 - v, v)
    return a[face] + u[:, None] * edge_u[face] + v[:, None] * edge_v[face]
