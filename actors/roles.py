"""The kinds of workers. They differ in resources (`actors.resources`) and in cache."""

from typing import ClassVar

from actors.worker import StageActor


class DepthActor(StageActor):
    """Depth of views; reads every image again for each view that it is a partner of."""


class MemoryActor(StageActor):
    """Shards of the geometric memory; reads every depth map once a shard."""

    cache_share: ClassVar[float] = 0.5


class ChunkActor(StageActor):
    """Chunks; reads every depth map again for each chunk that sees it."""


class MergerActor(StageActor):
    """Merging; reads every part once."""

    cache_share: ClassVar[float] = 0.25


class SharedActor(StageActor):
    """All of these in one process, one after another: for a machine that is its own cluster."""
