"""Events of jobs."""

from dataclasses import dataclass

from cluster.gateway.convert._jobs import (
    STATES,
    fault_from_pb,
    fault_to_pb,
    mark_from_pb,
    mark_to_pb,
    state_to_pb,
)
from cluster.gateway.convert._values import chosen, time_from_pb, time_to_pb
from cluster.gateway.records import JobEvent, StateMark
from cluster.rpc import job_pb2
from cluster.worker.events import StageMark


@dataclass(frozen=True)
class Picture:
    """A picture of what there is so far."""

    title: str
    media_type: str
    image: bytes


@dataclass(frozen=True)
class WatchedEvent:
    """One thing that happened to a job, as its watcher sees it; one of the last four is set."""

    sequence: int
    time_s: float
    state: StateMark | None = None
    progress: StageMark | None = None
    warning: str | None = None
    preview: Picture | None = None

    @property
    def is_last(self) -> bool:
        """Whether no event follows."""
        return self.state is not None and self.state.state.is_final


def event_to_pb(event: JobEvent, image: bytes | None) -> job_pb2.JobEvent:
    """Returns an event as a message.

    Args:
        event: The event.
        image: Content of its picture, where it has one.
    """
    message = job_pb2.JobEvent(sequence=event.sequence, event_time=time_to_pb(event.time_s))
    mark, worker = event.content.state, event.content.worker
    if mark is not None:
        error = None if mark.fault is None else fault_to_pb(mark.fault)
        change = job_pb2.JobStateChange(state=state_to_pb(mark.state), error=error)
        message.state_change.CopyFrom(change)
    elif worker is None:
        raise ValueError(f"event {event.sequence} is empty")
    elif worker.progress is not None:
        message.progress.CopyFrom(mark_to_pb(worker.progress))
    elif worker.preview is not None:
        preview = worker.preview
        message.preview.title = preview.title
        message.preview.media_type = preview.media_type
        message.preview.image = image or b""
    else:
        message.warning = worker.warning or ""
    return message


def watched_from_pb(message: job_pb2.JobEvent) -> WatchedEvent:
    """Returns an event as its watcher sees it."""
    time_s = time_from_pb(message, "event_time") or 0.0
    kind = message.WhichOneof("event")
    if kind == "state_change":
        change = message.state_change
        fault = fault_from_pb(change.error) if change.HasField("error") else None
        mark = StateMark(chosen(change.state, STATES, "state"), fault)
        return WatchedEvent(message.sequence, time_s, state=mark)
    if kind == "progress":
        return WatchedEvent(message.sequence, time_s, progress=mark_from_pb(message.progress))
    if kind == "preview":
        shown = message.preview
        picture = Picture(shown.title, shown.media_type, shown.image)
        return WatchedEvent(message.sequence, time_s, preview=picture)
    return WatchedEvent(message.sequence, time_s, warning=message.warning)
