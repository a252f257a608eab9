"""The stage that writes one view into the memory."""

import io
import itertools
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.lattice import check_extent, touched_keys
from worldloom.memory._config import MemoryConfig
from worldloom.memory._memory import GeometricMemory
from worldloom.memory._rows import check_depth_map, points_from_depth
from worldloom.memory._tables import write_rows
from worldloom.scene import DepthMap, DepthRef
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

ROWS_FILE = "rows.parquet"
BLOCKS_FILE = "blocks.npy"
BLOCK_VOXELS = 16
"""Side of a block of the voxel lattice, in voxels."""


@dataclass(frozen=True, eq=False)
class ContributeWork:
    """One view to be written into the memory."""

    depth: DepthRef
    cell_m: float
    """Side of a cell of the memory, world unit."""
    voxel_m: float
    """Side of a voxel of the surface lattice, world unit."""
    block_margin_voxels: float
    """Blocks this near to the surface of the view are listed as touched."""
    stride_px: int
    """See `MemoryConfig`."""
    min_confidence: float
    """See `MemoryConfig`."""
    shard_cells: int
    """See `MemoryConfig`."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"view {self.depth.frame.view_id}"


@dataclass(frozen=True)
class ShardRows:
    """What a view wrote into one shard."""

    shard: int
    """Number of the shard: the key of its cells without their low bits."""
    rows: int


@dataclass(frozen=True)
class Contribution:
    """What one view wrote into the memory."""

    view_id: int
    artifact: ArtifactKey
    """Artifact with `rows.parquet`, a row group a shard, and `blocks.npy`: the keys of the blocks
    of the voxel lattice that the surface of the view touches, ascending."""
    cell_m: float
    shards: tuple[ShardRows, ...]
    """Ascending; row group i holds shard i. Empty where the view has no depth."""
    blocks: int
    """Number of blocks touched."""
    near_m: float
    """Least depth along +z of any confidence; 0 where the view has none."""
    far_m: float
    """Greatest depth along +z of any confidence; 0 where the view has none."""


def contribute_work(
    depth: DepthRef,
    config: MemoryConfig,
    cell_m: float,
    voxel_m: float,
    block_margin_voxels: float,
) -> ContributeWork:
    """Returns the work item of one view: what of the settings its rows depend on, no more."""
    return ContributeWork(
        depth,
        cell_m,
        voxel_m,
        block_margin_voxels,
        config.stride_px,
        config.min_confidence,
        config.shard_cells,
    )


def _contribute(bench: Bench, key: ArtifactKey, work: ContributeWork) -> Contribution:
    depth_map = bench.depth_map(work.depth)
    check_depth_map(depth_map)
    image = bench.image(work.depth.frame, work.depth.width_px, work.depth.height_px)
    rows = GeometricMemory.from_depth(
        depth_map,
        image,
        work.cell_m,
        stride_px=work.stride_px,
        min_confidence=work.min_confidence,
    )
    shift = MemoryConfig(shard_cells=work.shard_cells).shard_shift
    shards, firsts = np.unique(rows.cells >> shift, return_index=True)
    edges = [*firsts.tolist(), len(rows)]
    groups = [rows.select(slice(a, b)) for a, b in itertools.pairwise(edges)]
    bench.store.write(key, ROWS_FILE, write_rows(work.cell_m, groups))
    blocks, near_m, far_m = _touched_blocks(depth_map, work)
    buffer = io.BytesIO()
    np.save(buffer, blocks, allow_pickle=False)
    bench.store.write(key, BLOCKS_FILE, buffer.getbuffer())
    return Contribution(
        view_id=work.depth.frame.view_id,
        artifact=key,
        cell_m=work.cell_m,
        shards=tuple(
            ShardRows(shard, len(group))
            for shard, group in zip(shards.tolist(), groups, strict=True)
        ),
        blocks=len(blocks),
        near_m=near_m,
        far_m=far_m,
    )


def _touched_blocks(depth_map: DepthMap, work: ContributeWork) -> tuple[np.ndarray, float, float]:
    surface = points_from_depth(depth_map, min_confidence=work.min_confidence)
    points = surface.points_in_world
    if not len(points):
        return np.empty(0, np.int64), 0.0, 0.0
    margin_m = work.block_margin_voxels * work.voxel_m
    check_extent(points, work.voxel_m, margin_m + BLOCK_VOXELS * work.voxel_m)
    depth = depth_map.depth[(depth_map.depth > 0) & (depth_map.confidence > 0)]
    keys = touched_keys(points, BLOCK_VOXELS * work.voxel_m, margin_m)
    return keys, float(depth.min()), float(depth.max())


CONTRIBUTE = Stage("contribute", 1, Role.DEPTH, Contribution, _contribute)
"""Writes one view into the memory."""
