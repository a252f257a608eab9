"""The stage that makes the part of the mesh that one chunk owns."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, UInt8

from worldloom.bench import Bench
from worldloom.merge._alignment import Similarity
from worldloom.merge._pieces import PIECES_FILE, Border, Pieces, load_border
from worldloom.merge._territory import blocks_of_edges
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import vertices_in_world

PART_FILE = "part.npz"
_NORMAL_STEPS = 2.0**24
"""Fixed-point steps of a face's area vector, in voxels squared: sums of integers do not depend on
which chunk adds them up first."""


@dataclass(frozen=True)
class PartWork:
    """A chunk, and the chunks that have vertices on its ground."""

    pieces: Pieces
    neighbours: tuple[Pieces, ...]
    """By chunk id, ascending."""
    groups: ArtifactKey
    """Artifact with the border of the whole scene: which pieces are connected beyond chunks."""
    min_faces: int
    """Pieces of the scene with fewer faces are left out."""
    voxel_m: float
    """Side of a voxel, world unit."""
    world_from_chunk: Similarity | None
    """How the chunk is moved; None: it stays."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"part {self.pieces.chunk_id}"


@dataclass(frozen=True)
class MeshPart:
    """The part of the mesh that one chunk owns."""

    chunk_id: int
    artifact: ArtifactKey
    """Artifact with `part.npz`: `edge_keys` (v, ascending), `vertices_in_world` (v 3), `colors`
    (v 3), `normals_in_world` (v 3) of the vertices on its ground; `corner_keys` (c, ascending),
    the vertices of its faces, on its ground or not, and `faces` (f 3) of rows of them."""
    vertices: int
    faces: int
    kept_pieces: int
    """Pieces inside the chunk that are in the mesh."""
    removed_pieces: int
    """Pieces inside the chunk that are too small."""
    removed_faces: int


@dataclass(frozen=True, eq=False)
class _Kept:
    """What stays of a chunk."""

    edge_keys: Int64[np.ndarray, "v"]
    shares: Float32[np.ndarray, "v"]
    colors: UInt8[np.ndarray, "v 3"]
    faces: Int32[np.ndarray, "f 3"]
    """Rows of the vertices above, some of which no face has."""
    used: Bool[np.ndarray, "v"]
    kept_pieces: int
    removed_pieces: int
    removed_faces: int


def _make_part(bench: Bench, key: ArtifactKey, work: PartWork) -> MeshPart:
    groups = load_border(bench, work.groups)
    own = _kept(bench, work.pieces, groups, work.min_faces)
    others = [_kept(bench, other, groups, work.min_faces) for other in work.neighbours]
    everyone = [own, *others]
    keys = np.concatenate([chunk.edge_keys[chunk.used] for chunk in everyone])
    shares = np.concatenate([chunk.shares[chunk.used] for chunk in everyone])
    colors = np.concatenate([chunk.colors[chunk.used] for chunk in everyone])
    mine = work.pieces.territory.holds(blocks_of_edges(keys))
    edge_keys, first = np.unique(keys[mine], return_index=True)
    shares, colors = shares[mine][first], colors[mine][first]
    normals = np.zeros((len(edge_keys), 3), np.int64)
    for chunk in everyone:
        _add_normals(chunk, edge_keys, normals)
    vertices = vertices_in_world(edge_keys, shares, work.voxel_m)
    lengths = np.sqrt((normals.astype(np.float64) ** 2).sum(axis=1))
    units = normals / np.where(lengths > 0, lengths, 1.0)[:, None]
    if work.world_from_chunk is not None:
        vertices = work.world_from_chunk.apply(vertices)
        units = units @ work.world_from_chunk.matrix().T
    rows = np.cumsum(own.used) - 1
    bench.write_arrays(
        key,
        PART_FILE,
        edge_keys=edge_keys,
        vertices_in_world=vertices,
        colors=colors,
        normals_in_world=units.astype(np.float32),
        corner_keys=own.edge_keys[own.used],
        faces=rows[own.faces].astype(np.int32),
    )
    return MeshPart(
        work.pieces.chunk_id,
        key,
        len(edge_keys),
        len(own.faces),
        own.kept_pieces,
        own.removed_pieces,
        own.removed_faces,
    )


def _kept(bench: Bench, pieces: Pieces, groups: Border, min_faces: int) -> _Kept:
    arrays = bench.arrays(pieces.artifact, PIECES_FILE)
    sizes = arrays["piece_faces"].copy()
    inner = np.ones(len(sizes), np.bool_)
    reaching = groups.piece_chunks == pieces.chunk_id
    numbers = groups.piece_numbers[reaching]
    sizes[numbers] = groups.group_faces[groups.piece_groups[reaching]]
    inner[numbers] = False
    large = sizes >= min_faces
    faces = arrays["faces"][large[arrays["piece_of_face"]]]
    used = np.zeros(len(arrays["edge_keys"]), np.bool_)
    used[faces] = True
    return _Kept(
        arrays["edge_keys"],
        arrays["shares"],
        arrays["colors"],
        faces,
        used,
        kept_pieces=int((inner & large).sum()),
        removed_pieces=int((inner & ~large).sum()),
        removed_faces=len(arrays["faces"]) - len(faces),
    )


def _add_normals(
    chunk: _Kept, edge_keys: Int64[np.ndarray, "v"], normals: Int64[np.ndarray, "v 3"]
) -> None:
    """Adds the area vectors of the faces of a chunk to those vertices that are asked for."""
    if not len(edge_keys):
        return
    rows = np.searchsorted(edge_keys, chunk.edge_keys)
    asked = edge_keys[np.minimum(rows, len(edge_keys) - 1)] == chunk.edge_keys
    faces = chunk.faces[asked[chunk.faces].any(axis=1)]
    points: Float64[np.ndarray, "v 3"] = vertices_in_world(chunk.edge_keys, chunk.shares, 1.0)
    _sum_normals(points, faces, np.where(asked, rows, -1), normals)


@numba.njit(cache=True, nogil=True)
def _sum_normals(
    points: np.ndarray, faces: np.ndarray, rows: np.ndarray, normals: np.ndarray
) -> None:
    for i in range(len(faces)):
        a, b, c = points[faces[i, 0]], points[faces[i, 1]], points[faces[i, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        x = np.int64(np.rint((uy * vz - uz * vy) * _NORMAL_STEPS))
        y = np.int64(np.rint((uz * vx - ux * vz) * _NORMAL_STEPS))
        z = np.int64(np.rint((ux * vy - uy * vx) * _NORMAL_STEPS))
        for corner in range(3):
            row = rows[faces[i, corner]]
            if row >= 0:
                normals[row, 0] += x
                normals[row, 1] += y
                normals[row, 2] += z


MAKE_PART = Stage("make-part", 1, Role.CHUNK, MeshPart, _make_part)
"""Makes the part of the mesh that one chunk owns."""
