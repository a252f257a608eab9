"""The point cloud of a memory, bounded by what its points are worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.errors import ReconstructionError
from worldloom.memory._fused import FusedMemory
from worldloom.memory._shards import FusedShard, load_memory
from worldloom.scene import PointCloud


@dataclass(frozen=True)
class PointBound:
    """How a bound on the number of points bit."""

    max_points: int
    found: int
    """Points that there were."""


@dataclass(frozen=True)
class BoundedCloud:
    """A point cloud, and what was left out of it."""

    cloud: PointCloud
    bound: PointBound | None
    """None where nothing was left out."""


def load_cloud(
    bench: Bench, shards: Sequence[FusedShard], min_views: int, max_points: int | None = None
) -> BoundedCloud:
    """Returns the point cloud of the given shards in canonical order, one shard at a time.

    Where there are too many points, those of least confidence go; of equal ones those that no
    recent view has seen (view ids ascend with time), and then the last in the canonical order.

    Args:
        bench: Where the shards are.
        shards: Fused shards; the order does not matter.
        min_views: Cells that fewer views see are left out.
        max_points: Most points; None for all.

    Raises:
        ReconstructionError: the memory has no cells.
    """
    ordered = [s for s in sorted(shards, key=lambda shard: shard.first_key) if s.cells]
    if not ordered:
        raise ReconstructionError("the memory has no cells; give the shards that were fused")
    kept: list[np.ndarray] | None = None
    bound = None
    if max_points is not None:
        worth = [_worth(load_memory(bench, [shard]), min_views) for shard in ordered]
        found = sum(len(values) for values in worth)
        if found > max_points:
            bound = PointBound(max_points, found)
            kept = _best(worth, max_points)
    clouds = [load_memory(bench, [shard]).cloud(min_views) for shard in ordered]
    if kept is not None:
        clouds = [_rows(cloud, rows) for cloud, rows in zip(clouds, kept, strict=True)]
    return BoundedCloud(
        PointCloud(
            points_in_world=np.concatenate([cloud.points_in_world for cloud in clouds]),
            normals_in_world=np.concatenate([cloud.normals_in_world for cloud in clouds]),
            colors=np.concatenate([cloud.colors for cloud in clouds]),
            confidence=np.concatenate([cloud.confidence for cloud in clouds]),
            count=np.concatenate([cloud.count for cloud in clouds]),
        ),
        bound,
    )


def _rows(cloud: PointCloud, kept: np.ndarray) -> PointCloud:
    return PointCloud(**{name: values[kept] for name, values in vars(cloud).items()})


def _worth(memory: FusedMemory, min_views: int) -> np.ndarray:
    """Returns what each point is worth: confidence first, then the newest view that sees it."""
    rows = memory.count >= min_views
    newest = memory.views[memory.view_starts[1:] - 1].astype(np.int64)
    return ((memory.confidence.astype(np.int64) << 32) + newest)[rows]


def _best(worth: Sequence[np.ndarray], max_points: int) -> list[np.ndarray]:
    """Returns which points stay, part by part."""
    values = np.concatenate(worth)
    threshold = np.partition(values, len(values) - max_points)[len(values) - max_points]
    left = max_points - int((values > threshold).sum())
    kept: list[np.ndarray] = []
    for part in worth:
        equal = np.flatnonzero(part == threshold)[:left]
        rows = part > threshold
        rows[equal] = True
        left -= len(equal)
        kept.append(rows)
    return kept
