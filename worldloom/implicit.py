"""The surface of a scene as a fitted distance field, as the driver makes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from worldloom.errors import ConfigError
from worldloom.job import Job
from worldloom.memory import FusedShard
from worldloom.merge import Merge
from worldloom.neural import FIT_FIELD, fit_works
from worldloom.rounds import merge_surface
from worldloom.scene import Chunk
from worldloom.surface import FuseChunkWork


@dataclass(frozen=True)
class FittedSurface:
    """The surface of fitted fields."""

    merge: Merge
    chunks: tuple[Chunk, ...]
    """The chunks that it was fitted by."""


def fit_surface(
    job: Job, works: Sequence[FuseChunkWork], shards: Sequence[FusedShard]
) -> FittedSurface:
    """Fits a field to every chunk and merges their surfaces, which meet on the shared lattice.

    Args:
        job: The reconstruction under way.
        works: All chunks as they would be fused.
        shards: The memory that the chunks are held against.

    Raises:
        ReconstructionError: no chunk has a surface.
        ConfigError: the settings make no chunk.
    """
    if not works:
        raise ConfigError("there are no chunks to fit; fuse the depth first", field="method")
    device = "cuda" if job.runner.has_cuda(FIT_FIELD.role) else "cpu"
    fits = fit_works(works, job.config.neural, device)
    chunks = [chunk for chunk in job.run(FIT_FIELD, fits) if chunk is not None]
    merge = merge_surface(job, chunks, shards, works[0].voxel_m)
    return FittedSurface(merge, tuple(fit.fuse.chunk for fit in fits))
