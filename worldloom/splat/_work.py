"""What a round of training of a chunk depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from worldloom.memory import FusedShard
from worldloom.merge import MergedMesh
from worldloom.response import ViewExposure
from worldloom.scene import Chunk, DepthRef
from worldloom.splat._config import SplatConfig
from worldloom.splat._trained import TrainedChunk


@dataclass(frozen=True, eq=False)
class TrainWork:
    """A chunk to be trained, and all that says something about it."""

    chunk: Chunk
    whole: bool
    """True where this is the only chunk: then all of space is its business."""
    voxel_m: float
    """Side of a voxel of the surface lattice, world unit."""
    views: tuple[DepthRef, ...]
    """By view id, ascending."""
    exposures: tuple[ViewExposure | None, ...]
    """Of the views, in their order; undone in their images first."""
    shards: tuple[FusedShard, ...]
    """The memory, in cells of the spacing of the seeds."""
    min_views: int
    """Views that must see a cell before it is a seed."""
    anchor: MergedMesh | None
    """Surface that seeds are put onto; None leaves them where the memory is."""
    backend: Literal["cpu", "cuda"]
    config: SplatConfig
    validation: tuple[int, ...]
    """Ids of the views of the scene that choose the best state; ascending."""
    until: int
    """Step at which this round ends."""
    before: tuple[TrainedChunk, ...] = ()
    """This chunk and those that it touches or sees, as the round before left them, by chunk id;
    none in the first round."""
    places: tuple[Chunk, ...] = ()
    """Places in space of those of `before`, in their order."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"chunk {self.chunk.chunk_id}"


def continued(
    work: TrainWork, beside: Sequence[Chunk], latest: Mapping[int, TrainedChunk], until: int
) -> TrainWork:
    """Returns the next round of a chunk.

    Args:
        work: The chunk.
        beside: This chunk and its neighbours, ascending by chunk id.
        latest: What rounds have made of chunks so far, by chunk id; empty before the first. A chunk
            that is not there could not be trained, and is nobody's neighbour.
        until: Step at which the round ends.
    """
    places = tuple(chunk for chunk in beside if chunk.chunk_id in latest)
    before = tuple(latest[chunk.chunk_id] for chunk in places)
    return replace(work, until=until, before=before, places=places)
