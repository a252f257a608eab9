"""Features of places on grids of several cell sizes, after Mueller et al. 2022 (Instant NGP)."""

from itertools import product

import torch
from torch import Tensor, nn

_CORNERS = tuple((i, j, k) for i, j, k in product((0, 1), repeat=3))
_PRIMES = (1, 2654435761, 805459861)
"""Of the hash of Mueller et al. 2022, equation 4."""


class FeatureGrids(nn.Module):
    """Trilinear features of several levels, side by side.

    A level whose grid fits its table is dense; cells of larger ones are found by a hash and may
    share an entry.

    Args:
        size: Sides of the box that starts at 0, voxels.
        levels: Number of levels; the finest has cells of half a voxel.
        features: Features a level.
        table_log2: Entries of a table at most, as a power of two.
        generator: Of the starting values, which are tiny.
    """

    def __init__(
        self,
        size: tuple[float, float, float],
        levels: int,
        features: int,
        table_log2: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.features = features
        self.cells = [0.5 * 2.0**level for level in reversed(range(levels))]
        """Side of a cell of each level, voxels; coarse to fine."""
        self._counts = [tuple(int(side / cell) + 2 for side in size) for cell in self.cells]
        self._mask = 2**table_log2 - 1
        tables: list[Tensor] = []
        for counts in self._counts:
            entries = min(counts[0] * counts[1] * counts[2], self._mask + 1)
            start = torch.empty(entries, features).uniform_(-1e-4, 1e-4, generator=generator)
            tables.append(start)
        self.tables = nn.ParameterList(tables)

    def forward(self, places: Tensor, open_levels: float) -> Tensor:
        """Returns [n levels * features] features of [n 3] places, voxels.

        Args:
            places: Places.
            open_levels: Levels that count, coarse to fine; a part of one counts by that part.
        """
        found: list[Tensor] = []
        for level, table in enumerate(self.tables):
            share = min(max(open_levels - level, 0.0), 1.0)
            if share == 0.0:
                found.append(places.new_zeros(len(places), self.features))
                continue
            found.append(share * self._level(places, level, table))
        return torch.cat(found, dim=1)

    def _level(self, places: Tensor, level: int, table: Tensor) -> Tensor:
        scaled = places / self.cells[level]
        floor = torch.floor(scaled)
        share = scaled - floor
        cell = floor.long()
        weights = torch.stack([1 - share, share])
        indices: list[Tensor] = []
        factors: list[Tensor] = []
        for corner in _CORNERS:
            indices.append(self._index(cell, corner, level))
            i, j, k = corner
            factors.append(weights[i, :, 0] * weights[j, :, 1] * weights[k, :, 2])
        index, factor = torch.stack(indices, dim=1), torch.stack(factors, dim=1)
        return torch.nn.functional.embedding_bag(
            index, table, per_sample_weights=factor, mode="sum"
        )

    def _index(self, cell: Tensor, corner: tuple[int, int, int], level: int) -> Tensor:
        x, y, z = (cell[:, axis] + corner[axis] for axis in range(3))
        nx, ny, nz = self._counts[level]
        if nx * ny * nz <= self._mask + 1:
            # Places outside belong to samples that no ray counts on.
            x, y, z = x.clamp(0, nx - 1), y.clamp(0, ny - 1), z.clamp(0, nz - 1)
            return (x * ny + y) * nz + z
        return ((x * _PRIMES[0]) ^ (y * _PRIMES[1]) ^ (z * _PRIMES[2])) & self._mask
