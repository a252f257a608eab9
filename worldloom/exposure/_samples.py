"""The stage that picks the cells of one view whose colours are compared with those of others."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8, UInt64

from worldloom.bench import Bench
from worldloom.memory import ROWS_FILE, Contribution, GeometricMemory, read_rows
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

SAMPLES_FILE = "samples.npz"
DARKEST, BRIGHTEST = 8, 247
"""Colours with a channel outside are left out: noise, or clipped."""
MAX_CELL_VIEWS = 16
"""Views of a cell that are compared."""


@dataclass(frozen=True)
class SampleWork:
    """A view whose colours are to be compared."""

    view_id: int
    rows: ArtifactKey
    """Artifact with the rows that the view wrote into the memory."""
    groups: tuple[int, ...]
    """Row groups there."""
    samples: int
    """See `ExposureConfig`."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"view {self.view_id}"


@dataclass(frozen=True)
class SampledView:
    """The samples of one view."""

    view_id: int
    artifact: ArtifactKey
    """Artifact with `samples.npz`: `cells` (n), `colors` (n 3), `confidence` (n), by ascending
    rank, so that the first of them are the samples of a smaller number."""
    samples: int


@dataclass(frozen=True, eq=False)
class Samples:
    """Colours of cells as views see them; rows ascend by (cell, view)."""

    cells: Int64[np.ndarray, "n"]
    """Number of the cell, dense from 0."""
    views: Int32[np.ndarray, "n"]
    """Position of the view."""
    colors: UInt8[np.ndarray, "n 3"]
    """sRGB."""
    weights: Float64[np.ndarray, "n"]
    """Confidence of the depth, 0 to 1."""

    def __len__(self) -> int:
        return len(self.cells)


def sample_work(contribution: Contribution, samples: int) -> SampleWork:
    """Returns the work item of one view.

    Args:
        contribution: What the view wrote into the memory.
        samples: Most cells to take.
    """
    groups = tuple(range(len(contribution.shards)))
    return SampleWork(contribution.view_id, contribution.artifact, groups, samples)


def rank(cells: Int64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """Returns a random but fixed rank of cells, the same for all views, without ties.

    Views that each take their cells of least rank take the same ones where they overlap: bottom-k
    sketches (Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). The rank is
    the 64-bit finalizer of MurmurHash3, which is one-to-one.
    """
    value = cells.astype(np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ (value >> np.uint64(33))) * np.uint64(factor)
    return value ^ (value >> np.uint64(33))


def _sample(bench: Bench, key: ArtifactKey, work: SampleWork) -> SampledView:
    cells: list[np.ndarray] = [np.empty(0, np.int64)]
    colors: list[np.ndarray] = [np.empty((0, 3), np.uint8)]
    confidence: list[np.ndarray] = [np.empty(0, np.uint8)]
    if work.groups:
        with bench.store.open(work.rows, ROWS_FILE) as file:
            rows = _usable(read_rows(file, work.groups))
        taken = np.argsort(rank(rows.cells))[: work.samples]
        cells.append(rows.cells[taken])
        colors.append(rows.colors[taken])
        confidence.append(rows.confidence[taken])
    bench.write_arrays(
        key,
        SAMPLES_FILE,
        cells=np.concatenate(cells),
        colors=np.concatenate(colors),
        confidence=np.concatenate(confidence),
    )
    return SampledView(work.view_id, key, sum(len(part) for part in cells))


def _usable(rows: GeometricMemory) -> GeometricMemory:
    inside = (rows.colors >= DARKEST) & (rows.colors <= BRIGHTEST)
    return rows.select(np.asarray(inside.all(axis=1)))


SAMPLE = Stage("sample-colors", 1, Role.DEPTH, SampledView, _sample)
"""Picks the cells of one view whose colours are compared."""


def load_samples(bench: Bench, views: tuple[SampledView, ...], most: int) -> Samples:
    """Returns the samples of all views, one view at a time.

    Args:
        bench: Where they are.
        views: By view id, ascending; their positions are the views of the result.
        most: Samples of all views together; each gives at most its part.
    """
    share = max(1, most // max(1, len(views)))
    parts = [bench.arrays(view.artifact, SAMPLES_FILE) for view in views]
    cells = np.concatenate([np.empty(0, np.int64), *(p["cells"][:share] for p in parts)])
    colors = [np.empty((0, 3), np.uint8), *(part["colors"][:share] for part in parts)]
    confidence = [np.empty(0, np.uint8), *(part["confidence"][:share] for part in parts)]
    counts = [len(part["cells"][:share]) for part in parts]
    owners = np.repeat(np.arange(len(views), dtype=np.int32), counts)
    order = np.lexsort((owners, cells))
    order = order[_few_a_cell(cells[order], owners[order])]
    return Samples(
        np.unique(cells[order], return_inverse=True)[1].astype(np.int64),
        owners[order],
        np.concatenate(colors)[order],
        np.concatenate(confidence)[order] / 255,
    )


def _few_a_cell(
    cells: Int64[np.ndarray, "n"], owners: Int32[np.ndarray, "n"]
) -> Int64[np.ndarray, "m"]:
    """Samples, in their order, of which no cell has more than `MAX_CELL_VIEWS`.

    Work grows with the pairs of views in a cell; which views stay is drawn anew in each cell, so
    that all of them stay linked.
    """
    drawn = np.lexsort((rank(cells + owners), cells))
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    place = np.arange(len(cells)) - np.repeat(starts, np.diff(starts, append=len(cells)))
    return np.sort(drawn[place < MAX_CELL_VIEWS])


def shared_samples(samples: Samples, views: int, min_shared: int) -> Samples:
    """Returns the samples that can be compared.

    Cells that a single view sees are left out, and views with fewer than `min_shared` samples
    after that, until neither is there.

    Args:
        samples: Of all views.
        views: Number of views.
        min_shared: At least 1.
    """
    while len(samples):
        of_cell = np.bincount(samples.cells)[samples.cells]
        kept = of_cell >= 2
        of_view = np.bincount(samples.views[kept], minlength=views)
        kept &= (of_view >= min_shared)[samples.views]
        if kept.all():
            break
        samples = Samples(
            np.unique(samples.cells[kept], return_inverse=True)[1].astype(np.int64),
            samples.views[kept],
            samples.colors[kept],
            samples.weights[kept],
        )
    return samples
