"""The timeline of a job: a trace that Perfetto and chrome://tracing open.

The format is the JSON array of trace events
(https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU), one event a line.
It may lack its end, so the file of a job that was killed opens too.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec

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

TIMELINE_FILE = "timeline.json"
MAX_EVENTS = 500_000
"""Events kept; items after that are counted, stages are kept. About 100 MB."""
_DRIVER = 1
_STAGES = 1
_logger = logging.getLogger(__name__)


class Timeline:
    """Writes the events of a job as they come; an observer while it is entered.

    Stages are spans of the first row, items of one row for each thread of each worker. Begin and
    duration of an item are those that its worker measured, by the clock of its machine.

    Args:
        path: File to write.
        job: Name of the job.
        max_events: Events kept.
        clock: Unix time, seconds.
    """

    def __init__(
        self,
        path: Path,
        job: str,
        *,
        max_events: int = MAX_EVENTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._job = job
        self._left = max_events
        self._clock = clock
        self._start_s = clock()
        self._file: TextIO | None = None
        self._lock = threading.Lock()
        self._open: dict[str, tuple[float, dict[str, int]]] = {}
        self._processes: dict[tuple[str, int], int] = {}
        self._threads: dict[tuple[int, str], int] = {}
        self._dropped = 0

    def __enter__(self) -> "Timeline":
        """Begins the file."""
        try:
            self._file = self._path.open("w", encoding="utf-8")
            self._file.write("[\n")
        except OSError as error:
            self._give_up(error)
        here = (socket.gethostname(), os.getpid())
        self._processes[here] = _DRIVER
        self._name_process(_DRIVER, f"driver on {here[0]} (pid {here[1]})")
        self._name_thread(_DRIVER, _STAGES, "stages")
        self._threads[_DRIVER, ""] = _STAGES
        self._instant("job", {"job": self._job, "start_unix_s": self._start_s})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the spans of stages that were cut off, and the file."""
        with self._lock:
            for stage in list(self._open):
                self._end_stage(stage, cut_off=True)
            if self._dropped:
                self._instant("items left out", {"count": self._dropped})
            self._instant("end", {"error": "" if kind is None else kind.__name__}, last=True)
            if self._file is not None:
                self._file.close()
                self._file = None

    def __call__(self, event: Event) -> None:
        """Writes one event."""
        with self._lock:
            match event:
                case StageBegan():
                    counts = {"items": event.items, "made": 0, "reused": 0, "failed": 0}
                    self._open[event.stage] = (self._clock(), counts)
                case StageEnded():
                    if event.stage in self._open:
                        self._end_stage(event.stage)
                case ItemEnded():
                    self._end_item(event)
                case ItemSent():
                    if event.attempt > 1:
                        args = {"subject": event.subject, "attempt": event.attempt}
                        self._instant(f"retry {event.stage}", args | {"worker": event.worker})
                case WorkerUp():
                    process = self._process(event.node, event.pid, event.worker)
                    self._instant(f"{event.worker} up", {"process": process})
                case WorkerLost():
                    self._instant(f"{event.worker} lost", {"reason": event.reason})

    def _end_stage(self, stage: str, *, cut_off: bool = False) -> None:
        start_s, counts = self._open.pop(stage)
        args: dict[str, object] = {**counts}
        if cut_off:
            args["cut_off"] = True
        self._write(self._complete(stage, "stage", start_s, self._clock() - start_s, args))

    def _end_item(self, event: ItemEnded) -> None:
        if event.stage in self._open:
            self._open[event.stage][1][event.state] += 1
        if event.span is not None:
            self._item(event, event.span)
        elif event.state is ItemState.FAILED:
            args = {"subject": event.subject, "message": event.message}
            self._instant(f"failed {event.stage}", args)

    def _item(self, event: ItemEnded, span: Span) -> None:
        if self._left <= 0:
            self._dropped += 1
            return
        process = self._process(span.place.node, span.place.pid)
        args: dict[str, object] = {
            "subject": span.subject,
            "state": event.state,
            "cpu_s": round(span.cpu_s, 6),
            "read_bytes": span.read_bytes,
            "written_bytes": span.written_bytes,
        }
        if span.gpu_bytes:
            args["gpu_bytes"] = span.gpu_bytes
        if event.message is not None:
            args["message"] = event.message
        row = self._thread(process, span.place.thread)
        self._write(
            self._complete(event.stage, "item", span.start_s, span.seconds, args)
            | {"pid": process, "tid": row}
        )

    def _process(self, node: str, pid: int, worker: str | None = None) -> int:
        process = self._processes.get((node, pid))
        if process is None:
            process = self._processes[node, pid] = len(self._processes) + 1
            self._name_process(process, f"{worker or 'worker'} on {node} (pid {pid})")
        return process

    def _thread(self, process: int, thread: str) -> int:
        row = self._threads.get((process, thread))
        if row is None:
            row = self._threads[process, thread] = len(self._threads) + 1
            number = sum(other == process for other, _ in self._threads)
            # Ray's own threads have names that say nothing.
            self._name_thread(process, row, thread if process == _DRIVER else f"items {number}")
        return row

    def _name_process(self, process: int, name: str) -> None:
        for kind, args in (
            ("process_name", {"name": name}),
            ("process_sort_index", {"sort_index": process}),
        ):
            self._write({"name": kind, "ph": "M", "pid": process, "tid": 0, "args": args})

    def _name_thread(self, process: int, thread: int, name: str) -> None:
        args = {"name": name}
        self._write({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": args})

    def _complete(
        self, name: str, category: str, start_s: float, seconds: float, args: Mapping[str, object]
    ) -> dict[str, object]:
        return {
            "name": name,
            "cat": category,
            "ph": "X",
            "ts": round((start_s - self._start_s) * 1e6),
            "dur": max(1, round(seconds * 1e6)),
            "pid": _DRIVER,
            "tid": _STAGES,
            "args": args,
        }

    def _instant(self, name: str, args: Mapping[str, object], *, last: bool = False) -> None:
        stamp = {"ts": round((self._clock() - self._start_s) * 1e6), "pid": _DRIVER, "tid": _STAGES}
        self._write({"name": name, "cat": "job", "ph": "i", "s": "g", **stamp, "args": args}, last)

    def _write(self, event: Mapping[str, object], last: bool = False) -> None:
        if self._file is None:
            return
        self._left -= 1
        try:
            self._file.write(msgspec.json.encode(event).decode() + ("\n]\n" if last else ",\n"))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._file = None
        _logger.warning("no timeline from here on, %s: %s", self._path, error)
