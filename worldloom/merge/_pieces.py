"""The stage that finds the connected pieces of one chunk, and its border."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.lattice import cells_from_keys
from worldloom.merge._territory import Territory, crosses_border
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import FACES_FILE, ChunkFaces

PIECES_FILE = "pieces.npz"
BORDER_FILE = "border.npz"


@dataclass(frozen=True)
class PiecesWork:
    """A chunk, and what of space is its own."""

    chunk: ChunkFaces
    territory: Territory

    @property
    def subject(self) -> str:
        """For people."""
        return f"chunk {self.chunk.chunk_id}"


@dataclass(frozen=True)
class Pieces:
    """A chunk whose blocks are welded, with its connected pieces."""

    chunk_id: int
    artifact: ArtifactKey
    """Artifact with `pieces.npz`: `edge_keys` (v, ascending), `shares` (v), `colors` (v 3),
    `faces` (f 3), `piece_of_face` (f), `piece_faces` (p); and `border.npz`, see `Border`."""
    territory: Territory
    vertices: int
    faces: int
    pieces: int
    border: int
    """Vertices that may be in other chunks too."""
    largest_inner: int
    """Faces of the largest piece that does not reach the border; 0 without one."""
    lower: tuple[int, int, int]
    """Least sample of its vertices, lattice coordinates."""
    upper: tuple[int, int, int]
    """Beyond the greatest one."""


@dataclass(frozen=True, eq=False)
class Border:
    """Vertices on the border of a territory, and the pieces that reach it."""

    edge_keys: Int64[np.ndarray, "b"]
    """Ascending; an edge stands here once for each chunk that has it."""
    shares: Float32[np.ndarray, "b"]
    colors: UInt8[np.ndarray, "b 3"]
    chunks: Int32[np.ndarray, "b"]
    """Chunk that has the vertex."""
    pieces: Int32[np.ndarray, "b"]
    """Row of its piece in the three tables below."""
    piece_chunks: Int32[np.ndarray, "p"]
    piece_numbers: Int32[np.ndarray, "p"]
    """Number of the piece in its chunk."""
    piece_groups: Int32[np.ndarray, "p"]
    """Number of the group of pieces that are connected beyond their chunks."""
    group_faces: Int64[np.ndarray, "g"]


def load_border(bench: Bench, artifact: ArtifactKey) -> Border:
    """Returns the border that an artifact holds."""
    return Border(**bench.arrays(artifact, BORDER_FILE))


def write_border(bench: Bench, key: ArtifactKey, border: Border) -> None:
    """Writes a border into an artifact."""
    bench.write_arrays(key, BORDER_FILE, **vars(border))


def _find_pieces(bench: Bench, key: ArtifactKey, work: PiecesWork) -> Pieces:
    raw = bench.arrays(work.chunk.artifact, FACES_FILE)
    unique, first, inverse = np.unique(raw["edge_keys"], return_index=True, return_inverse=True)
    shares, colors = raw["shares"][first], raw["colors"][first]
    require_agreement(shares[inverse], raw["shares"], colors[inverse], raw["colors"])
    faces = inverse[raw["faces"]].astype(np.int32).reshape(-1, 3)
    piece_of_vertex, piece_faces = _components(faces, len(unique))
    bench.write_arrays(
        key,
        PIECES_FILE,
        edge_keys=unique,
        shares=shares,
        colors=colors,
        faces=faces,
        piece_of_face=piece_of_vertex[faces[:, 0]],
        piece_faces=piece_faces,
    )
    on_border = np.flatnonzero(crosses_border(unique, work.territory))
    reaching, rows = np.unique(piece_of_vertex[on_border], return_inverse=True)
    border = Border(
        edge_keys=unique[on_border],
        shares=shares[on_border],
        colors=colors[on_border],
        chunks=np.full(len(on_border), work.chunk.chunk_id, np.int32),
        pieces=rows.astype(np.int32),
        piece_chunks=np.full(len(reaching), work.chunk.chunk_id, np.int32),
        piece_numbers=reaching.astype(np.int32),
        piece_groups=np.arange(len(reaching), dtype=np.int32),
        group_faces=piece_faces[reaching],
    )
    write_border(bench, key, border)
    inner = np.delete(piece_faces, reaching)
    samples = cells_from_keys(unique >> 2)
    lower, upper = samples.min(axis=0).tolist(), (samples.max(axis=0) + 1).tolist()
    return Pieces(
        work.chunk.chunk_id,
        key,
        work.territory,
        vertices=len(unique),
        faces=len(faces),
        pieces=len(piece_faces),
        border=len(on_border),
        largest_inner=int(inner.max(initial=0)),
        lower=(lower[0], lower[1], lower[2]),
        upper=(upper[0], upper[1], upper[2]),
    )


def require_agreement(
    shares: np.ndarray, other_shares: np.ndarray, colors: np.ndarray, other_colors: np.ndarray
) -> None:
    """Checks that what two blocks say of the same vertices is the same, to the last bit.

    Raises:
        StageError: it is not.
    """
    if (shares != other_shares).any() or (colors != other_colors).any():
        raise StageError(
            "blocks do not agree on the vertices that they share; chunks of different versions "
            "were mixed: clear the store and run again",
            stage="merge",
        )


def _components(
    faces: Int32[np.ndarray, "f 3"], vertices: int
) -> tuple[Int32[np.ndarray, "v"], Int64[np.ndarray, "p"]]:
    """Returns the connected piece of each vertex, and the faces of each piece."""
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), (vertices,) * 2)
    count, of_vertex = connected_components(links.tocsr(), directed=False)
    sizes = np.bincount(of_vertex[faces[:, 0]], minlength=count if vertices else 0)
    return of_vertex.astype(np.int32), sizes.astype(np.int64)


FIND_PIECES = Stage("find-pieces", 1, Role.CHUNK, Pieces, _find_pieces)
"""Finds the connected pieces of one chunk, and its border."""
