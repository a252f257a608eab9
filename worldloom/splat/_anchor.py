"""Anchors: seeds on the surface of a mesh, where there is one."""

from collections.abc import Mapping

import numpy as np
from scipy.spatial import KDTree

from worldloom.scene import PointCloud

_MIN_DISTANCE = 1.5
"""Cells of the memory further from all anchors, in spacings, stay seeds: the mesh is not there."""


def anchored_cloud(
    mesh: Mapping[str, np.ndarray], cloud: PointCloud, spacing_m: float, seed: int
) -> PointCloud:
    """Returns one anchor for each spacing^2 of a mesh, and the points that are far from it.

    Anchors lie at random places of faces drawn by area; their normals and colours are those of
    the vertices, interpolated.

    Args:
        mesh: `vertices_in_world`, `faces`, `colors`, `normals_in_world`.
        cloud: The memory.
        spacing_m: Distance between neighbours, world unit.
        seed: Of what is drawn.
    """
    vertices, faces = mesh["vertices_in_world"], mesh["faces"]
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    rng = np.random.default_rng([seed, 7])
    # Each face gets the whole part of what is due to it, and the rest by the sum along the faces.
    due = np.floor(np.cumsum(areas / spacing_m**2) + rng.uniform())
    count = np.diff(due, prepend=0).astype(np.int64)
    face = np.repeat(np.arange(len(faces)), count)
    u, v = rng.uniform(size=(2, len(face)))
    root = np.sqrt(u)
    shares = np.stack([1 - root, root * (1 - v), root * v], axis=1)[..., None]
    corners = faces[face]
    points = (shares * vertices[corners]).sum(axis=1)
    normals = (shares * mesh["normals_in_world"][corners]).sum(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    colors = (shares * mesh["colors"][corners].astype(np.float64)).sum(axis=1)
    far = np.ones(len(cloud), bool)
    if len(points) and len(cloud):
        distance, _ = KDTree(points).query(cloud.points_in_world)
        far = distance > _MIN_DISTANCE * spacing_m
    return PointCloud(
        np.concatenate([points, cloud.points_in_world[far]]),
        np.concatenate([normals.astype(np.float32), cloud.normals_in_world[far]]),
        np.concatenate([np.rint(colors).astype(np.uint8), cloud.colors[far]]),
        np.concatenate([np.ones(len(points), np.float32), cloud.confidence[far]]),
        np.concatenate([np.ones(len(points), np.int32), cloud.count[far]]),
    )
