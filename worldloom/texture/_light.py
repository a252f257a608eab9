"""The stage that makes the mesh that textures lie on: decimated, cleaned, split into parts."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.merge import MergedMesh, load_mesh
from worldloom.meshes import decimate
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import vertex_normals
from worldloom.texture._partition import partition

LIGHT_FILE = "light.npz"
PART_FACES = 12_000
"""Faces of a part: xatlas takes longer than in proportion to its charts."""
_SMALLEST_PIECE = 8
"""Faces below which a piece that is left of the surface is noise."""


@dataclass(frozen=True)
class LightenWork:
    """A surface, and how light it has to become."""

    surface: MergedMesh
    max_faces: int
    """See `TextureConfig.faces_of`."""

    @property
    def subject(self) -> str:
        """For people."""
        return "light mesh"


@dataclass(frozen=True)
class LightMesh:
    """A mesh for textures; the faces of a part are next to each other."""

    artifact: ArtifactKey
    """Artifact with `light.npz`: the array fields of `Mesh`, and `part_starts` (parts + 1)."""
    vertices: int
    faces: int
    parts: int


@dataclass(frozen=True, eq=False)
class LightArrays:
    """A light mesh in memory."""

    mesh: Mesh
    part_starts: Int32[np.ndarray, "_"]
    """First face of each part, and the number of faces at the end."""

    def part(self, number: int) -> slice:
        """Returns the faces of a part."""
        return slice(int(self.part_starts[number]), int(self.part_starts[number + 1]))


def load_light(bench: Bench, light: LightMesh) -> LightArrays:
    """Returns a light mesh."""
    arrays = dict(bench.arrays(light.artifact, LIGHT_FILE))
    starts = arrays.pop("part_starts")
    return LightArrays(Mesh(**arrays), starts)


def cleaned(mesh: Mesh) -> Mesh:
    """Returns a mesh without faces that nothing can be drawn on, and without loose crumbs.

    Left out are faces that name a vertex twice, that name a vertex that is not finite, that have no
    area, or whose vertices another face has as well; then pieces of fewer than 8 faces, unless all
    are; then vertices that no face uses.
    """
    faces = mesh.faces
    kept = _drawable(mesh)
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    single = np.zeros(len(faces), bool)
    single[first] = True
    faces = faces[kept & single]
    if len(faces):
        faces = faces[_large(faces, len(mesh.vertices_in_world))]
    used = np.zeros(len(mesh.vertices_in_world), bool)
    used[faces] = True
    return Mesh(
        mesh.vertices_in_world[used],
        (np.cumsum(used) - 1)[faces].astype(np.int32).reshape(-1, 3),
        None if mesh.colors is None else mesh.colors[used],
        None if mesh.normals_in_world is None else mesh.normals_in_world[used],
    )


def _drawable(mesh: Mesh) -> Bool[np.ndarray, "f"]:
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    double_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.max([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    # A height below a millionth of the longest side is lost in single precision.
    return np.isfinite(double_area) & (double_area > 1e-6 * longest**2) & (longest > 0)


def _large(faces: Int32[np.ndarray, "f 3"], vertices: int) -> Bool[np.ndarray, "f"]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (vertices, vertices))
    _, of_vertex = connected_components(links.tocsr(), directed=False)
    of_face = of_vertex[faces[:, 0]]
    sizes = np.bincount(of_face)
    return sizes[of_face] >= min(_SMALLEST_PIECE, int(sizes.max()))


def _lighten(bench: Bench, key: ArtifactKey, work: LightenWork) -> LightMesh:
    mesh = cleaned(decimate(load_mesh(bench, work.surface), work.max_faces))
    if not len(mesh.faces):
        raise StageError(
            "the surface has no face with an area; there is nothing to texture", stage="lighten"
        )
    parts = partition(mesh.vertices_in_world[mesh.faces].mean(axis=1), PART_FACES)
    faces = np.ascontiguousarray(mesh.faces[np.concatenate(parts)])
    mesh = replace(
        mesh, faces=faces, normals_in_world=vertex_normals(mesh.vertices_in_world, faces)
    )
    arrays = {name: value for name, value in vars(mesh).items() if value is not None}
    starts = np.cumsum([0, *(len(part) for part in parts)]).astype(np.int32)
    bench.write_arrays(key, LIGHT_FILE, **arrays, part_starts=starts)
    return LightMesh(key, len(mesh.vertices_in_world), len(faces), len(parts))


LIGHTEN = Stage("lighten", 3, Role.MERGER, LightMesh, _lighten)
"""Makes the light mesh that textures lie on."""
