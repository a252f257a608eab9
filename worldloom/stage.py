"""Stages and runners: pure functions of frozen work, and what executes them.

What a work item holds is exactly what its result depends on, so the digest of the item is the key
of its artifact: finished work is found again, never done twice, whoever runs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, runtime_checkable

from worldloom.bench import Bench
from worldloom.errors import StoreError, WorldloomError
from worldloom.logs import logged
from worldloom.observation import (
    ItemEnded,
    ItemState,
    Observer,
    Span,
    SpanTimer,
    StageBegan,
    StageEnded,
    unobserved,
)
from worldloom.store import ArtifactKey, Store, artifact_key


@runtime_checkable
class Work(Protocol):
    """A work item: a frozen dataclass that `worldloom.codec` can encode."""

    @property
    def subject(self) -> str:
        """What the item is about, for people: `view 12`, `chunk 3`."""
        ...


W = TypeVar("W", bound=Work)
R = TypeVar("R")


class Role(StrEnum):
    """Which kind of worker executes a stage."""

    DEPTH = "depth"
    MEMORY = "memory"
    CHUNK = "chunk"
    MERGER = "merger"


@dataclass(frozen=True)
class Stage(Generic[W, R]):
    """One step of the pipeline, applied to many work items."""

    name: str
    """Folder of its artifacts, and its name in progress and timings."""
    version: int
    """Raised when the result of the same work changes."""
    role: Role
    """Kind of worker that executes it."""
    result: type[R]
    """Type of its results: a small frozen dataclass; large data go to the store."""
    function: Callable[[Bench, ArtifactKey, W], R]
    """Writes the files of the artifact `key` from a work item and returns the result."""

    def key(self, work: W) -> ArtifactKey:
        """Returns the key of the artifact that `work` leads to."""
        return artifact_key(self.name, self.version, work)


@dataclass(frozen=True)
class Failure:
    """A work item that could not be made."""

    stage: str
    subject: str
    error: str
    """Type of the error."""
    message: str
    attempts: int
    retryable: bool = False
    """True where the place may be at fault, not the item: no space, no memory, a store out of
    reach. Another worker may succeed."""


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of one work item: a value or a failure."""

    value: R | None
    failure: Failure | None = None
    reused: bool = False
    """True where the artifact was there already."""
    span: Span | None = field(default=None, compare=False, repr=False)
    """When and where it was made; no part of the result, so outcomes compare without it."""


@dataclass(frozen=True)
class Progress:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    reused: int
    failed: int


@dataclass(frozen=True)
class StageReport:
    """What one stage took."""

    stage: str
    seconds: float
    items: int
    reused: int
    """Items found finished."""
    failed: int


ProgressCallback = Callable[[Progress], None]


@runtime_checkable
class RunsStages(Protocol):
    """Runs a stage; items that fail come back as None."""

    def __call__(self, stage: Stage[W, R], works: Sequence[W], /) -> list[R | None]:
        """See `worldloom.job.Job.run`."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Executes stages. Results do not depend on which runner it is."""

    def map(
        self, stage: Stage[W, R], works: Sequence[W], on_progress: ProgressCallback
    ) -> list[Outcome[R]]:
        """Makes every work item and returns the outcomes in the order of `works`.

        An item that raises a `WorldloomError`, or that no worker survives, becomes a failure; other
        exceptions are defects and are raised.

        Raises:
            RunnerError: the work cannot be run at all.
        """
        ...

    def watch(self, observer: Observer) -> None:
        """Tells an observer of all that happens from now on."""
        ...

    def has_cuda(self, role: Role = Role.DEPTH) -> bool:
        """Returns whether the workers of a role have a CUDA device; asked once, in the driver."""
        ...

    def start(self) -> None:
        """Gets ready ahead of the first stage; not needed, but the wait is shorter then."""
        ...

    def close(self) -> None:
        """Frees what the runner holds; it takes no more work."""
        ...


def find(stage: Stage[W, R], store: Store, work: W) -> Outcome[R] | None:
    """Returns the outcome of a work item that is finished already, or None."""
    found = store.result(stage.key(work), stage.result)
    return None if found is None else Outcome(found, reused=True)


def execute(stage: Stage[W, R], bench: Bench, work: W) -> Outcome[R]:
    """Makes one work item in this process, or finds it made; for use by runners.

    Args:
        stage: What to do.
        bench: Store and caches.
        work: What to do it to.

    Returns:
        The outcome; a `WorldloomError` of the stage, or memory that does not suffice, becomes its
        failure.
    """
    found = find(stage, bench.store, work)
    if found is not None:
        return found
    key = stage.key(work)
    timer = SpanTimer(work.subject, bench.store)
    with logged(stage=stage.name, subject=work.subject):
        try:
            result = stage.function(bench, key, work)
            bench.store.commit(key, result)
        except (WorldloomError, MemoryError) as error:
            kind = type(error).__name__
            retryable = isinstance(error, (StoreError, MemoryError))
            failure = Failure(stage.name, work.subject, kind, str(error), 1, retryable)
            return Outcome(None, failure, span=timer.stop())
    return Outcome(result, span=timer.stop())


class ProgressCounter:
    """Counts outcomes of one stage and reports after each.

    Args:
        stage: Name of the stage.
        total: Number of work items.
        report: Called at once and after each outcome.
        observe: Told of the stage and of each item that ended.
    """

    def __init__(
        self, stage: str, total: int, report: ProgressCallback, observe: Observer = unobserved
    ) -> None:
        self._state = Progress(stage, done=0, total=total, reused=0, failed=0)
        self._report = report
        self._observe = observe
        observe(StageBegan(stage, total))
        self._tell()

    def add(self, outcome: Outcome[R]) -> None:
        """Counts one outcome."""
        state = self._state
        self._state = Progress(
            state.stage,
            done=state.done + 1,
            total=state.total,
            reused=state.reused + int(outcome.reused),
            failed=state.failed + int(outcome.failure is not None),
        )
        self._observe(_ended(state.stage, outcome))
        self._tell()

    def _tell(self) -> None:
        self._report(self._state)
        if self._state.done == self._state.total:
            self._observe(StageEnded(self._state.stage))


def _ended(stage: str, outcome: Outcome[R]) -> ItemEnded:
    if outcome.failure is not None:
        failure = outcome.failure
        return ItemEnded(stage, ItemState.FAILED, outcome.span, failure.subject, failure.message)
    state = ItemState.REUSED if outcome.reused else ItemState.MADE
    return ItemEnded(stage, state, outcome.span)
