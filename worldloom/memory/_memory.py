"""The geometric memory as views write it: rows of (cell, view), united in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64, UInt8, UInt16

from worldloom.errors import ConfigError, InputError
from worldloom.memory._fused import FusedMemory, fuse_rows
from worldloom.memory._rows import check_depth_map, points_from_depth, rows_from_points
from worldloom.response import ViewExposure
from worldloom.scene import DepthMap


@dataclass(frozen=True, eq=False)
class GeometricMemory:
    """What each view says about each cell that it sees, in fixed point.

    A row belongs to one (cell, view) and depends on that view alone, so union is a set union:
    commutative, associative and idempotent, to the last bit. The relation (cell, view) is the
    spatial-stereo memory: which views see the same 3D points.
    """

    cell_m: float
    """Side of a cell of the global lattice, world unit."""
    cells: Int64[np.ndarray, "n"]
    """Morton key of the cell of each row (`worldloom.lattice`); rows ascend by (cell, view)."""
    views: Int32[np.ndarray, "n"]
    """Id of the view of each row."""
    offsets: UInt16[np.ndarray, "n 3"]
    """Mean position in the cell, in 65536ths of its side."""
    normals: Int8[np.ndarray, "n 3"]
    """Unit normal in the world, in 127ths; 0 = unknown."""
    colors: UInt8[np.ndarray, "n 3"]
    """Mean colour, sRGB."""
    confidence: UInt8[np.ndarray, "n"]
    """Mean confidence, in 255ths, at least 1."""
    count: UInt16[np.ndarray, "n"]
    """Pixels of the view in the cell, at most 65535."""

    def __len__(self) -> int:
        return len(self.cells)

    @classmethod
    def empty(cls, cell_m: float) -> "GeometricMemory":
        """Returns a memory without rows."""
        if not (np.isfinite(cell_m) and cell_m > 0):
            raise ConfigError(f"the cell size must be a positive number, got {cell_m}")
        triples = np.empty((0, 3), np.int64)
        return cls(
            cell_m,
            cells=np.empty(0, np.int64),
            views=np.empty(0, np.int32),
            offsets=triples.astype(np.uint16),
            normals=triples.astype(np.int8),
            colors=triples.astype(np.uint8),
            confidence=np.empty(0, np.uint8),
            count=np.empty(0, np.uint16),
        )

    @classmethod
    def from_depth(
        cls,
        depth_map: DepthMap,
        image: UInt8[np.ndarray, "h w 3"],
        cell_m: float,
        *,
        stride_px: int = 1,
        min_confidence: float = 0.0,
    ) -> "GeometricMemory":
        """Returns what one view contributes.

        Args:
            depth_map: Depth of the view.
            image: Its colours at the size of the map, sRGB.
            cell_m: Side of a cell, world unit.
            stride_px: Every n-th pixel of every n-th row is used.
            min_confidence: Pixels below it, and those of confidence 0, are left out.

        Raises:
            InputError: the depth map has values that are not finite or negative.
            LimitError: a point lies outside the lattice.
        """
        check_depth_map(depth_map)
        surface = points_from_depth(depth_map, stride_px=stride_px, min_confidence=min_confidence)
        if not len(surface.pixels):
            return cls.empty(cell_m)
        cells, rows = rows_from_points(surface, depth_map, image, cell_m)
        return cls(
            cell_m,
            cells=cells,
            views=np.full(len(cells), depth_map.view_id, np.int32),
            offsets=rows[:, 0:3].astype(np.uint16),
            normals=rows[:, 3:6].astype(np.int8),
            colors=rows[:, 6:9].astype(np.uint8),
            confidence=rows[:, 9].astype(np.uint8),
            count=rows[:, 10].astype(np.uint16),
        )

    def union(self, *others: "GeometricMemory") -> "GeometricMemory":
        """Returns the memory of everything that these memories hold.

        Raises:
            InputError: two different rows of the same (cell, view): two versions of the depth map
                of one view were mixed; or the cells differ in size.
        """
        return unite((self, *others))

    def select(self, rows: Bool[np.ndarray, "n"] | slice) -> "GeometricMemory":
        """Returns the memory of some of the rows."""
        return GeometricMemory(
            self.cell_m,
            cells=self.cells[rows],
            views=self.views[rows],
            offsets=self.offsets[rows],
            normals=self.normals[rows],
            colors=self.colors[rows],
            confidence=self.confidence[rows],
            count=self.count[rows],
        )

    def key_range(self, first: int, end: int) -> "GeometricMemory":
        """Returns the rows of the cells with keys in [first, end)."""
        low, high = np.searchsorted(self.cells, [first, end]).tolist()
        return self.select(slice(low, high))

    def fused(self, exposures: Sequence[ViewExposure] = ()) -> FusedMemory:
        """Returns one entry a cell: the average over its views, and who they are.

        Args:
            exposures: Undone before colours are averaged; views without one stay as they are.
        """
        return fuse_rows(
            self.cell_m,
            self.cells,
            self.views,
            self.offsets,
            self.normals,
            self.colors,
            self.confidence,
            exposures,
        )


def unite(memories: Sequence[GeometricMemory]) -> GeometricMemory:
    """Returns the union of memories; see `GeometricMemory.union`."""
    cell_m = memories[0].cell_m
    for memory in memories:
        if memory.cell_m != cell_m:
            raise InputError(
                f"memories with cells of {cell_m} and {memory.cell_m} cannot be united; "
                "make both with one cell size"
            )
    cells = np.concatenate([memory.cells for memory in memories])
    views = np.concatenate([memory.views for memory in memories])
    order = np.lexsort((views, cells))
    repeat = np.zeros(len(order), np.bool_)
    repeat[1:] = (np.diff(cells[order]) == 0) & (np.diff(views[order]) == 0)
    _check_repeats(memories, order, repeat)
    kept = order[~repeat]
    return GeometricMemory(
        cell_m,
        cells=cells[kept],
        views=views[kept],
        offsets=np.concatenate([memory.offsets for memory in memories])[kept],
        normals=np.concatenate([memory.normals for memory in memories])[kept],
        colors=np.concatenate([memory.colors for memory in memories])[kept],
        confidence=np.concatenate([memory.confidence for memory in memories])[kept],
        count=np.concatenate([memory.count for memory in memories])[kept],
    )


def _check_repeats(
    memories: Sequence[GeometricMemory],
    order: Int64[np.ndarray, "n"],
    repeat: Bool[np.ndarray, "n"],
) -> None:
    again = np.flatnonzero(repeat)
    if not len(again):
        return
    for name in ("offsets", "normals", "colors", "confidence", "count"):
        values = np.concatenate([getattr(memory, name) for memory in memories])
        differs = values[order[again]] != values[order[again - 1]]
        if differs.any():
            row = order[again[np.flatnonzero(differs.reshape(len(again), -1).any(axis=1))[0]]]
            view = int(np.concatenate([memory.views for memory in memories])[row])
            raise InputError(
                f"two different depth maps of view {view} were put into one memory; "
                "build it anew from one depth map a view",
                view=view,
            )
