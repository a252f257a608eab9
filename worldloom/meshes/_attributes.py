"""Colours and normals of a mesh that was made from another one."""

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import KDTree

from worldloom.meshes._cleanup import used_part
from worldloom.scene import Mesh
from worldloom.surface import vertex_normals


def with_attributes(mesh: Mesh, source: Mesh) -> Mesh:
    """Returns a coarser mesh with the colours and normals of the one that it stands for.

    A vertex gets the mean over the vertices of the source that it is the nearest to, so detail
    that is too fine for it is averaged and not sampled; of those, the ones that face its way. A
    vertex that is the nearest to none takes its own nearest.

    Args:
        mesh: Positions and faces.
        source: The finer mesh; the result has colours and normals where it has.
    """
    if source.colors is None and source.normals_in_world is None:
        return Mesh(mesh.vertices_in_world, mesh.faces)
    fine = used_part(source)
    if not len(mesh.faces) or not len(fine.faces):
        return _without_faces(mesh, source)
    own = vertex_normals(mesh.vertices_in_world, mesh.faces)
    theirs = vertex_normals(fine.vertices_in_world, fine.faces)
    nearest = np.asarray(
        KDTree(mesh.vertices_in_world).query(fine.vertices_in_world, workers=-1)[1]
    )
    facing = (own[nearest] * theirs).sum(axis=1) > 0
    fallback = KDTree(fine.vertices_in_world).query(mesh.vertices_in_world, workers=-1)[1]

    def mean(values: np.ndarray) -> Float64[np.ndarray, "v 3"]:
        sums, count = _sums(values, nearest, facing, len(own))
        known = (count > 0)[:, None]
        return np.where(known, sums / np.maximum(count, 1)[:, None], values[fallback])

    colors, normals = fine.colors, fine.normals_in_world
    return Mesh(
        mesh.vertices_in_world,
        mesh.faces,
        None if colors is None else np.rint(mean(colors)).astype(np.uint8),
        None if normals is None else _unit(mean(normals), own),
    )


def _without_faces(mesh: Mesh, source: Mesh) -> Mesh:
    """An empty mesh keeps the kinds of attributes that it had."""
    count = len(mesh.vertices_in_world)
    return Mesh(
        mesh.vertices_in_world,
        mesh.faces,
        None if source.colors is None else np.zeros((count, 3), np.uint8),
        None if source.normals_in_world is None else np.zeros((count, 3), np.float32),
    )


def _sums(
    values: np.ndarray, owner: Int64[np.ndarray, "n"], counted: np.ndarray, owners: int
) -> tuple[Float64[np.ndarray, "v 3"], Int64[np.ndarray, "v"]]:
    chosen = owner[counted]
    sums = [
        np.bincount(chosen, values[counted, axis].astype(np.float64), owners) for axis in range(3)
    ]
    return np.stack(sums, axis=-1), np.bincount(chosen, minlength=owners)


def _unit(normals: Float64[np.ndarray, "v 3"], instead: np.ndarray) -> np.ndarray:
    """Normals of unit length; others where they cancel out."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = np.divide(normals, length, out=instead.astype(np.float64), where=length > 1e-6)
    return unit.astype(np.float32)
