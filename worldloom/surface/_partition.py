"""How the blocks of a scene are cut into chunks: runs of the Morton order, balanced by cost."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from worldloom.cameras import Camera
from worldloom.lattice import AXIS_BITS, cells_from_keys
from worldloom.surface._config import SurfaceConfig

_COSTLY = 2.0
"""Chunks that cost more than this many times the mean are cut, though a worker could hold them."""
_SMALL = 0.1
"""A chunk below this share of the mean cost is not worth a worker: it goes to a neighbour."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """Which view sees which block, and how large."""

    blocks: Int64[np.ndarray, "s"]
    """Row of the block."""
    views: Int32[np.ndarray, "s"]
    pixels: Float64[np.ndarray, "s"]
    """Estimated pixels of the view on the block."""


def pixels_seen(
    camera: Camera, block_keys: Int64[np.ndarray, "n"], side_m: float
) -> Float64[np.ndarray, "n"]:
    """Estimates how many pixels of a view blocks cover: a square at the depth of their centres.

    Args:
        camera: The view.
        block_keys: Morton keys of blocks that the view touches.
        side_m: Side of a block, world unit.
    """
    centres = (cells_from_keys(block_keys) + 0.5) * side_m
    depth = centres @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    lens = camera.intrinsics
    side_px = side_m / np.maximum(depth, side_m)
    return np.minimum(
        side_px**2 * (lens.fx * lens.fy), float(lens.width_px) * float(lens.height_px)
    )


def partition(
    keys: Int64[np.ndarray, "n"], sightings: Sightings, side_m: float, config: SurfaceConfig
) -> tuple[tuple[int, int], ...]:
    """Cuts blocks into runs that fit a worker and cost about the same.

    A run that breaks a bound of the settings is cut where its halves cost the same, again and
    again; then runs that cost next to nothing join a neighbour, as far as the bounds go.

    Args:
        keys: Blocks, ascending.
        sightings: Which views see them; the cost of a block is the pixels on it.
        side_m: Side of a block, world unit.
        config: Bounds.

    Returns:
        Pairs of first and end rows, ascending, without gaps.
    """
    cut = _Cut(keys, sightings, side_m, config)
    runs = _split((0, len(keys)), cut.fits, cut)
    if len(runs) > 1:
        most = _COSTLY * float(cut.total[-1]) / len(runs)
        runs = [
            part
            for run in runs
            for part in _split(run, lambda first, end: cut.cost(first, end) <= most, cut)
        ]
    return tuple(_without_small(runs, cut))


def _split(
    run: tuple[int, int], fits: Callable[[int, int], bool], cut: "_Cut"
) -> list[tuple[int, int]]:
    """Cuts a run into halves of the same cost until all fit."""
    runs: list[tuple[int, int]] = []
    waiting = [run]
    while waiting:
        first, end = waiting.pop()
        if end - first <= 1 or fits(first, end):
            runs.append((first, end))
            continue
        middle = cut.middle(first, end)
        waiting += [(middle, end), (first, middle)]
    return runs


class _Cut:
    """The bounds of a run."""

    def __init__(
        self,
        keys: Int64[np.ndarray, "n"],
        sightings: Sightings,
        side_m: float,
        config: SurfaceConfig,
    ) -> None:
        self._config = config
        cost = np.bincount(sightings.blocks, sightings.pixels, minlength=len(keys)) + 1.0
        self.total = np.concatenate([[0.0], np.cumsum(cost)])
        order = np.argsort(sightings.blocks, kind="stable")
        self._views = sightings.views[order]
        self._starts = np.searchsorted(sightings.blocks[order], np.arange(len(keys) + 1))
        self._boxes = np.zeros(len(keys), np.int64)
        if config.chunk_size_m is not None:
            levels = int(np.floor(np.log2(max(config.chunk_size_m / side_m, 1.0))))
            self._boxes = keys >> 3 * min(levels, AXIS_BITS)

    def cost(self, first: int, end: int) -> float:
        """Returns the cost of a run."""
        return float(self.total[end] - self.total[first])

    def middle(self, first: int, end: int) -> int:
        """Returns where a run falls into halves of the same cost, at a box where there is one."""
        half = (self.total[first] + self.total[end]) / 2
        row = int(np.searchsorted(self.total[first + 1 : end], half)) + first + 1
        edges = np.flatnonzero(np.diff(self._boxes[first:end])) + first + 1
        if len(edges):
            row = int(edges[np.argmin(np.abs(edges - row))])
        return min(max(row, first + 1), end - 1)

    def fits(self, first: int, end: int) -> bool:
        """Returns whether a run keeps the bounds."""
        if end - first > self._config.chunk_blocks or self._boxes[first] != self._boxes[end - 1]:
            return False
        most = self._config.max_views_per_chunk
        if most is None:
            return True
        seen = self._views[self._starts[first] : self._starts[end]]
        return len(np.unique(seen)) <= most


def _without_small(runs: list[tuple[int, int]], cut: _Cut) -> list[tuple[int, int]]:
    least = _SMALL * float(cut.total[-1]) / len(runs)
    merged: list[tuple[int, int]] = []
    for run in runs:
        if merged:
            before = merged[-1]
            small = min(cut.cost(*before), cut.cost(*run)) < least
            if small and cut.fits(before[0], run[1]):
                merged[-1] = (before[0], run[1])
                continue
        merged.append(run)
    return merged
