"""The memory of a whole scene by questions: only the shards that an answer needs are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import KDTree

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.errors import ConfigError, StoreError
from worldloom.memory._fused import FusedMemory
from worldloom.memory._index import ShardIndex
from worldloom.memory._shards import FusedShard, load_memory, shards_in_box
from worldloom.store import ArtifactKey, artifact_key


@dataclass(frozen=True)
class _Snapshot:
    shards: tuple[FusedShard, ...]


@dataclass(frozen=True, eq=False)
class NearestCells:
    """The cells nearest to some places."""

    points_in_world: Float64[np.ndarray, "n k 3"]
    """NaN where there are fewer within reach."""
    distance: Float64[np.ndarray, "n k"]
    """World unit, ascending; infinite where there are fewer within reach."""
    cells: Int64[np.ndarray, "n k"]
    """Morton keys; -1 where there are fewer within reach."""


class ShardedMemory:
    """A fused memory whose shards stay in the store until a question needs them.

    Shards that were read stay in the cache of the bench, and leave it when its bound is reached.

    Args:
        bench: Where the shards are.
        shards: Of one memory; the order does not matter.
    """

    def __init__(self, bench: Bench, shards: Sequence[FusedShard]) -> None:
        self._bench = bench
        self.shards = tuple(sorted(shards, key=lambda shard: shard.first_key))
        self._index = ShardIndex(self.shards)

    def in_box(
        self,
        lower_in_world: Float64[np.ndarray, "3"],
        upper_in_world: Float64[np.ndarray, "3"],
        halo_m: float = 0.0,
    ) -> FusedMemory | None:
        """Returns the cells in the box [lower, upper) and around it; None where there is none.

        Args:
            lower_in_world: Corner.
            upper_in_world: Opposite corner.
            halo_m: Cells this far outside, along each axis, count too.
        """
        lower, upper = lower_in_world - halo_m, upper_in_world + halo_m
        # A point may round to the far side of its cell: shards that touch the box are asked too.
        near = shards_in_box(self.shards, lower, np.nextafter(upper, np.inf))
        return None if not near else _filled(load_memory(self._bench, near).in_box(lower, upper))

    def in_frustum(self, camera: Camera, near_m: float, far_m: float) -> FusedMemory | None:
        """Returns the cells that a camera sees between two depths; None where there is none."""
        near = self._index.in_view(camera, near_m, far_m)
        if not near:
            return None
        return _filled(load_memory(self._bench, near).in_frustum(camera, near_m, far_m))

    def nearest(
        self, points_in_world: Float64[np.ndarray, "n 3"], k: int, reach_m: float
    ) -> NearestCells:
        """Returns the `k` nearest cells of each place, in whichever shards they are.

        Args:
            points_in_world: Places.
            k: At least 1.
            reach_m: Cells further away are not looked for, world unit.

        Raises:
            ConfigError: k or reach do not make sense.
        """
        if k < 1 or not (np.isfinite(reach_m) and reach_m > 0):
            raise ConfigError(f"give k of at least 1 and a reach above 0, not {k} and {reach_m}")
        found = None
        if len(points_in_world):
            lower, upper = points_in_world.min(axis=0), points_in_world.max(axis=0)
            found = self.in_box(lower, np.nextafter(upper, np.inf), reach_m)
        shape = (len(points_in_world), k)
        if found is None:
            return NearestCells(
                np.full((*shape, 3), np.nan), np.full(shape, np.inf), np.full(shape, -1, np.int64)
            )
        places = found.points_in_world
        # With k = 1 the tree leaves out the second axis.
        answer = KDTree(places).query(points_in_world, k=k, distance_upper_bound=reach_m)
        distance, rows = (np.asarray(part).reshape(shape) for part in answer)
        known = np.isfinite(distance)
        safe = np.where(known, rows, 0)
        return NearestCells(
            np.where(known[..., None], places[safe], np.nan),
            distance,
            np.where(known, found.cells[safe], -1),
        )

    def snapshot(self) -> ArtifactKey:
        """Writes which shards there are, and returns where; their cells are in the store already.

        Raises:
            StoreError: it cannot be written.
        """
        record = _Snapshot(self.shards)
        key = artifact_key("memory-snapshot", 1, record)
        self._bench.store.commit(key, record)
        return key

    @classmethod
    def restore(cls, bench: Bench, snapshot: ArtifactKey) -> "ShardedMemory":
        """Returns the memory of a snapshot.

        Raises:
            StoreError: there is no such snapshot in the store.
        """
        record = bench.store.result(snapshot, _Snapshot)
        if record is None:
            raise StoreError(
                f"{snapshot} is no snapshot of a memory in {bench.store.uri}; give the key that "
                "snapshot() returned, and the same store",
                key=snapshot,
                uri=bench.store.uri,
            )
        return cls(bench, record.shards)


def _filled(memory: FusedMemory) -> FusedMemory | None:
    return memory if len(memory) else None
