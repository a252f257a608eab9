"""How a scene was cut: shards of the memory, chunks of the surface, seams between chunks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from worldloom.bench import Bench
from worldloom.display._stored import finished
from worldloom.lattice import cells_from_keys
from worldloom.memory import BLOCK_VOXELS, FUSE_SHARD
from worldloom.neural import FIT_FIELD
from worldloom.surface import FUSE_CHUNK

FACES_FILE = "faces.npz"


@dataclass(frozen=True, eq=False)
class Box:
    """An axis-aligned box of the world."""

    name: str
    lower_in_world: Float64[np.ndarray, "3"]
    upper_in_world: Float64[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class StoredChunk:
    """A chunk that the store holds."""

    chunk_id: int
    blocks: Int64[np.ndarray, "n 3"]
    """Lattice coordinates of its blocks."""
    block_m: float
    """Side of a block, world unit."""

    def box(self) -> Box:
        """Returns the box around its blocks."""
        lower = self.blocks.min(axis=0) * self.block_m
        upper = (self.blocks.max(axis=0) + 1) * self.block_m
        return Box(f"chunk {self.chunk_id}", lower, upper)


def shard_boxes(bench: Bench, evidence: Mapping[str, Any]) -> list[Box]:
    """Returns the shards of the memory that the point cloud was made from.

    Args:
        bench: Store of the run.
        evidence: Of the manifest; without its spacing of the cloud all shards are returned.
    """
    cell_m = evidence.get("cloud_spacing_m")
    boxes = {
        (shard.first_key, shard.end_key): Box("shard", *shard.box_in_world())
        for shard in finished(bench, FUSE_SHARD)
        if shard.cells and cell_m in (None, shard.cell_m)
    }
    return [boxes[key] for key in sorted(boxes)]


def stored_chunks(bench: Bench, evidence: Mapping[str, Any]) -> list[StoredChunk]:
    """Returns the chunks that were fused, or fitted, and cut into faces, by number.

    The store does not say the side of a voxel, so there are none without a finished scene.

    Args:
        bench: Store of the run.
        evidence: Of the manifest.
    """
    voxel_m = evidence.get("voxel_m")
    if voxel_m is None:
        return []
    found: dict[int, StoredChunk] = {}
    # A fitted surface is cut into chunks of its own.
    for chunk in [*finished(bench, FIT_FIELD)] or finished(bench, FUSE_CHUNK):
        # One member of the archive: the faces beside it may be hundreds of megabytes.
        with (
            bench.store.open(chunk.artifact, FACES_FILE) as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            blocks = cells_from_keys(arrays["block_keys"])
        if len(blocks):
            found[chunk.chunk_id] = StoredChunk(
                chunk.chunk_id, blocks, BLOCK_VOXELS * float(voxel_m)
            )
    return [found[number] for number in sorted(found)]


def seam_squares(chunks: Sequence[StoredChunk]) -> Float64[np.ndarray, "n 4 3"]:
    """Returns the faces of blocks at which two chunks meet: corners in order, world."""
    if not chunks:
        return np.zeros((0, 4, 3))
    owner = {
        block: chunk.chunk_id for chunk in chunks for block in map(tuple, chunk.blocks.tolist())
    }
    squares = [
        _square(block, axis)
        for block, number in sorted(owner.items())
        for axis in range(3)
        if owner.get(_next(block, axis), number) != number
    ]
    return np.array(squares, np.float64).reshape(-1, 4, 3) * chunks[0].block_m


def _next(block: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(place + (k == axis) for k, place in enumerate(block))


def _square(block: tuple[int, ...], axis: int) -> list[list[int]]:
    """The upper face of a block along an axis."""
    first, second = ((axis + 1) % 3, (axis + 2) % 3)
    corners: list[list[int]] = []
    for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
        corner = list(block)
        corner[axis] += 1
        corner[first] += a
        corner[second] += b
        corners.append(corner)
    return corners
