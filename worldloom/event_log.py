"""Events as log records, with their fields beside the text."""

import logging

from worldloom.logs import Fields, subject_fields
from worldloom.observation import (
    Event,
    ItemEnded,
    ItemSent,
    ItemState,
    StageBegan,
    StageEnded,
    WorkerLost,
    WorkerUp,
)

_logger = logging.getLogger(__name__)


def log_event(event: Event) -> None:
    """Logs one event at the level of information; an observer.

    Items that were found finished are not logged one by one: a resumed job has thousands.
    """
    if not _logger.isEnabledFor(logging.INFO):
        return
    told = _told(event)
    if told is not None:
        text, fields = told
        _logger.info(text, extra={"fields": fields})


def _told(event: Event) -> tuple[str, Fields] | None:
    match event:
        case StageBegan():
            return "stage begins", {"stage": event.stage, "items": event.items}
        case StageEnded():
            return "stage ended", {"stage": event.stage}
        case ItemSent():
            if event.attempt == 1:
                return None
            retried = {"stage": event.stage, "attempt": event.attempt, "worker": event.worker}
            return "item tried again", retried | dict(subject_fields(event.subject))
        case ItemEnded():
            return None if event.state is ItemState.REUSED else _item(event)
        case WorkerUp():
            fields = {"worker": event.worker, "role": event.role, "node": event.node}
            return "worker is up", fields | {"pid": event.pid}
        case WorkerLost():
            fields = {"worker": event.worker, "role": event.role, "reason": event.reason}
            return "worker is lost", fields


def _item(event: ItemEnded) -> tuple[str, Fields]:
    fields: dict[str, str | int | float] = {"stage": event.stage, "state": event.state.value}
    if event.span is not None:
        place = event.span.place
        fields |= subject_fields(event.span.subject)
        fields |= {"node": place.node, "pid": place.pid, "seconds": round(event.span.seconds, 6)}
    elif event.subject is not None:
        fields |= subject_fields(event.subject)
    if event.message is not None:
        fields["error"] = event.message
    return f"item {event.state.value}", fields
