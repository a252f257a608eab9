"""What can be observed of a run: events, and the observers that are told of them.

Observers are for people and dashboards. No result depends on them, and they must not raise.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from worldloom.device import held_gpu_bytes
from worldloom.store import Store


@dataclass(frozen=True)
class Place:
    """Where a work item was made."""

    node: str
    """Host name."""
    pid: int
    thread: str
    """Name of the thread."""


@dataclass(frozen=True)
class Span:
    """When and where a work item was made, as measured there."""

    subject: str
    """What the item is about."""
    start_s: float
    """Unix time by the clock of that machine, seconds."""
    seconds: float
    cpu_s: float
    """Of these, time that the thread computed; the rest it waited for disks, locks, other
    processes."""
    place: Place
    read_bytes: int
    """Bytes of store files that were read whole; ranges of opened files do not count."""
    written_bytes: int
    """Bytes written to the store."""
    gpu_bytes: int
    """GPU memory that the process held in the end; 0 without a GPU."""


class SpanTimer:
    """Measures one work item in the thread that makes it; starts at once.

    Args:
        subject: What the item is about.
        store: Store of this process, whose traffic is counted.
    """

    def __init__(self, subject: str, store: Store) -> None:
        self._subject = subject
        self._store = store
        self._before = store.traffic()
        self._start_s = time.time()
        self._tick_s = time.perf_counter()
        self._cpu_s = time.thread_time()

    def stop(self) -> Span:
        """Returns what was measured since the start."""
        seconds = time.perf_counter() - self._tick_s
        after = self._store.traffic()
        return Span(
            self._subject,
            self._start_s,
            seconds,
            time.thread_time() - self._cpu_s,
            this_place(),
            after.read_bytes - self._before.read_bytes,
            after.written_bytes - self._before.written_bytes,
            held_gpu_bytes(),
        )


class ItemState(StrEnum):
    """What became of a work item."""

    MADE = "made"
    REUSED = "reused"
    FAILED = "failed"


@dataclass(frozen=True)
class StageBegan:
    """A stage, or a step of the driver's own, has begun."""

    stage: str
    items: int


@dataclass(frozen=True)
class StageEnded:
    """All items of a stage have ended."""

    stage: str


@dataclass(frozen=True)
class ItemSent:
    """An item was handed to a worker of another process."""

    stage: str
    subject: str
    worker: str
    attempt: int
    """1 for the first try; more after a worker was lost over it."""


@dataclass(frozen=True)
class ItemEnded:
    """A work item was made, found finished, or given up."""

    stage: str
    state: ItemState
    span: Span | None
    """None where no worker measured it: found by the driver, or lost with its worker."""
    subject: str | None = None
    """What a failed item was about."""
    message: str | None = None
    """Why it failed."""


@dataclass(frozen=True)
class WorkerUp:
    """A worker process is ready for items."""

    worker: str
    role: str
    node: str
    pid: int


@dataclass(frozen=True)
class WorkerLost:
    """A worker process died, or cannot be reached."""

    worker: str
    role: str
    reason: str


Event = StageBegan | StageEnded | ItemSent | ItemEnded | WorkerUp | WorkerLost
Observer = Callable[[Event], None]


class Observers:
    """Passes each event on to all who watch; itself an observer."""

    def __init__(self) -> None:
        self._watching: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Adds one who is told of every event from now on."""
        self._watching.append(observer)

    def __call__(self, event: Event) -> None:
        """Tells all."""
        for observer in self._watching:
            observer(event)


def unobserved(_event: Event) -> None:
    """Takes no notice."""


@contextmanager
def observed_step(observe: Observer, step: str, items: int) -> Generator[None]:
    """Tells of the begin and the end of a step that no runner executes."""
    observe(StageBegan(step, items))
    yield
    observe(StageEnded(step))


def this_place() -> Place:
    """Returns where this thread runs."""
    return Place(socket.gethostname(), os.getpid(), threading.current_thread().name)
