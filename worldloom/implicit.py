"""The surface of a scene as a fitted distance field, as the driver makes it."""

from collections.abc import Sequence

from worldloom.errors import ConfigError
from worldloom.job import Job
from worldloom.neural import FIT_FIELD, fit_works
from worldloom.scene import Chunk
from worldloom.surface import MERGE, FuseChunkWork, MergedMesh, merge_work


def fit_surface(job: Job, works: Sequence[FuseChunkWork]) -> tuple[MergedMesh, tuple[Chunk, ...]]:
    """Fits a field to every chunk and merges their surfaces, which meet on the shared lattice.

    Args:
        job: The reconstruction under way.
        works: All chunks as they would be fused.

    Returns:
        The mesh, and the chunks that it was fitted by.

    Raises:
        ReconstructionError: no chunk has a surface.
        ConfigError: the settings make no chunk.
    """
    if not works:
        raise ConfigError("there are no chunks to fit; fuse the depth first", field="method")
    device = "cuda" if job.runner.has_cuda() else "cpu"
    fits = fit_works(works, job.config.neural, device)
    chunks = [chunk for chunk in job.run(FIT_FIELD, fits) if chunk is not None]
    (merged,) = job.run(MERGE, [merge_work(chunks, works[0].voxel_m, job.config.surface)])
    assert merged is not None  # a stage whose only item fails has raised
    return merged, tuple(fit.fuse.chunk for fit in fits)
