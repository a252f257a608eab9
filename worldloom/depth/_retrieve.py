"""What the memories know of a view: a depth prior, and which views see the same points."""

from dataclasses import dataclass

from worldloom.bench import Bench
from worldloom.memory import ROWS_FILE, FusedMemory, FusedShard, load_memory, read_cells
from worldloom.scene import Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

_MOST_PARTNERS = 64
"""Others that a view is told of; many times what it is compared with."""


@dataclass(frozen=True, eq=False)
class RetrieveWork:
    """A view to look up."""

    frame: Frame
    own: ArtifactKey | None
    """What the view wrote into the memory, `rows.parquet`; None: nothing."""
    shards: tuple[FusedShard, ...]
    """Shards of the memory that its frustum touches."""
    near: float
    """Depth range to look in, world unit."""
    far: float
    width_px: int
    """Width of the depth prior."""
    height_px: int
    """Height of the depth prior."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True)
class SharedCells:
    """How much of a view another view sees."""

    view_id: int
    share: float
    """Share of the view's cells that the other sees too, 0 to 1."""


@dataclass(frozen=True, eq=False)
class RetrieveResult:
    """Artifact with `prior.npz`: depth (h w), 0 = unknown, and confidence (h w)."""

    frame: Frame
    artifact: ArtifactKey
    covisible: tuple[SharedCells, ...]
    """Other views, largest share first."""


def _retrieve(bench: Bench, key: ArtifactKey, work: RetrieveWork) -> RetrieveResult:
    memory = load_memory(bench, work.shards)
    memory = memory.in_frustum(work.frame.camera, work.near, work.far)
    prior = memory.render(work.frame.camera, work.width_px, work.height_px)
    bench.write_arrays(key, "prior.npz", depth=prior.depth, confidence=prior.confidence)
    return RetrieveResult(work.frame, key, _covisible(bench, work, memory))


def _covisible(bench: Bench, work: RetrieveWork, memory: FusedMemory) -> tuple[SharedCells, ...]:
    if work.own is None:
        return ()
    cells = read_cells(bench.store.read(work.own, ROWS_FILE))
    counts = memory.covisible(work.frame.view_id, cells, _MOST_PARTNERS)
    return tuple(SharedCells(other, count / counts.own) for other, count in counts.others.items())


RETRIEVE = Stage("retrieve", 2, Role.MEMORY, RetrieveResult, _retrieve)
"""Work: `RetrieveWork`."""
