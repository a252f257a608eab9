"""What the seams between chunks are like."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int32, Int64

if TYPE_CHECKING:
    from worldloom.merge._pieces import Border


@dataclass(frozen=True)
class Seam:
    """Where two chunks meet."""

    first: int
    """The smaller chunk id."""
    second: int
    shared_vertices: int = 0
    """Vertices that both have."""
    one_sided_vertices: int = 0
    """Vertices of one on the ground of the other, which has none there: the surface ends."""
    gap_m: float = 0.0
    """Greatest distance between the places that both give one vertex, world unit."""
    color_step: int = 0
    """Greatest difference between the colours that both give one vertex, levels."""


class SeamTable:
    """Seams that are being counted."""

    def __init__(self) -> None:
        self._seams: dict[tuple[int, int], Seam] = {}

    @classmethod
    def of(cls, seams: Iterable[Seam]) -> "SeamTable":
        """Returns a table with some seams in it."""
        table = cls()
        for seam in seams:
            table._seams[seam.first, seam.second] = seam
        return table

    def seams(self) -> tuple[Seam, ...]:
        """Returns the seams, by chunk ids."""
        return tuple(self._seams[pair] for pair in sorted(self._seams))

    def add_shared(
        self,
        chunks: Int32[np.ndarray, "m"],
        others: Int32[np.ndarray, "m"],
        gaps_m: Float64[np.ndarray, "m"],
        color_steps: np.ndarray,
    ) -> None:
        """Counts vertices that two chunks have.

        Args:
            chunks: One of the two.
            others: The other one.
            gaps_m: Distance between the places that they give it, world unit.
            color_steps: Difference of the colours that they give it, levels.
        """
        for pair, rows in _by_pair(chunks, others):
            seam = self._seams.get(pair, Seam(*pair))
            self._seams[pair] = replace(
                seam,
                shared_vertices=seam.shared_vertices + len(rows),
                gap_m=max(seam.gap_m, float(gaps_m[rows].max())),
                color_step=max(seam.color_step, int(color_steps[rows].max())),
            )

    def add_one_sided(self, border: "Border", owners: Int64[np.ndarray, "b"]) -> None:
        """Counts vertices that lie on the ground of a chunk that does not have them.

        Args:
            border: Vertices that no further chunk can have.
            owners: Id of the chunk on whose ground each lies.
        """
        _, vertices = np.unique(border.edge_keys, return_inverse=True)
        many = int(max(border.chunks.max(initial=0), owners.max(initial=0))) + 1
        alone = ~np.isin(vertices * many + owners, vertices * many + border.chunks)
        for pair, rows in _by_pair(border.chunks[alone], owners[alone]):
            seam = self._seams.get(pair, Seam(*pair))
            self._seams[pair] = replace(
                seam, one_sided_vertices=seam.one_sided_vertices + len(rows)
            )


def _by_pair(
    chunks: np.ndarray, others: np.ndarray
) -> Iterable[tuple[tuple[int, int], Int64[np.ndarray, "k"]]]:
    """Yields the pairs of chunks, the smaller first, and the rows of each."""
    pairs = np.sort(np.stack([chunks, others], axis=1).astype(np.int64), axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    for number, (first, second) in enumerate(unique.tolist()):
        yield (first, second), np.flatnonzero(inverse.reshape(-1) == number)
