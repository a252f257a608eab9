"""Decimation by quadric error, through fast-simplification."""

import logging
import threading

import numpy as np
from jaxtyping import Float64, Int32

from worldloom.errors import ConfigError
from worldloom.meshes._attributes import with_attributes
from worldloom.meshes._cleanup import cleaned_mesh
from worldloom.scene import Mesh

_logger = logging.getLogger(__name__)
_AGGRESSION = 7.0
"""How fast the error that is allowed grows from pass to pass; the library's usual value."""
_ROUNDS = 3
# The library keeps the mesh that it works on in globals.
_library = threading.Lock()


def decimate(mesh: Mesh, faces: int) -> Mesh:
    """Returns a mesh with at most about `faces` faces, by quadric error.

    After Garland and Heckbert, "Surface simplification using quadric error metrics", SIGGRAPH
    1997, in the variant of fast-simplification, which collapses edges under a bound that grows
    from pass to pass. Boundaries are kept; colours and normals are averaged over what each vertex
    stands for. The same input gives the same mesh.

    Args:
        mesh: Any mesh, also empty; it is cleaned first.
        faces: Number of faces to come to, at least 1. A mesh with fewer is only cleaned. Where
            boundaries or many small pieces leave no edge to collapse more faces are left, which is
            logged.

    Raises:
        ConfigError: `faces` is below 1.
        InputError: see `require_sound`.
    """
    if faces < 1:
        raise ConfigError(f"faces is {faces}; ask for at least 1", field="faces")
    clean = cleaned_mesh(mesh).mesh
    if len(clean.faces) <= faces:
        return clean
    coarse = clean
    for _ in range(_ROUNDS):
        coarse = cleaned_mesh(collapsed(coarse, faces)).mesh
        if len(coarse.faces) <= faces:
            break
    else:
        _logger.warning(
            "the mesh has %d faces after decimation, not %d: there is no edge left to collapse",
            *(len(coarse.faces), faces),
        )
    return with_attributes(coarse, clean)


def collapsed(mesh: Mesh, faces: int) -> Mesh:
    """Returns the vertices and faces of a mesh after one run of edge collapses.

    The bare step of `decimate`, for what is only looked at: nothing is cleaned before or after,
    colours and normals are dropped, and the number of faces may be missed.

    Args:
        mesh: With faces, and finite vertices.
        faces: Number of faces to come to, at least 1.
    """
    import fast_simplification

    # The bounds of the library are absolute: with edges of length 1 about the origin, its first
    # passes take what is flat to a thousandth of an edge, in any unit and anywhere in the world.
    middle, edge = _middle_and_edge(mesh.vertices_in_world, mesh.faces)
    with _library:
        points, triangles, *_ = fast_simplification.simplify(
            (mesh.vertices_in_world - middle) / edge,
            # A copy: it takes no array that is read-only, as those from a cache are.
            np.array(mesh.faces, order="C"),
            target_count=faces,
            agg=_AGGRESSION,
        )
    return Mesh(points * edge + middle, triangles.astype(np.int32))


def _middle_and_edge(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[Float64[np.ndarray, "3"], float]:
    sides = vertices[faces] - vertices[np.roll(faces, 1, axis=1)]
    edge = float(np.median(np.linalg.norm(sides, axis=-1)))
    # The median: one vertex that is lost far away must not take the rest from the origin.
    return np.median(vertices, axis=0), edge if edge > 0 else 1.0
