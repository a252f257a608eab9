"""The stage that fits a field to one chunk and cuts its surface into faces."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Int64

from worldloom.bench import Bench
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.neural._config import NeuralConfig
from worldloom.neural._halo import neighbours
from worldloom.scene import Chunk
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import ChunkFaces, FuseChunkWork

CHECKPOINT_FILE = "checkpoint.pt"
"""File of an artifact under way: field, optimizer and curve."""
CURVE_FILE = "curve.npz"
"""`color_error`: mean absolute error of the colours of each step, 0 to 1."""


@dataclass(frozen=True, eq=False)
class FitWork:
    """A chunk, the blocks of others that touch it, and how to fit it."""

    fuse: FuseChunkWork
    """The chunk as it would be fused; the field starts from that."""
    halo: tuple[tuple[int, int, int], ...]
    """Blocks of other chunks that touch it, sorted."""
    config: NeuralConfig
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def subject(self) -> str:
        """For people."""
        return self.fuse.subject


def fit_works(
    works: Sequence[FuseChunkWork], config: NeuralConfig, device: Literal["cpu", "cuda"]
) -> tuple[FitWork, ...]:
    """Returns the chunks to fit: those of fusion, cut to the size that fitting wants.

    Args:
        works: All chunks of a scene, in their order.
        config: Settings.
        device: What all workers compute on.
    """
    pieces: list[tuple[FuseChunkWork, np.ndarray]] = []
    for work in works:
        keys = np.sort(keys_from_cells(np.array(work.chunk.blocks, np.int64).reshape(-1, 3)))
        parts = -(-len(keys) // config.chunk_blocks)
        pieces += [(work, part) for part in np.array_split(keys, parts)]
    every = np.concatenate([keys for _, keys in pieces])
    found: list[FitWork] = []
    for number, (work, keys) in enumerate(pieces):
        round_it = np.intersect1d(np.setdiff1d(neighbours(keys), keys), every)
        chunk = Chunk(number, _cells(keys), work.chunk.views)
        found.append(FitWork(replace(work, chunk=chunk), _cells(round_it), config, device))
    return tuple(found)


def _cells(keys: Int64[np.ndarray, "_"]) -> tuple[tuple[int, int, int], ...]:
    return tuple((x, y, z) for x, y, z in sorted(cells_from_keys(keys).tolist()))


def _fit(bench: Bench, key: ArtifactKey, work: FitWork) -> ChunkFaces:
    from worldloom.neural._chunk import fitted_chunk

    return fitted_chunk(bench, key, work.fuse, work.halo, work.config, work.device)


FIT_FIELD = Stage("fit-field", 1, Role.CHUNK, ChunkFaces, _fit)
"""Fits a field to one chunk and cuts its surface into faces."""
