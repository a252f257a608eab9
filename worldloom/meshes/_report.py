"""What kind of surface a mesh is: counts of everything that keeps it from being a manifold."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32

from worldloom.meshes._soundness import require_sound
from worldloom.meshes._topology import corner_fans, edge_table, face_pieces, side_pairs
from worldloom.scene import Mesh

_FLAT = 1e-12


@dataclass(frozen=True)
class MeshReport:
    """Counts of a mesh."""

    vertices: int
    faces: int
    unused_vertices: int
    """Vertices of no face."""
    components: int
    """Pieces that share no vertex."""
    boundary_edges: int
    """Edges with one face."""
    non_manifold_edges: int
    """Edges with more than two faces."""
    non_manifold_vertices: int
    """Vertices at which separate runs of faces touch."""
    degenerate_faces: int
    """Faces without area."""
    duplicate_faces: int
    """Faces with the corners of another one, counted beyond the first of each."""
    badly_wound_edges: int
    """Edges that their two faces run through in the same direction."""

    @property
    def watertight(self) -> bool:
        """True where every edge has two faces; false for a mesh without faces."""
        return self.faces > 0 and not self.boundary_edges and not self.non_manifold_edges

    @property
    def consistent_winding(self) -> bool:
        """True where neighbouring faces show the same side."""
        return not self.badly_wound_edges

    @property
    def manifold(self) -> bool:
        """True where each edge has at most two faces and each vertex one run of them."""
        return not self.non_manifold_edges and not self.non_manifold_vertices


def mesh_report(mesh: Mesh) -> MeshReport:
    """Counts what keeps a mesh from being a closed, well-oriented manifold.

    Args:
        mesh: Any mesh, also empty.

    Raises:
        InputError: see `require_sound`.
    """
    require_sound(mesh)
    table = edge_table(mesh.faces)
    fans = corner_fans(mesh.faces, side_pairs(table, most=len(table.of_side)))
    fan_vertices = mesh.faces.reshape(-1)[np.unique(fans, return_index=True)[1]]
    pieces = face_pieces(mesh.faces, len(mesh.vertices_in_world))
    return MeshReport(
        vertices=len(mesh.vertices_in_world),
        faces=len(mesh.faces),
        unused_vertices=len(mesh.vertices_in_world) - len(np.unique(mesh.faces)),
        components=int(pieces.max()) + 1 if len(pieces) else 0,
        boundary_edges=int(table.boundary.sum()),
        non_manifold_edges=int(table.non_manifold.sum()),
        non_manifold_vertices=int((np.unique(fan_vertices, return_counts=True)[1] > 1).sum()),
        degenerate_faces=int(flat_faces(mesh.vertices_in_world, mesh.faces).sum()),
        duplicate_faces=int(repeated_faces(mesh.faces).sum()),
        badly_wound_edges=int(table.badly_wound.sum()),
    )


def flat_faces(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Bool[np.ndarray, "f"]:
    """Returns which faces have no area: it is below 1e-12 of the square of the longest side."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    double_area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    longest = np.max([((p - q) ** 2).sum(-1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    return np.asarray(double_area <= 2 * _FLAT * longest)


def repeated_faces(faces: Int32[np.ndarray, "f 3"]) -> Bool[np.ndarray, "f"]:
    """Returns which faces have the corners of an earlier one, in any order."""
    corners = np.sort(faces, axis=1)
    order = np.lexsort((corners[:, 2], corners[:, 1], corners[:, 0]))
    again = (corners[order][1:] == corners[order][:-1]).all(axis=1)
    repeated = np.zeros(len(faces), bool)
    repeated[order[1:][again]] = True
    return repeated
