"""The geometric memory as others read it: one entry a cell, and the views that see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64, UInt8, UInt16

from worldloom.cameras import Camera
from worldloom.errors import InputError
from worldloom.lattice import cells_from_keys
from worldloom.memory._render import DepthPrior, render_points
from worldloom.memory._rows import OFFSET_STEPS
from worldloom.response import LEVEL_STEPS, ViewExposure, correction_curves
from worldloom.scene import PointCloud

MOST_VIEWS = 64
"""Views of a cell that are kept by name, so that a place does not grow with those who see it."""
NORMAL_STEPS = 32767
"""Fixed-point steps of a component of a unit normal of a fused cell."""


@dataclass(frozen=True)
class SharedCellCounts:
    """Whom a view shares its cells with."""

    own: int
    """Cells of the view that the memory holds."""
    others: dict[int, float]
    """Cells that another view sees too, by its id, most first; of equals the smallest id. Whole
    numbers where each cell names all."""


@dataclass(frozen=True, eq=False)
class FusedMemory:
    """Cells with what their views agree on, ascending by Morton key, in fixed point."""

    cell_m: float
    """Side of a cell of the global lattice, world unit."""
    cells: Int64[np.ndarray, "n"]
    """Morton keys (`worldloom.lattice`), ascending."""
    offsets: UInt16[np.ndarray, "n 3"]
    """Position in the cell, in 65536ths of its side."""
    normals: Int16[np.ndarray, "n 3"]
    """Unit normal in the world, in 32767ths; 0 = unknown."""
    colors: UInt8[np.ndarray, "n 3"]
    """sRGB."""
    confidence: UInt8[np.ndarray, "n"]
    """Mean confidence of the views, in 255ths."""
    count: Int32[np.ndarray, "n"]
    """Number of views that see each cell."""
    view_starts: Int64[np.ndarray, "n+1"]
    """The views of cell i are `views[view_starts[i]:view_starts[i + 1]]`."""
    views: Int32[np.ndarray, "m"]
    """Ids of views, ascending within a cell: all, or, of more than `MOST_VIEWS`, the newest and a
    sample of the others that depends on nothing but the cell and their ids."""

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def points_in_world(self) -> Float64[np.ndarray, "n 3"]:
        """World position of each cell's surface."""
        corner = cells_from_keys(self.cells).astype(np.float64)
        return (corner + (self.offsets + 0.5) / OFFSET_STEPS) * self.cell_m

    def cloud(self, min_views: int = 1) -> PointCloud:
        """Returns the cells that at least `min_views` views see, as points in canonical order."""
        kept = self.count >= min_views
        return PointCloud(
            points_in_world=self.points_in_world[kept],
            normals_in_world=(self.normals[kept] / NORMAL_STEPS).astype(np.float32),
            colors=self.colors[kept],
            confidence=(self.confidence[kept] / 255).astype(np.float32),
            count=self.count[kept],
        )

    def seen_by(self, view_ids: Sequence[int]) -> Bool[np.ndarray, "n"]:
        """Returns which cells name at least one of some views."""
        if not len(self):
            return np.zeros(0, np.bool_)
        seen = np.isin(self.views, np.asarray(view_ids, np.int32))
        return np.logical_or.reduceat(seen, self.view_starts[:-1])

    def covisible(
        self, view_id: int, cells: Int64[np.ndarray, "k"], most: int | None = None
    ) -> SharedCellCounts:
        """Counts how many of a view's cells each other view sees.

        Where a cell names only some of those who see it, each of them counts for several: over
        many cells the sample makes up for whom it leaves out.

        Args:
            view_id: The view, which is not counted itself.
            cells: Morton keys of the cells that it sees, ascending.
            most: Others that are returned, those who share most; None for all.
        """
        rows = np.flatnonzero(np.isin(self.cells, cells, assume_unique=True))
        counts = _shared_cells(rows, self.count, self.view_starts, self.views, view_id)
        others = np.flatnonzero(counts)
        others = others[np.argsort(-counts[others], kind="stable")][:most]
        return SharedCellCounts(
            len(rows),
            dict(zip(others.tolist(), counts[others].tolist(), strict=True)),
        )

    def select(self, kept: Bool[np.ndarray, "n"]) -> "FusedMemory":
        """Returns the memory of some of the cells."""
        named = np.diff(self.view_starts)
        starts = np.zeros(int(kept.sum()) + 1, np.int64)
        np.cumsum(named[kept], out=starts[1:])
        return FusedMemory(
            self.cell_m,
            cells=self.cells[kept],
            offsets=self.offsets[kept],
            normals=self.normals[kept],
            colors=self.colors[kept],
            confidence=self.confidence[kept],
            count=self.count[kept],
            view_starts=starts,
            views=self.views[np.repeat(kept, named)],
        )

    def in_box(
        self, lower_in_world: Float64[np.ndarray, "3"], upper_in_world: Float64[np.ndarray, "3"]
    ) -> "FusedMemory":
        """Returns the cells whose points lie in the box [lower, upper)."""
        points = self.points_in_world
        inside = (points >= lower_in_world) & (points < upper_in_world)
        return self.select(np.asarray(inside.all(axis=1)))

    def in_frustum(self, camera: Camera, near_m: float, far_m: float) -> "FusedMemory":
        """Returns the cells whose points project into the image at a depth in [near, far]."""
        pixels, depth = camera.project(self.points_in_world)
        size = (camera.intrinsics.width_px, camera.intrinsics.height_px)
        with np.errstate(invalid="ignore"):
            inside = np.asarray(((pixels >= 0) & (pixels < size)).all(axis=1))
        return self.select(inside & (depth >= near_m) & (depth <= far_m))

    def render(
        self, camera: Camera, width_px: int, height_px: int, *, min_views: int = 1
    ) -> DepthPrior:
        """Renders the cells that at least `min_views` views see as a depth prior.

        Args:
            camera: The view.
            width_px: Size of the result.
            height_px: Size of the result.
            min_views: Cells that fewer views see are left out.
        """
        return render_points(
            self.cloud(min_views), self.cell_m, camera.resized(width_px, height_px)
        )


def join(parts: Sequence[FusedMemory]) -> FusedMemory:
    """Returns the memory of disjoint parts, in canonical order.

    Raises:
        InputError: the parts overlap, or their cells differ in size.
    """
    if len({part.cell_m for part in parts}) != 1:
        raise InputError("parts of a memory must have one cell size; fuse them anew with one size")
    parts = sorted((part for part in parts if len(part)), key=lambda part: int(part.cells[0])) or [
        parts[0]
    ]
    cells = np.concatenate([part.cells for part in parts])
    if (np.diff(cells) <= 0).any():
        raise InputError("parts of a memory share cells; load each shard once, of one plan")
    starts = np.zeros(len(cells) + 1, np.int64)
    np.cumsum(np.concatenate([np.diff(part.view_starts) for part in parts]), out=starts[1:])
    return FusedMemory(
        parts[0].cell_m,
        cells=cells,
        offsets=np.concatenate([part.offsets for part in parts]),
        normals=np.concatenate([part.normals for part in parts]),
        colors=np.concatenate([part.colors for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        count=np.concatenate([part.count for part in parts]),
        view_starts=starts,
        views=np.concatenate([part.views for part in parts]),
    )


def fuse_rows(
    cell_m: float,
    cells: Int64[np.ndarray, "n"],
    views: Int32[np.ndarray, "n"],
    offsets: UInt16[np.ndarray, "n 3"],
    normals: np.ndarray,
    colors: UInt8[np.ndarray, "n 3"],
    confidence: UInt8[np.ndarray, "n"],
    exposures: Sequence[ViewExposure] = (),
) -> FusedMemory:
    """Averages rows that ascend by (cell, view) over the views of each cell.

    Weights are the confidences; all sums are of integers, so they do not depend on any order.
    Colours are averaged with the exposures of their views undone; those of views without one are
    taken as they are.
    """
    first = np.ones(len(cells), np.bool_)
    first[1:] = np.diff(cells) != 0
    starts = np.append(np.flatnonzero(first), len(cells)).astype(np.int64)
    curves, curve_of_row = _curves(views, exposures)
    averages = _average(starts, offsets, normals, colors, confidence, curves, curve_of_row)
    count = np.diff(starts).astype(np.int32)
    named, kept = _named(cells[first], starts, views, MOST_VIEWS)
    return FusedMemory(
        cell_m,
        cells=cells[first],
        offsets=averages[0],
        normals=averages[1],
        colors=averages[2],
        confidence=averages[3],
        count=count,
        view_starts=np.append(0, np.cumsum(named)).astype(np.int64),
        views=views[kept],
    )


def _curves(
    views: Int32[np.ndarray, "n"], exposures: Sequence[ViewExposure]
) -> tuple[Int32[np.ndarray, "k 3 256"], Int32[np.ndarray, "n"]]:
    """What becomes of levels: the curves of the views, and which of them each row takes."""
    unchanged = np.broadcast_to(np.arange(256, dtype=np.int32) * LEVEL_STEPS, (3, 256))
    curves = np.stack([unchanged, *(correction_curves(exposure) for exposure in exposures)])
    ids = [exposure.view_id for exposure in exposures]
    curve_of_view = np.zeros(max([int(views.max(initial=0)), *ids]) + 1, np.int32)
    curve_of_view[ids] = np.arange(1, len(ids) + 1)
    return curves, curve_of_view[views]


@numba.njit(cache=True, nogil=True)
def _average(
    starts: np.ndarray,
    offsets: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    confidence: np.ndarray,
    curves: np.ndarray,
    curve_of_row: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    size = len(starts) - 1
    mean_offsets = np.empty((size, 3), np.uint16)
    mean_normals = np.empty((size, 3), np.int16)
    mean_colors = np.empty((size, 3), np.uint8)
    mean_confidence = np.empty(size, np.uint8)
    normal = np.empty(3, np.int64)
    for i in range(size):
        weight = np.int64(0)
        for row in range(starts[i], starts[i + 1]):
            weight += confidence[row]
        views = starts[i + 1] - starts[i]
        mean_confidence[i] = (weight + views // 2) // views
        for axis in range(3):
            offset, color, normal[axis] = np.int64(0), np.int64(0), np.int64(0)
            for row in range(starts[i], starts[i + 1]):
                share = np.int64(confidence[row])
                offset += share * np.int64(offsets[row, axis])
                color += share * np.int64(curves[curve_of_row[row], axis, colors[row, axis]])
                normal[axis] += share * np.int64(normals[row, axis])
            mean_offsets[i, axis] = min((offset + weight // 2) // weight, OFFSET_STEPS - 1)
            steps = weight * LEVEL_STEPS
            mean_colors[i, axis] = min((color + steps // 2) // steps, 255)
        squares = np.float64(0)
        for axis in range(3):
            squares += np.float64(normal[axis]) * np.float64(normal[axis])
        length = np.sqrt(squares)
        for axis in range(3):
            scaled = 0.0 if length == 0 else normal[axis] / length * NORMAL_STEPS
            mean_normals[i, axis] = np.int64(np.rint(scaled))
    return mean_offsets, mean_normals, mean_colors, mean_confidence


@numba.njit(cache=True, nogil=True)
def _mixed(cell: int, view: int) -> np.uint64:
    """A number as if at random (the finaliser of MurmurHash3)."""
    mixed = np.uint64(cell) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(view + 1)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))


@numba.njit(cache=True, nogil=True)
def _named(
    cells: np.ndarray, starts: np.ndarray, views: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many views each cell names, and which rows these are."""
    counts = np.empty(len(cells), np.int64)
    kept = np.ones(len(views), np.bool_)
    for i in range(len(cells)):
        first, last = starts[i], starts[i + 1] - 1
        counts[i] = last - first + 1
        if counts[i] <= most:
            continue
        counts[i] = most
        numbers = np.empty(last - first, np.uint64)
        for row in range(first, last):
            numbers[row - first] = _mixed(cells[i], views[row])
        order = np.argsort(numbers)
        for place in order[most - 1 :]:
            kept[first + place] = False
    return counts, kept


@numba.njit(cache=True, nogil=True)
def _shared_cells(
    rows: np.ndarray, count: np.ndarray, starts: np.ndarray, views: np.ndarray, view_id: int
) -> np.ndarray:
    counts = np.zeros(views.max() + 1 if len(views) else 0, np.float64)
    for i in rows:
        first, last = starts[i], starts[i + 1] - 1
        # The newest is always there and stands for itself.
        weight = 1.0
        if last > first:
            weight = (count[i] - 1) / (last - first)
        for row in range(first, last):
            counts[views[row]] += weight
        counts[views[last]] += 1.0
    if view_id < len(counts):
        counts[view_id] = 0
    return counts
