"""The fused distance that a field starts from, and where it has to give way to it."""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.memory import BLOCK_VOXELS
from worldloom.surface import Volume

_SIDE = BLOCK_VOXELS + 1
_CORNERS = tuple(product((0, 1), repeat=3))
_UNKNOWN = 1.0
"""Fused distance where no view said anything, truncation distances: empty space."""


@dataclass(frozen=True, eq=False)
class Seed:
    """Distance and freedom on the samples of the blocks of a chunk and of those round it.

    Distances are in voxels here, and places in voxels from the low corner of the box round all
    blocks, where single precision is fine enough wherever in the world that is.
    """

    blocks: Int64[np.ndarray, "n 3"]
    """Lattice coordinates."""
    own: Int64[np.ndarray, "m"]
    """Which of them belong to the chunk, in the order of its keys."""
    distance: Float32[np.ndarray, "n 17 17 17"]
    """Fused signed distance, positive before the surface, cut at `truncation`."""
    freedom: Float32[np.ndarray, "n 17 17 17"]
    """How much the field may add, 0 where a block of another chunk has the sample too, to 1."""
    truncation: float
    """Distance at which the fused distance saturates."""
    _device: dict[str, tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=dict[str, tuple[Tensor, Tensor, Tensor]]
    )

    @property
    def low(self) -> Int64[np.ndarray, "3"]:
        """Lowest corner of the box round all blocks, voxels."""
        return self.blocks.min(axis=0) * BLOCK_VOXELS

    @property
    def size(self) -> Int64[np.ndarray, "3"]:
        """Sides of that box, voxels."""
        return (np.ptp(self.blocks, axis=0) + 1) * BLOCK_VOXELS

    def at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Returns distance and freedom at places, by trilinear interpolation.

        Args:
            places: [n 3]; outside of the blocks nothing is known, and nothing free.
        """
        table, distance, freedom = self._tensors(places.device)
        floor = torch.floor(places)
        share = places - floor
        cell = floor.long()
        block = torch.div(cell, BLOCK_VOXELS, rounding_mode="floor")
        limit = torch.tensor(table.shape, device=places.device)
        inside = ((block >= 0) & (block < limit)).all(dim=1)
        block = torch.where(inside[:, None], block, torch.zeros_like(block))
        row = torch.where(inside, table[block[:, 0], block[:, 1], block[:, 2]], -1)
        known = row >= 0
        within = cell - block * BLOCK_VOXELS
        within = torch.where(known[:, None], within, torch.zeros_like(within))
        first = torch.where(known, row, torch.zeros_like(row)) * _SIDE**3
        found = torch.zeros(len(places), device=places.device)
        free = torch.zeros(len(places), device=places.device)
        for i, j, k in _CORNERS:
            weight = (
                (share[:, 0] if i else 1 - share[:, 0])
                * (share[:, 1] if j else 1 - share[:, 1])
                * (share[:, 2] if k else 1 - share[:, 2])
            )
            index = first + ((within[:, 0] + i) * _SIDE + within[:, 1] + j) * _SIDE
            index = index + within[:, 2] + k
            found = found + weight * distance[index]
            free = free + weight * freedom[index]
        outside = torch.full_like(found, _UNKNOWN * self.truncation)
        return torch.where(known, found, outside), torch.where(known, free, torch.zeros_like(free))

    def _tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        name = str(device)
        if name not in self._device:
            index = self.blocks - self.blocks.min(axis=0)
            table = np.full(np.ptp(self.blocks, axis=0) + 1, -1, np.int64)
            table[tuple(index.T)] = np.arange(len(index))
            arrays = (table, self.distance.reshape(-1), self.freedom.reshape(-1))
            first, second, third = (torch.from_numpy(array).to(device) for array in arrays)
            self._device[name] = (first, second, third)
        return self._device[name]


def seed_from(volume: Volume, own: Int64[np.ndarray, "m"], truncation_m: float, seam: int) -> Seed:
    """Returns what a field starts from.

    Args:
        volume: Fused blocks of a chunk and of the blocks that touch them.
        own: Keys of the blocks of the chunk, ascending.
        truncation_m: Distance at which the fused distance saturates, world unit.
        seam: Voxels over which freedom grows from 0, at a block of another chunk, to 1.
    """
    blocks = cells_from_keys(volume.block_keys)
    truncation = truncation_m / volume.voxel_m
    known = volume.weights > 0
    share = np.divide(
        volume.distances, volume.weights, out=np.full_like(volume.distances, _UNKNOWN), where=known
    )
    rows = np.searchsorted(volume.block_keys, own)
    freedom = np.zeros_like(share)
    foreign = set(volume.block_keys.tolist()) - set(own.tolist())
    for row in rows:
        freedom[row] = _freedom(blocks[row], foreign, seam)
    return Seed(blocks, rows, share * np.float32(truncation), freedom, truncation)


def _freedom(
    block: Int64[np.ndarray, "3"], foreign: set[int], seam: int
) -> Float32[np.ndarray, "17 17 17"]:
    """1 but near the blocks of others, where it falls to 0 with the largest offset on any axis."""
    free = np.ones((_SIDE,) * 3, np.float32)
    steps = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
    keys = keys_from_cells(block + np.array(steps)).tolist()
    along = np.arange(_SIDE)
    ramps = {-1: along, 0: np.zeros(_SIDE, np.int64), 1: BLOCK_VOXELS - along}
    for step, key in zip(steps, keys, strict=True):
        if key in foreign:
            x, y, z = (ramps[offset] for offset in step)
            away = np.maximum(np.maximum(x[:, None, None], y[None, :, None]), z[None, None, :])
            free = np.minimum(free, np.minimum(away / np.float32(seam), 1).astype(np.float32))
    return free
