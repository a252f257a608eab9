"""Metrics for Prometheus, through Ray: what `docs/observability.md` lists."""

import ray
from ray.util.metrics import Counter, Gauge, Histogram

from worldloom.observation import (
    Event,
    ItemEnded,
    ItemSent,
    ItemState,
    Span,
    StageBegan,
    StageEnded,
    WorkerLost,
    WorkerUp,
)

BOUNDARIES_S = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
"""Upper ends of the buckets of an item's duration; a third of a decade each."""


class RayMetrics:
    """Turns events into metrics; an observer in the driver.

    The driver hears of every item, with what its worker measured, so nothing is lost with a worker.
    Events that come before Ray is up are not counted: Ray could not pass them on.
    """

    def __init__(self) -> None:
        stage = ("stage",)
        self._seconds = Histogram(
            "worldloom_stage_seconds",
            "Time that a worker spent on one work item.",
            boundaries=BOUNDARIES_S,
            tag_keys=stage,
        )
        self._items = Counter(
            "worldloom_items_total",
            "Work items that ended, by outcome: made, reused, failed.",
            tag_keys=("stage", "outcome"),
        )
        self._retries = Counter(
            "worldloom_retries_total",
            "Items that were handed out again, for a worker was lost over them.",
            tag_keys=stage,
        )
        self._queue = Gauge(
            "worldloom_queue_depth", "Items of the stage that have not ended.", tag_keys=stage
        )
        self._bytes = Counter(
            "worldloom_store_bytes_total",
            "Bytes that workers read from and wrote to the store.",
            tag_keys=("direction",),
        )
        self._gpu = Gauge(
            "worldloom_gpu_memory_bytes",
            "GPU memory that a worker held after its last item.",
            tag_keys=("node", "pid"),
        )
        self._left: dict[str, int] = {}
        self._workers: dict[str, tuple[str, str]] = {}
        self._on_gpu: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Counts one event."""
        match event:
            case StageBegan():
                self._set_left(event.stage, event.items)
            case StageEnded():
                self._set_left(event.stage, 0)
            case ItemEnded():
                self._end_item(event)
            case ItemSent():
                if event.attempt > 1 and ray.is_initialized():
                    self._retries.inc(tags={"stage": event.stage})
            case WorkerUp():
                self._workers[event.worker] = (event.node, str(event.pid))
            case WorkerLost():
                self._forget(event.worker)

    def _end_item(self, event: ItemEnded) -> None:
        self._set_left(event.stage, self._left.get(event.stage, 1) - 1)
        if not ray.is_initialized():
            return
        self._items.inc(tags={"stage": event.stage, "outcome": event.state.value})
        if event.span is not None and event.state is ItemState.MADE:
            self._seconds.observe(event.span.seconds, tags={"stage": event.stage})
        if event.span is not None:
            self._measure(event.span)

    def _measure(self, span: Span) -> None:
        for direction, count in (("read", span.read_bytes), ("write", span.written_bytes)):
            if count:
                self._bytes.inc(count, tags={"direction": direction})
        if span.gpu_bytes:
            node, pid = span.place.node, str(span.place.pid)
            self._on_gpu.add((node, pid))
            self._gpu.set(span.gpu_bytes, tags={"node": node, "pid": pid})

    def _set_left(self, stage: str, items: int) -> None:
        self._left[stage] = items
        if ray.is_initialized():
            self._queue.set(items, tags={"stage": stage})

    def _forget(self, worker: str) -> None:
        """A worker that is gone holds no memory any more."""
        process = self._workers.pop(worker, None)
        if process in self._on_gpu and ray.is_initialized():
            self._on_gpu.remove(process)
            self._gpu.set(0, tags={"node": process[0], "pid": process[1]})
