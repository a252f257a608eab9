"""Is a mesh fit to be worked on: indices in range, positions finite, attributes complete."""

import numpy as np

from worldloom.errors import InputError
from worldloom.scene import Mesh


def require_sound(mesh: Mesh) -> None:
    """Checks what no algorithm on a mesh can do without.

    Empty meshes pass, and so do non-manifold ones.

    Args:
        mesh: What is to be worked on.

    Raises:
        InputError: positions that are not finite, faces that name vertices that are not there, or
            colours or normals that are not one a vertex.
    """
    vertices = len(mesh.vertices_in_world)
    lost = ~np.isfinite(mesh.vertices_in_world).all(axis=1)
    if lost.any():
        raise InputError(
            f"{int(lost.sum())} of {vertices} vertices are not finite, the first is vertex "
            f"{int(lost.argmax())}; remove them and their faces, or make the mesh anew"
        )
    if len(mesh.faces) and not (mesh.faces.min() >= 0 and mesh.faces.max() < vertices):
        raise InputError(
            f"faces name vertices {int(mesh.faces.min())} to {int(mesh.faces.max())}, but there "
            f"are {vertices}; indices count from 0: make the mesh anew"
        )
    for name, values in (("colors", mesh.colors), ("normals_in_world", mesh.normals_in_world)):
        if values is not None and len(values) != vertices:
            raise InputError(
                f"{name} holds {len(values)} rows for {vertices} vertices; give one a vertex, or "
                "none"
            )
    if mesh.normals_in_world is not None and not np.isfinite(mesh.normals_in_world).all():
        raise InputError("some normals are not finite; leave normals out, they are made anew")
