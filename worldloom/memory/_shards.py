"""Shards of the memory: cubes of cells, fused each on its own, joined by loading."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from worldloom.bench import Bench
from worldloom.errors import ReconstructionError
from worldloom.lattice import cells_from_keys
from worldloom.memory._config import MemoryConfig
from worldloom.memory._contribute import ROWS_FILE, Contribution
from worldloom.memory._fused import FusedMemory, join
from worldloom.memory._memory import GeometricMemory, unite
from worldloom.memory._tables import read_fused, read_rows, write_fused
from worldloom.response import ViewExposure
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

FUSED_FILE = "fused.parquet"


@dataclass(frozen=True)
class RowGroup:
    """Where a view's rows of a shard are."""

    artifact: ArtifactKey
    group: int
    """Number of the row group in its `rows.parquet`."""
    exposure: ViewExposure | None = None
    """Undone before colours are averaged; None takes them as they are."""


@dataclass(frozen=True)
class ShardWork:
    """A range of cells to be fused over all its views."""

    first_key: int
    end_key: int
    """The cells have Morton keys in [first_key, end_key)."""
    sources: tuple[RowGroup, ...]
    """By view id, ascending."""

    @property
    def subject(self) -> str:
        """For people: the cell at the low corner."""
        x, y, z = cells_from_keys(np.array([self.first_key], np.int64))[0].tolist()
        return f"memory shard at cell ({x}, {y}, {z})"


@dataclass(frozen=True)
class FusedShard:
    """A fused shard of the memory."""

    first_key: int
    end_key: int
    artifact: ArtifactKey
    """Artifact with `fused.parquet`."""
    cell_m: float
    cells: int
    """Number of fused cells."""
    rows: int
    """Number of (cell, view) rows."""

    def box_in_world(self) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
        """Returns the lower and the upper corner of the shard."""
        ends = np.array([self.first_key, self.end_key - 1], np.int64)
        lower, upper = cells_from_keys(ends).astype(np.float64)
        return lower * self.cell_m, (upper + 1) * self.cell_m


def plan_shards(
    contributions: Sequence[Contribution],
    config: MemoryConfig,
    exposures: Mapping[int, ViewExposure] | None = None,
) -> tuple[ShardWork, ...]:
    """Returns the shards to fuse, by ascending key.

    A shard with more rows than `config.max_shard_rows` is split into eight, again and again: its
    parts are ranges of its keys. The fused cells do not depend on the cut.

    Args:
        contributions: What the views wrote.
        config: Settings.
        exposures: By view id; colours of views without one are taken as they are.

    Raises:
        ReconstructionError: no view has any depth.
    """
    sources: dict[int, list[RowGroup]] = defaultdict(list)
    rows: dict[int, int] = defaultdict(int)
    for contribution in sorted(contributions, key=lambda item: item.view_id):
        exposure = (exposures or {}).get(contribution.view_id)
        for group, shard in enumerate(contribution.shards):
            sources[shard.shard].append(RowGroup(contribution.artifact, group, exposure))
            rows[shard.shard] += shard.rows
    if not sources:
        raise ReconstructionError(
            f"none of the {len(contributions)} depth maps has any known depth; check that the "
            "views overlap and lower min_confidence",
            stage="contribute",
            failed=len(contributions),
            total=len(contributions),
        )
    works: list[ShardWork] = []
    for shard in sorted(sources):
        shift = config.shard_shift
        parts = 1
        while rows[shard] > parts * config.max_shard_rows and shift > 9:
            parts, shift = parts * 8, shift - 3
        first = shard << config.shard_shift
        for part in range(parts):
            begin = first + (part << shift)
            works.append(ShardWork(begin, begin + (1 << shift), tuple(sources[shard])))
    return tuple(works)


def _fuse_shard(bench: Bench, key: ArtifactKey, work: ShardWork) -> FusedShard:
    parts: list[GeometricMemory] = []
    for source in work.sources:
        with bench.store.open(source.artifact, ROWS_FILE) as file:
            rows = read_rows(file, [source.group])
        parts.append(rows.key_range(work.first_key, work.end_key))
    memory = unite(parts)
    exposures = [source.exposure for source in work.sources if source.exposure is not None]
    fused = memory.fused(exposures)
    bench.store.write(key, FUSED_FILE, write_fused(fused))
    return FusedShard(
        work.first_key, work.end_key, key, memory.cell_m, cells=len(fused), rows=len(memory)
    )


FUSE_SHARD = Stage("fuse-shard", 2, Role.MEMORY, FusedShard, _fuse_shard)
"""Fuses one shard of the memory over its views."""


def shards_in_box(
    shards: Sequence[FusedShard],
    lower_in_world: Float64[np.ndarray, "3"],
    upper_in_world: Float64[np.ndarray, "3"],
) -> tuple[FusedShard, ...]:
    """Returns the shards with cells that meet the box [lower, upper)."""
    kept: list[FusedShard] = []
    for shard in shards:
        lower, upper = shard.box_in_world()
        if shard.cells and (lower < upper_in_world).all() and (upper > lower_in_world).all():
            kept.append(shard)
    return tuple(kept)


def _load_shard(bench: Bench, shard: FusedShard) -> FusedMemory:
    def load() -> tuple[np.ndarray, ...]:
        memory = read_fused(bench.store.read(shard.artifact, FUSED_FILE))
        return (
            memory.cells,
            memory.offsets,
            memory.normals,
            memory.colors,
            memory.confidence,
            memory.count,
            memory.view_starts,
            memory.views,
        )

    return FusedMemory(shard.cell_m, *bench.cache.get((shard.artifact, FUSED_FILE), load))


def load_memory(
    bench: Bench,
    shards: Sequence[FusedShard],
    kept: Callable[[FusedMemory], Bool[np.ndarray, "n"]] | None = None,
) -> FusedMemory:
    """Returns the memory of the given shards, in canonical order; cached a shard.

    Args:
        bench: Store.
        shards: Of one plan.
        kept: Which cells of a shard are wanted; None for all. Of the others no more than a shard is
            held beside what the bench keeps.

    Raises:
        ReconstructionError: there are no shards.
    """
    if not shards:
        raise ReconstructionError("the memory has no shards here; give the shards that were fused")
    if kept is None:
        return join([_load_shard(bench, shard) for shard in shards])
    loaded = (_load_shard(bench, shard) for shard in shards)
    return join([memory.select(kept(memory)) for memory in loaded])
