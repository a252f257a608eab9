"""Progress of the stages: a live display on a terminal, plain lines elsewhere."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from worldloom.logs import LogFormat
from worldloom.stage import Progress

_LINE_EVERY_S = 5.0


def duration_text(seconds: float) -> str:
    """Returns a duration as people write it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def remarks(progress: Progress) -> str:
    """Returns what is worth saying beside the count: `12 reused, 1 failed`."""
    parts = [(progress.reused, "reused"), (progress.failed, "failed")]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


class Report(AbstractContextManager["Report"]):
    """Shows progress while it is entered; to be called with each step."""

    @abstractmethod
    def __call__(self, progress: Progress) -> None:
        """Shows one step."""


class LiveReport(Report):
    """A bar for each run of a stage, with the time left.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remarks]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "LiveReport":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Moves the bar of the stage."""
        if progress.done == 0 or progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, remarks="")
        self._bars.update(
            self._tasks[progress.stage],
            total=progress.total,
            completed=progress.done,
            remarks=remarks(progress),
        )


class LineReport(Report):
    """A line when a run of a stage starts and ends, and every few seconds between.

    Args:
        stream: Where the lines go.
        clock: Seconds since any moment.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started_s: dict[str, float] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._told_s = -math.inf

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def __call__(self, progress: Progress) -> None:
        """Writes a line when one is due."""
        now_s = self._clock()
        is_new = progress.done == 0 or progress.stage not in self._started_s
        if is_new:
            self._started_s[progress.stage] = now_s
            self._first.pop(progress.stage, None)
        fresh = progress.done - progress.reused
        if fresh:
            self._first.setdefault(progress.stage, (now_s, fresh))
        is_done = progress.done == progress.total
        if not (is_new or is_done or now_s - self._told_s >= _LINE_EVERY_S):
            return
        self._told_s = now_s
        parts = [f"{progress.stage}: {progress.done}/{progress.total}"]
        if is_done:
            parts.append(duration_text(now_s - self._started_s[progress.stage]))
        elif fresh and fresh > self._first[progress.stage][1]:
            # The rate counts from the first item that was made: workers may have had to start.
            first_s, first_count = self._first[progress.stage]
            per_item_s = (now_s - first_s) / (fresh - first_count)
            parts.append(f"{duration_text(per_item_s * (progress.total - progress.done))} left")
        if remarks(progress):
            parts.append(remarks(progress))
        self._stream.write(", ".join(parts) + "\n")
        self._stream.flush()


class NoReport(Report):
    """Says nothing: where logs are JSON, the log tells of stages and items."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Has nothing to end."""

    def __call__(self, progress: Progress) -> None:
        """Passes over the step."""


def report_on(stream: TextIO, log_format: LogFormat = "text") -> Report:
    """Returns the report that fits a stream: live on a terminal, lines elsewhere, none in JSON."""
    if log_format == "json":
        return NoReport()
    console = Console(file=stream)
    return LiveReport(console) if console.is_terminal else LineReport(stream)
