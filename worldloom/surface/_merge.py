"""The stage that makes one mesh of the faces of all chunks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from worldloom.bench import Bench
from worldloom.errors import ReconstructionError, StageError
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface._chunk import FACES_FILE, ChunkFaces
from worldloom.surface._config import SurfaceConfig
from worldloom.surface._polygons import vertices_in_world

MESH_FILE = "mesh.npz"


@dataclass(frozen=True)
class MergeWork:
    """The chunks of one scene."""

    chunks: tuple[ChunkFaces, ...]
    """By chunk id, ascending."""
    voxel_m: float
    """Side of a voxel, world unit."""
    min_component_faces: int
    """See `SurfaceConfig`."""

    @property
    def subject(self) -> str:
        """For people."""
        return "mesh"


@dataclass(frozen=True)
class MergedMesh:
    """The mesh of a scene."""

    artifact: ArtifactKey
    """Artifact with `mesh.npz`: `vertices_in_world`, `faces`, `colors`, `normals_in_world`."""
    vertices: int
    faces: int
    components: int
    """Connected pieces kept."""
    removed_components: int
    """Pieces removed because they were small."""
    removed_faces: int


def merge_work(chunks: Sequence[ChunkFaces], voxel_m: float, config: SurfaceConfig) -> MergeWork:
    """Returns the work item that makes one mesh of chunks."""
    ordered = tuple(sorted(chunks, key=lambda chunk: chunk.chunk_id))
    return MergeWork(ordered, voxel_m, config.min_component_faces)


def _merge(bench: Bench, key: ArtifactKey, work: MergeWork) -> MergedMesh:
    parts = [bench.arrays(c.artifact, FACES_FILE) for c in work.chunks if c.faces]
    if not parts:
        raise ReconstructionError(
            f"none of the {len(work.chunks)} chunks has a surface; check the poses and the overlap "
            "of the views, or lower min_views",
            stage="merge",
            failed=len(work.chunks),
            total=len(work.chunks),
        )
    if (np.diff(np.concatenate([part["block_keys"] for part in parts])) <= 0).any():
        raise StageError("chunks overlap or are out of order; give the chunks of one plan")
    first_vertex = np.cumsum([0, *(len(part["edge_keys"]) for part in parts)])
    faces = np.concatenate(
        [part["faces"] + start for part, start in zip(parts, first_vertex, strict=False)]
    )
    edge_keys, faces, shares, colors = _weld(
        np.concatenate([part["edge_keys"] for part in parts]),
        faces,
        np.concatenate([part["shares"] for part in parts]),
        np.concatenate([part["colors"] for part in parts]),
    )
    pieces = large_components(faces, len(edge_keys), work.min_component_faces)
    faces = faces[pieces.kept_faces]
    used = np.zeros(len(edge_keys), np.bool_)
    used[faces] = True
    faces = (np.cumsum(used) - 1)[faces].astype(np.int32)
    vertices = vertices_in_world(edge_keys[used], shares[used], work.voxel_m)
    bench.write_arrays(
        key,
        MESH_FILE,
        vertices_in_world=vertices,
        faces=faces,
        colors=colors[used],
        normals_in_world=vertex_normals(vertices, faces),
    )
    return MergedMesh(
        key,
        len(vertices),
        len(faces),
        pieces.kept,
        pieces.removed,
        len(pieces.kept_faces) - len(faces),
    )


def _weld(
    edge_keys: Int64[np.ndarray, "v"],
    faces: Int64[np.ndarray, "f 3"],
    shares: Float32[np.ndarray, "v"],
    colors: np.ndarray,
) -> tuple[Int64[np.ndarray, "w"], Int64[np.ndarray, "f 3"], Float32[np.ndarray, "w"], np.ndarray]:
    """Joins the vertices that blocks share; the same edge is the same vertex, to the last bit."""
    unique, first, inverse = np.unique(edge_keys, return_index=True, return_inverse=True)
    if (shares[first][inverse] != shares).any() or (colors[first][inverse] != colors).any():
        raise StageError(
            "blocks do not agree on the vertices that they share; chunks of different versions "
            "were mixed: clear the store and run again"
        )
    return unique, inverse[faces], shares[first], colors[first]


@dataclass(frozen=True, eq=False)
class Components:
    """Which connected pieces of a mesh are large enough."""

    kept_faces: Bool[np.ndarray, "f"]
    kept: int
    removed: int


def large_components(faces: Int64[np.ndarray, "f 3"], vertices: int, min_faces: int) -> Components:
    """Finds the connected pieces with at least `min_faces` faces; the largest always counts."""
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), (vertices,) * 2)
    _, of_vertex = connected_components(links.tocsr(), directed=False)
    of_face = of_vertex[faces[:, 0]]
    sizes = np.bincount(of_face)
    kept = sizes >= min(min_faces, sizes.max())
    kept &= sizes > 0
    return Components(kept[of_face], int(kept.sum()), int(((sizes > 0) & ~kept).sum()))


def vertex_normals(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float32[np.ndarray, "v 3"]:
    """Returns unit normals of vertices: the mean over their faces, weighted by area."""
    return _normals(vertices, faces)


@numba.njit(cache=True, nogil=True)
def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(vertices), 3))
    for i in range(len(faces)):
        a, b, c = vertices[faces[i, 0]], vertices[faces[i, 1]], vertices[faces[i, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        for corner in range(3):
            total = sums[faces[i, corner]]
            total[0] += uy * vz - uz * vy
            total[1] += uz * vx - ux * vz
            total[2] += ux * vy - uy * vx
    normals = np.zeros((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        length = np.sqrt(sums[i, 0] ** 2 + sums[i, 1] ** 2 + sums[i, 2] ** 2)
        for axis in range(3):
            if length > 0.0:
                normals[i, axis] = sums[i, axis] / length
    return normals


def load_mesh(bench: Bench, merged: MergedMesh) -> Mesh:
    """Returns the mesh of a scene."""
    return Mesh(**bench.arrays(merged.artifact, MESH_FILE))


MERGE = Stage("merge", 1, Role.MERGER, MergedMesh, _merge)
"""Makes one mesh of the faces of all chunks."""
