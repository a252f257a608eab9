"""The events of a job: lines of a file that only grows, from its process to the gateway."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster.worker.task import EVENTS_FILE
from worldloom.codec import from_json, to_json
from worldloom.stage import Progress

_logger = logging.getLogger(__name__)
_LEAST_GAP_S = 0.5
_MOST_WARNINGS = 200


@dataclass(frozen=True)
class StageMark:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    reused: int
    failed: int
    remaining_s: float | None = None
    """Time until its end at the present rate; None while none is known."""


@dataclass(frozen=True)
class PreviewMark:
    """A picture in the folder of the job."""

    title: str
    media_type: str
    file: str
    """Name in the folder of the job."""


@dataclass(frozen=True)
class WorkerEvent:
    """One thing that happened; one of the fields after the time is set."""

    time_s: float
    """Seconds since 1970, UTC."""
    progress: StageMark | None = None
    warning: str | None = None
    preview: PreviewMark | None = None


class EventWriter(logging.Handler):
    """Writes the events of a job; a handler of warnings, and to be called with progress.

    Args:
        folder: Of the job.
        clock: Seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._fd = os.open(folder / EVENTS_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        self._told_s = 0.0
        self._started: dict[str, tuple[float, int]] = {}
        self._stage = ""
        self._warnings: set[str] = set()
        size = os.fstat(self._fd).st_size
        # An earlier try may have been killed in the middle of a line.
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a warning, each text once and not without end."""
        text = record.getMessage()
        if text not in self._warnings and len(self._warnings) < _MOST_WARNINGS:
            self._warnings.add(text)
            self.write(WorkerEvent(self._clock(), warning=text))

    def __call__(self, progress: Progress) -> None:
        """Writes progress: the first and the last of a stage, and what is due between."""
        now_s = self._clock()
        is_new = progress.done == 0 or progress.stage != self._stage
        fresh = progress.done - progress.reused
        if is_new:
            self._stage = progress.stage
            self._started.pop(progress.stage, None)
        if fresh:
            self._started.setdefault(progress.stage, (now_s, fresh))
        is_last = progress.done == progress.total
        if not (is_new or is_last or now_s - self._told_s >= _LEAST_GAP_S):
            return
        self._told_s = now_s
        mark = StageMark(
            progress.stage,
            progress.done,
            progress.total,
            progress.reused,
            progress.failed,
            self._remaining_s(progress, now_s, fresh),
        )
        self.write(WorkerEvent(now_s, progress=mark))

    def preview(self, title: str, media_type: str, file: str) -> None:
        """Tells of a picture that lies in the folder of the job."""
        self.write(WorkerEvent(self._clock(), preview=PreviewMark(title, media_type, file)))

    def write(self, event: WorkerEvent) -> None:
        """Writes one line, in one call, so that lines of threads do not mix."""
        os.write(self._fd, to_json(event) + b"\n")

    def _remaining_s(self, progress: Progress, now_s: float, fresh: int) -> float | None:
        # The rate counts from the first item that was made: workers may have had to start.
        first_s, first = self._started.get(progress.stage, (now_s, fresh))
        if fresh <= first or now_s <= first_s:
            return None
        return (now_s - first_s) / (fresh - first) * (progress.total - progress.done)


@dataclass(frozen=True)
class EventsRead:
    """What was new in a file of events."""

    events: tuple[WorkerEvent, ...]
    offset: int
    """Where to read on."""


def read_events(folder: Path, offset: int, most_bytes: int = 1 << 20) -> EventsRead:
    """Reads whole lines from an offset on.

    Args:
        folder: Of the job.
        offset: Byte after the last line that was read.
        most_bytes: Read no more at once.
    """
    try:
        with (folder / EVENTS_FILE).open("rb") as stream:
            stream.seek(offset)
            data = stream.read(most_bytes)
    except FileNotFoundError:
        return EventsRead((), offset)
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) == most_bytes:
        # No event is that long: what is here is no text of ours.
        end = len(data)
    events: list[WorkerEvent] = []
    for line in data[:end].splitlines():
        if not line:
            continue
        try:
            events.append(from_json(line, WorkerEvent))
        except msgspec.DecodeError:
            _logger.warning("a line of %s is no event; it is passed over", folder / EVENTS_FILE)
    return EventsRead(tuple(events), offset + end)
