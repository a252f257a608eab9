"""Who owns which part of space: the chunks cut the Morton order of the lattice into ranges.

A chunk owns all of space from its first block to the first block of the next chunk, blocks without
a surface too. So every edge of the lattice, and with it every vertex, has exactly one owner.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from worldloom.errors import StageError
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.memory import BLOCK_VOXELS
from worldloom.surface import ChunkFaces

END_OF_SPACE = 2**62
"""Beyond every Morton key."""
_AROUND = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.int64)


@dataclass(frozen=True)
class Territory:
    """A range of blocks."""

    first: int
    end: int
    """Blocks with Morton keys in [first, end)."""

    def holds(self, block_keys: Int64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        """Returns which blocks belong to it."""
        return np.asarray((block_keys >= self.first) & (block_keys < self.end))


def territories(chunks: Sequence[ChunkFaces]) -> tuple[Territory, ...]:
    """Returns the territory of each chunk.

    Args:
        chunks: Of one plan, ascending by chunk id.

    Raises:
        StageError: they overlap or are out of order.
    """
    for before, after in itertools.pairwise(chunks):
        if before.last_block >= after.first_block:
            raise StageError(
                f"chunks {before.chunk_id} and {after.chunk_id} overlap or are out of order; "
                "give the chunks of one plan",
                stage="merge",
                subject=f"chunk {after.chunk_id}",
            )
    starts = [0, *(chunk.first_block for chunk in chunks[1:])]
    ends = [*starts[1:], END_OF_SPACE]
    return tuple(Territory(first, end) for first, end in zip(starts, ends, strict=True))


def blocks_of_edges(edge_keys: Int64[np.ndarray, "e"]) -> Int64[np.ndarray, "e"]:
    """Returns the Morton key of the block that owns each edge: the one of its lower sample."""
    return keys_from_cells(cells_from_keys(edge_keys >> 2) // BLOCK_VOXELS)


def crosses_border(
    edge_keys: Int64[np.ndarray, "e"], territory: Territory
) -> Bool[np.ndarray, "e"]:
    """Returns which edges lie on a cube that does not belong to the territory.

    Faces of up to four cubes meet at an edge, so a vertex on such an edge may be in another chunk
    too.
    """
    samples = cells_from_keys(edge_keys >> 2)
    axes = edge_keys & 3
    across = np.stack([(axes + 1) % 3, (axes + 2) % 3], axis=1)
    rows = np.arange(len(samples))
    crossing = np.zeros(len(samples), np.bool_)
    for steps in _AROUND:
        cubes = samples.copy()
        for side in range(2):
            cubes[rows, across[:, side]] -= steps[side]
        crossing |= ~territory.holds(keys_from_cells(cubes // BLOCK_VOXELS))
    return crossing
