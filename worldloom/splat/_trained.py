"""What training has made of a chunk, as the next round and the merger find it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.scene import Chunk, Splats
from worldloom.splat._region import owners
from worldloom.store import ArtifactKey

SPLATS_FILE = "splats.npz"


@dataclass(frozen=True)
class TrainedChunk:
    """The Gaussians of one chunk."""

    chunk_id: int
    artifact: ArtifactKey
    """Artifact with `splats.npz`: the fields of `Splats`."""
    gaussians: int
    seeds: int
    """Cells of the memory that it began with, those of its halo included."""
    steps: int
    """Done in all rounds together."""
    best_step: int
    validation_psnr_db: float | None
    """Of the views that chose `best_step`; None without."""
    has_halo: bool
    """True where Gaussians of its halo are among them, which belong to its neighbours."""
    halo: int
    """Gaussians of the halo that were left to their owners between rounds."""
    around: int
    """Gaussians beyond the chunk that were seen along with its own, and not trained."""


def owned_splats(
    bench: Bench,
    trained: Sequence[TrainedChunk],
    places: Sequence[Chunk],
    number: int,
    voxel_m: float,
) -> Splats:
    """Returns the Gaussians of a chunk that are its own.

    Every point of space has one owner, the chunk with the nearest block. A Gaussian that a chunk
    has trained without a halo is its own wherever it has moved: nobody else has it.

    Args:
        bench: Store.
        trained: Chunks of one scene.
        places: Their places in space, in the same order.
        number: Position in `trained` of the chunk that is asked for.
        voxel_m: Side of a voxel of the surface lattice, world unit.
    """
    splats = load_splats(bench, trained[number].artifact)
    if not trained[number].has_halo:
        return splats
    points = splats.means_in_world.astype(np.float64)
    return splats.select(owners(points, places, voxel_m) == number)


def save_splats(bench: Bench, key: ArtifactKey, splats: Splats) -> None:
    """Writes `splats.npz` of an artifact."""
    bench.write_arrays(
        key,
        SPLATS_FILE,
        means_in_world=splats.means_in_world,
        scales_m=splats.scales_m,
        rotations=splats.rotations,
        opacities=splats.opacities,
        sh=splats.sh,
    )


def load_splats(bench: Bench, key: ArtifactKey) -> Splats:
    """Returns the splats of an artifact."""
    return Splats(**bench.arrays(key, SPLATS_FILE))
