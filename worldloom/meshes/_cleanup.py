"""Clean-up: what every algorithm on meshes may ask for first."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from worldloom.meshes._report import flat_faces, repeated_faces
from worldloom.meshes._soundness import require_sound
from worldloom.meshes._topology import edge_table
from worldloom.scene import Mesh


@dataclass(frozen=True, eq=False)
class CleanedMesh:
    """A mesh without flaws of its lists, and where its faces come from."""

    mesh: Mesh
    source_faces: Int64[np.ndarray, "f"]
    """Face of the given mesh that each face was, ascending."""


def cleaned_mesh(mesh: Mesh, weld: bool = True) -> CleanedMesh:
    """Removes faces without area, repeated faces and unused vertices.

    Args:
        mesh: Any mesh, also empty.
        weld: Make vertices at the very same place one; colours and normals are those of the
            first.

    Raises:
        InputError: see `require_sound`.
    """
    require_sound(mesh)
    faces = _welded(mesh) if weld else mesh.faces
    kept = ~repeated_faces(faces)
    kept[kept] = ~_spurious(mesh.vertices_in_world, faces[kept])
    cleaned = used_part(replace(mesh, faces=np.ascontiguousarray(faces[kept])))
    return CleanedMesh(cleaned, np.nonzero(kept)[0])


def without_faces(mesh: Mesh, removed: Bool[np.ndarray, "f"]) -> Mesh:
    """Returns a mesh without some faces and the vertices that only they used."""
    if not removed.any():
        return mesh
    return used_part(replace(mesh, faces=np.ascontiguousarray(mesh.faces[~removed])))


def used_part(mesh: Mesh) -> Mesh:
    """Returns a mesh without the vertices of no face; the order of the others is kept."""
    used = np.zeros(len(mesh.vertices_in_world), bool)
    used[mesh.faces] = True
    if used.all():
        return mesh
    return Mesh(
        mesh.vertices_in_world[used],
        (np.cumsum(used) - 1)[mesh.faces].astype(np.int32),
        None if mesh.colors is None else mesh.colors[used],
        None if mesh.normals_in_world is None else mesh.normals_in_world[used],
    )


def _welded(mesh: Mesh) -> Int32[np.ndarray, "f 3"]:
    points = mesh.vertices_in_world + 0.0  # -0 is 0
    order = np.lexsort((points[:, 2], points[:, 1], points[:, 0]))
    fresh = np.ones(len(points), bool)
    fresh[1:] = (points[order][1:] != points[order][:-1]).any(axis=1)
    # lexsort is stable, so the first of a run is the one with the least number.
    first = np.empty(len(points), np.int64)
    first[order] = order[fresh][np.cumsum(fresh) - 1]
    return first[mesh.faces].astype(np.int32).reshape(-1, 3)


def _spurious(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Bool[np.ndarray, "f"]:
    """Faces without area, but for those that hold their neighbours together.

    A face with three corners in a line closes the gap between a long edge and two short ones: to
    remove it would open the surface there.
    """
    flat = flat_faces(vertices, faces)
    if not flat.any():
        return flat
    repeats = (faces == np.roll(faces, 1, axis=1)).any(axis=1)
    table = edge_table(faces)
    inside = (table.sides[table.of_side] == 2).reshape(-1, 3).all(axis=1)
    return flat & (repeats | ~inside)
