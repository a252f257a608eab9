"""Reads timelines: what stages and items took in a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from worldloom.errors import InputError


@dataclass(frozen=True)
class TimedItem:
    """A work item of a timeline."""

    stage: str
    subject: str
    start_s: float
    """After the begin of the job."""
    seconds: float
    cpu_s: float
    """Of these, time that the thread computed."""
    process: int
    """Number of its worker."""
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True)
class TimedStage:
    """A run of a stage, or a step of the driver's own."""

    stage: str
    start_s: float
    seconds: float
    items: int


@dataclass(frozen=True)
class TimelineRecord:
    """What a timeline tells, in the order in which it was written."""

    items: tuple[TimedItem, ...]
    stages: tuple[TimedStage, ...]


class _Event(msgspec.Struct):
    name: str
    ph: str
    pid: int
    cat: str = ""
    ts: int = 0
    dur: int = 0
    args: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


def read_timeline(path: Path) -> TimelineRecord:
    """Reads the file that a `Timeline` wrote; one that was cut off is read as far as it goes.

    Raises:
        InputError: it cannot be read, or is no timeline.
    """
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}", path=str(path)) from error
    if first != "[":
        raise InputError(f"{path} is no timeline of Worldloom", path=str(path))
    items: list[TimedItem] = []
    stages: list[TimedStage] = []
    for line in lines:
        try:
            event = msgspec.json.decode(line.removesuffix(","), type=_Event)
        except msgspec.MsgspecError:
            break  # the end, or a line that was cut
        start_s, seconds = event.ts / 1e6, event.dur / 1e6
        if event.cat == "stage":
            stages.append(TimedStage(event.name, start_s, seconds, event.args["items"]))
        elif event.cat == "item":
            moved = (event.args["read_bytes"], event.args["written_bytes"])
            subject = event.args["subject"]
            measured = (start_s, seconds, event.args["cpu_s"], event.pid)
            items.append(TimedItem(event.name, subject, *measured, *moved))
    return TimelineRecord(tuple(items), tuple(stages))
