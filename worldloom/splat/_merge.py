"""The stage that makes one set of splats of those of all chunks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.scene import Chunk, Splats
from worldloom.splat._trained import TrainedChunk, owned_splats, save_splats
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True)
class MergeSplatsWork:
    """The trained chunks of a scene."""

    trained: tuple[TrainedChunk, ...]
    """By chunk id, ascending."""
    chunks: tuple[Chunk, ...]
    """Their places in space, in the same order. A chunk that could not be trained is not among
    them, so what its neighbours know of it is kept."""
    voxel_m: float
    """Side of a voxel of the surface lattice, world unit."""

    @property
    def subject(self) -> str:
        """For people."""
        return "splats"


@dataclass(frozen=True)
class MergedSplats:
    """The splats of a scene."""

    artifact: ArtifactKey
    """Artifact with `splats.npz`: the fields of `Splats`."""
    gaussians: int
    sh_degree: int
    halo: int
    """Gaussians of halos that were left to their owners."""


def merge_splats_work(
    trained: Sequence[TrainedChunk], chunks: Sequence[Chunk], voxel_m: float
) -> MergeSplatsWork:
    """Returns the work item that makes one set of splats."""
    places = {chunk.chunk_id: chunk for chunk in chunks}
    ordered = tuple(sorted(trained, key=lambda chunk: chunk.chunk_id))
    return MergeSplatsWork(ordered, tuple(places[t.chunk_id] for t in ordered), voxel_m)


def _merge(bench: Bench, key: ArtifactKey, work: MergeSplatsWork) -> MergedSplats:
    kept = [
        owned_splats(bench, work.trained, work.chunks, number, work.voxel_m)
        for number in range(len(work.trained))
    ]
    bands = max(part.sh.shape[1] for part in kept)
    splats = Splats(
        np.concatenate([part.means_in_world for part in kept]),
        np.concatenate([part.scales_m for part in kept]),
        np.concatenate([part.rotations for part in kept]),
        np.concatenate([part.opacities for part in kept]),
        np.concatenate([np.pad(p.sh, ((0, 0), (0, bands - p.sh.shape[1]), (0, 0))) for p in kept]),
    )
    save_splats(bench, key, splats)
    halo = sum(chunk.gaussians for chunk in work.trained) - len(splats)
    return MergedSplats(key, len(splats), splats.sh_degree, halo)


MERGE_SPLATS = Stage("merge-splats", 2, Role.MERGER, MergedSplats, _merge)
"""Makes one set of splats of those of all chunks."""
