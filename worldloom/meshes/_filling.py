"""Holes of a mesh, filled."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from worldloom.meshes._fairing import faired, interpolated
from worldloom.meshes._loops import Loop, boundary_loops, diameter, is_hole
from worldloom.meshes._patch import Patch, refined_patch
from worldloom.meshes._topology import edge_table
from worldloom.meshes._triangulation import triangulated
from worldloom.render import face_normals
from worldloom.scene import Mesh
from worldloom.surface import vertex_normals

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FilledMesh:
    """A mesh with its holes filled."""

    mesh: Mesh
    """The given vertices and faces come first, unchanged."""
    filled: int
    """Holes that are closed now."""
    left_open: int
    """Holes small enough to be filled that have too many edges, or that no triangles fit into."""


def filled_mesh(mesh: Mesh, max_diameter: float, max_edges: int) -> FilledMesh:
    """Fills the holes of a mesh with triangles as dense as those around them.

    Outer edges of sheets are no holes. Vertices inside are laid as a thin plate, their colours
    are the mean of their neighbours'; normals are of the new surface.

    Args:
        mesh: A manifold whose faces are wound alike, also empty.
        max_diameter: Diagonal of the box around the greatest hole that is filled, world unit.
        max_edges: Edges of the longest loop that is filled; time grows with the third power.
    """
    vertices = mesh.vertices_in_world
    normals = face_normals(vertices, mesh.faces).astype(np.float64)
    holes = [
        loop
        for loop in boundary_loops(mesh.faces, len(vertices))
        if len(loop.vertices) >= 3
        and diameter(vertices[loop.vertices]) <= max_diameter
        and is_hole(loop, vertices, normals)
    ]
    short = [loop for loop in holes if len(loop.vertices) <= max_edges]
    taken = _taken_joins(mesh, short)
    patches = [
        _patch(vertices[loop.vertices], normals[loop.faces], joins)
        for loop, joins in zip(short, taken, strict=True)
    ]
    pairs = [(loop, patch) for loop, patch in zip(short, patches, strict=True) if patch is not None]
    left_open = len(holes) - len(pairs)
    if left_open:
        _logger.warning("%d holes of the mesh are left open: too intricate to fill", left_open)
    return FilledMesh(_with_patches(mesh, pairs), len(pairs), left_open)


def _patch(
    points: Float64[np.ndarray, "n 3"],
    normals: Float64[np.ndarray, "n 3"],
    taken: Bool[np.ndarray, "n n"],
) -> Patch | None:
    triangles = triangulated(points, normals, taken)
    return refined_patch(points, triangles, taken) if len(triangles) else None


def _taken_joins(mesh: Mesh, loops: Sequence[Loop]) -> list[Bool[np.ndarray, "_ _"]]:
    """For each loop, which of its vertices the mesh joins already, beside its own sides."""
    loop_of = np.full(len(mesh.vertices_in_world), -1, np.int64)
    place = np.zeros(len(mesh.vertices_in_world), np.int64)
    for number, loop in enumerate(loops):
        loop_of[loop.vertices] = number
        place[loop.vertices] = np.arange(len(loop.vertices))
    table = edge_table(mesh.faces)
    a, b = table.ends[~table.boundary].T
    within = (loop_of[a] >= 0) & (loop_of[a] == loop_of[b])
    taken = [np.zeros((len(loop.vertices),) * 2, bool) for loop in loops]
    for number, i, j in zip(
        loop_of[a][within].tolist(),
        place[a][within].tolist(),
        place[b][within].tolist(),
        strict=True,
    ):
        taken[number][i, j] = taken[number][j, i] = True
    return taken


def _with_patches(mesh: Mesh, pairs: Sequence[tuple[Loop, Patch]]) -> Mesh:
    if not pairs:
        return mesh
    first = len(mesh.vertices_in_world)
    points, faces, count = [mesh.vertices_in_world], [mesh.faces], first
    for loop, patch in pairs:
        rim = len(loop.vertices)
        numbers = np.concatenate([loop.vertices, np.arange(count, count + len(patch.points) - rim)])
        points.append(patch.points[rim:])
        faces.append(numbers[patch.triangles].astype(np.int32))
        count += len(patch.points) - rim
    vertices, all_faces = np.concatenate(points), np.concatenate(faces)
    around = all_faces[_near(all_faces, first, count)]
    vertices = faired(vertices, around, first)
    colors, normals = mesh.colors, mesh.normals_in_world
    if colors is not None:
        values = np.zeros((count, 3))
        values[:first] = colors
        values = interpolated(values, around, first)
        colors = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if normals is not None:
        fresh = vertex_normals(vertices, all_faces)
        normals = np.concatenate([normals, fresh[first:]])
    return Mesh(vertices, all_faces, colors, normals)


def _near(faces: np.ndarray, first: int, count: int) -> Bool[np.ndarray, "f"]:
    """Faces that hold a vertex from `first` on, or a neighbour of one."""
    close = np.zeros(count, bool)
    close[first:] = True
    close[faces[close[faces].any(axis=1)]] = True
    return np.asarray(close[faces].any(axis=1))
