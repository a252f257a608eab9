"""Anchors: the seeds that are near a mesh are put onto it."""

from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from worldloom.scene import Mesh, PointCloud

_REACH = 1.5
"""Distance to the mesh up to which a seed belongs to it, in spacings of the seeds."""


def anchored_cloud(mesh: Mesh, cloud: PointCloud, spacing_m: float) -> PointCloud:
    """Returns points of which those near a mesh lie on it, with its normals.

    A point is moved along the normal of the nearest vertex into the plane there: vertices are
    about a voxel apart, which is less than the seeds. Points far from the mesh stay as they are:
    the mesh has a hole there. Colours stay those of the points.

    Args:
        mesh: With normals.
        cloud: The memory.
        spacing_m: Distance between neighbours, world unit.
    """
    if not len(cloud) or not len(mesh.vertices_in_world) or mesh.normals_in_world is None:
        return cloud
    distance, nearest = KDTree(mesh.vertices_in_world).query(cloud.points_in_world)
    normals = mesh.normals_in_world[nearest]
    from_plane = cloud.points_in_world - mesh.vertices_in_world[nearest]
    height = (from_plane * normals).sum(axis=1, keepdims=True)
    near = ((distance <= _REACH * spacing_m) & normals.any(axis=1))[:, None]
    return replace(
        cloud,
        points_in_world=cloud.points_in_world - np.where(near, height * normals, 0),
        normals_in_world=np.where(near, normals, cloud.normals_in_world).astype(np.float32),
    )
