"""A running job, seen through its store: what is new since the last look.

An artifact is whole exactly if its result is there; nothing else is read. A look reads a bounded
number of artifacts, so that it stays short whatever the store holds.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.depth import CHECK, CheckResult
from worldloom.errors import WorldloomError
from worldloom.memory import FUSE_SHARD, FusedShard, load_cloud
from worldloom.stage import R, Stage
from worldloom.store import ArtifactKey
from worldloom.viewer._things import depth_points

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LivePoints:
    """Points that came with one artifact."""

    name: str
    """Which place they take: points of the same name replace each other."""
    points_in_world: Float64[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"]
    spacing: float
    """Distance between neighbours, world unit."""
    camera: Camera | None = None
    """Of the view that they come from; None for a shard of the memory."""


@dataclass(frozen=True)
class Look:
    """What one look at the store found."""

    points: tuple[LivePoints, ...]
    stale: tuple[str, ...]
    """Names whose points are superseded: shards of a coarser memory."""


class LiveStore:
    """Looks at the store of a job again and again.

    Args:
        bench: The store.
        points: Points of each artifact.
    """

    def __init__(self, bench: Bench, points: int) -> None:
        self._bench = bench
        self._points = points
        self._seen: set[ArtifactKey] = set()
        self._width_px: dict[int, int] = {}
        self._cell_m = np.inf
        self._shards: set[str] = set()
        self._stale: set[str] = set()

    def poll(self, most: int) -> Look:
        """Returns what came since the last look.

        Depth maps replace coarser ones of the same view, shards of a finer memory those of a
        coarser one. What cannot be read is logged and passed over.

        Args:
            most: Artifacts read; the others wait for the next look.
        """
        found: list[LivePoints] = []
        budget = most
        for result in self._new(FUSE_SHARD, budget):
            budget -= 1
            found += self._shard(result)
        for result in self._new(CHECK, budget):
            found += self._view(result)
        stale, self._stale = tuple(sorted(self._stale)), set()
        names = {points.name for points in found}
        return Look(
            tuple(points for points in found if points.name not in stale),
            tuple(name for name in stale if name not in names),
        )

    def _new(self, stage: Stage[Any, R], most: int) -> Iterator[R]:
        fresh = [key for key in self._bench.store.finished(stage.name) if key not in self._seen]
        for key in fresh[:most]:
            self._seen.add(key)
            result = self._bench.store.result(key, stage.result)
            if result is not None:
                yield result

    def _view(self, result: CheckResult) -> list[LivePoints]:
        ref = result.depth
        view = ref.frame.view_id
        if ref.width_px < self._width_px.get(view, 0):
            return []
        try:
            image = self._bench.image(ref.frame, ref.width_px, ref.height_px)
            points, colors = depth_points(self._bench.depth_map(ref), image, self._points)
        except WorldloomError as error:
            _logger.warning("view %s is passed over: %s", ref.frame.name, error)
            return []
        self._width_px[view] = ref.width_px
        stride = np.sqrt(max(1.0, ref.width_px * ref.height_px / self._points))
        spacing = stride * result.depth_median / ref.camera.intrinsics.fx
        return [LivePoints(f"view-{view}", points, colors, float(spacing), ref.camera)]

    def _shard(self, shard: FusedShard) -> list[LivePoints]:
        if not shard.cells or shard.cell_m > self._cell_m:
            return []
        try:
            cloud = load_cloud(self._bench, [shard], min_views=2).cloud
        except WorldloomError as error:
            _logger.warning("a shard of the memory is passed over: %s", error)
            return []
        if shard.cell_m < self._cell_m:
            self._stale |= self._shards
            self._shards = set()
            self._cell_m = shard.cell_m
        name = f"shard-{shard.first_key}"
        self._shards.add(name)
        self._stale.discard(name)
        step = -(-len(cloud) // (4 * self._points)) or 1
        return [
            LivePoints(
                name,
                cloud.points_in_world[::step],
                cloud.colors[::step],
                shard.cell_m * step ** (1 / 2),
            )
        ]
