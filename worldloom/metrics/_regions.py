"""Which chunk of the surface plan a place belongs to, and between which chunks it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from worldloom.lattice import AXIS_LIMIT, cells_from_keys, keys_from_cells
from worldloom.memory import BLOCK_VOXELS
from worldloom.scene import Chunk

SEAM_VOXELS = 4.0
"""Places this near to a block of another chunk, in voxels, belong to the seam between the two."""
NOWHERE = -1
_SIDES = np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class Regions:
    """Chunks and seams of a scene by place."""

    keys: Int64[np.ndarray, "n"]
    """Blocks of all chunks, ascending."""
    chunk: Int64[np.ndarray, "n"]
    """Position of the chunk of each block in `chunk_ids`."""
    across: Int64[np.ndarray, "n 6"]
    """Seam across each side of a block, +x +y +z -x -y -z; -1 where there is none."""
    chunk_ids: tuple[int, ...]
    seams: tuple[tuple[int, int], ...]
    """Ids of the chunks that meet, the smaller first; ascending."""
    voxel_m: float
    """Side of a voxel, world unit."""

    def chunk_of(self, points_in_world: Float64[np.ndarray, "p 3"]) -> Int64[np.ndarray, "p"]:
        """Returns the position in `chunk_ids` of each point's chunk; -1 outside of all."""
        block, _ = self._blocks(points_in_world)
        return np.append(self.chunk, NOWHERE)[block]

    def seam_of(self, points_in_world: Float64[np.ndarray, "p 3"]) -> Int64[np.ndarray, "p"]:
        """Returns the position in `seams` of the nearest seam within reach; -1 where none is."""
        block, place = self._blocks(points_in_world)
        # Distance to each side of the block, in voxels.
        distance = np.concatenate([BLOCK_VOXELS - place, place], axis=1)
        seam = np.append(self.across, np.full((1, 6), NOWHERE), axis=0)[block]
        distance = np.where(seam < 0, np.inf, distance)
        side = distance.argmin(axis=1)[:, None]
        near = np.take_along_axis(distance, side, 1)[:, 0] <= SEAM_VOXELS
        return np.where(near, np.take_along_axis(seam, side, 1)[:, 0], NOWHERE)

    def _blocks(
        self, points_in_world: Float64[np.ndarray, "p 3"]
    ) -> tuple[Int64[np.ndarray, "p"], Float64[np.ndarray, "p 3"]]:
        """Row of the block of each point, and its place in it, in voxels."""
        in_blocks = points_in_world / (BLOCK_VOXELS * self.voxel_m)
        cells = np.floor(in_blocks).astype(np.int64)
        place = (in_blocks - cells) * BLOCK_VOXELS
        # What is measured may lie beyond the lattice, which no chunk does.
        inside = (np.abs(in_blocks) < AXIS_LIMIT - 1).all(axis=1)
        rows = np.full(len(cells), NOWHERE, np.int64)
        rows[inside] = _rows(self.keys, keys_from_cells(cells[inside]))
        return rows, place


def regions_from_chunks(chunks: Sequence[Chunk], voxel_m: float) -> Regions:
    """Returns the regions of a chunk plan.

    Two chunks meet where blocks of theirs share a side.

    Args:
        chunks: The plan.
        voxel_m: Side of a voxel, world unit.
    """
    parts = [keys_from_cells(np.array(chunk.blocks, np.int64).reshape(-1, 3)) for chunk in chunks]
    keys = np.concatenate([*parts, np.empty(0, np.int64)])
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(keys)
    keys, owner = keys[order], owner[order]
    cells = cells_from_keys(keys)
    beside = np.stack([_rows(keys, keys_from_cells(cells + side)) for side in _SIDES], axis=-1)
    # The last row stands for what is not there.
    other = np.where(beside < 0, owner[:, None], np.append(owner, NOWHERE)[beside])
    low, high = np.minimum(owner[:, None], other), np.maximum(owner[:, None], other)
    meets = low != high
    pairs, inverse = np.unique(low[meets] * len(parts) + high[meets], return_inverse=True)
    across = np.full(beside.shape, NOWHERE, np.int64)
    across[meets] = inverse
    ids = tuple(chunk.chunk_id for chunk in chunks)
    seams = tuple(
        (min(ids[a], ids[b]), max(ids[a], ids[b]))
        for a, b in (divmod(int(pair), len(parts)) for pair in pairs)
    )
    return Regions(keys, owner, across, ids, seams, voxel_m)


def _rows(keys: Int64[np.ndarray, "n"], wanted: Int64[np.ndarray, "p"]) -> Int64[np.ndarray, "p"]:
    """Position of keys in an ascending list; -1 where they are not in it."""
    if not len(keys):
        return np.full(len(wanted), NOWHERE, np.int64)
    row = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[row] == wanted, row, NOWHERE)
