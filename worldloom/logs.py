"""Structured logs: one JSON object a line, which says what the process was at work on."""

import logging
import re
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

LogFormat = Literal["text", "json"]
FIELDS = ("job", "stage", "subject", "view", "chunk", "worker", "node")
"""What a line may say beside time, level, logger, message and trace; absent where unknown."""

Fields = Mapping[str, str | int | float]
_NUMBERED = re.compile(r"^(view|chunk) (\d+)\b")
_current: ContextVar[Fields] = ContextVar("worldloom_log_fields", default={})  # noqa: B039 (never changed in place)


@dataclass(frozen=True)
class LogConfig:
    """How a process logs; what workers are told."""

    job: str
    """Name of the job, in every line."""
    level: int = logging.INFO


@contextmanager
def logged(*, stage: str, subject: str) -> Generator[None]:
    """Puts stage and subject into all lines that this thread logs meanwhile."""
    token = _current.set({"stage": stage, **subject_fields(subject)})
    try:
        yield
    finally:
        _current.reset(token)


def subject_fields(subject: str) -> Fields:
    """Returns the fields of a subject: itself, and the number of the view or chunk it names."""
    found = _NUMBERED.match(subject)
    numbered: Fields = {} if found is None else {found[1]: int(found[2])}
    return {"subject": subject, **numbered}


class JsonFormatter(logging.Formatter):
    """Formats records as JSON lines.

    Fields come from the item that the thread is at work on, and from `extra={"fields": {...}}` of
    the call.

    Args:
        job: Name of the job.
        worker: Name of this worker; None in the driver.
    """

    def __init__(self, job: str, worker: str | None = None) -> None:
        super().__init__()
        self._fixed: Fields = {"job": job, "node": socket.gethostname()}
        if worker is not None:
            self._fixed = {**self._fixed, "worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fixed,
            **_current.get(),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def json_handler(
    stream_handler: logging.Handler, config: LogConfig, worker: str | None = None
) -> logging.Handler:
    """Makes a handler write JSON lines, and lets the records of our packages through.

    Args:
        stream_handler: Where lines go.
        config: Name of the job and level of our own packages.
        worker: Name of this worker; None in the driver.
    """
    stream_handler.setFormatter(JsonFormatter(config.job, worker))
    for package in ("worldloom", "actors", "cluster"):
        logging.getLogger(package).setLevel(config.level)
    return stream_handler
