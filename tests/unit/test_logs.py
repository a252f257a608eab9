"""Structured logs: every line a JSON object with what is known."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from worldloom.bench import Bench, BenchConfig
from worldloom.event_log import log_event
from worldloom.inline import InlineRunner
from worldloom.logs import FIELDS, JsonFormatter, LogConfig, json_handler, logged, subject_fields
from worldloom.observation import (
    Event,
    ItemEnded,
    ItemSent,
    ItemState,
    Place,
    Span,
    StageBegan,
    StageEnded,
    WorkerLost,
    WorkerUp,
)
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

_logger = logging.getLogger("worldloom.test_logs")
COMMON = {"time", "level", "logger", "message"}


@dataclass(frozen=True)
class Chunky:
    n: int

    @property
    def subject(self) -> str:
        return f"chunk {self.n}"


def _complain(_bench: Bench, _key: ArtifactKey, work: Chunky) -> Chunky:
    _logger.warning("chunk %d is thin", work.n)
    return work


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the packages log meanwhile, as JSON."""
    written = io.StringIO()
    packages = [logging.getLogger(name) for name in ("worldloom", "actors", "cluster")]
    levels = [logger.level for logger in packages]
    handler = json_handler(logging.StreamHandler(written), LogConfig("a job"), "depth-3")
    packages[0].addHandler(handler)
    yield written
    packages[0].removeHandler(handler)
    for logger, level in zip(packages, levels, strict=True):
        logger.setLevel(level)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_a_stage_logs_names_its_item(stream: io.StringIO, tmp_path: Path):
    stage = Stage("fuse", 1, Role.CHUNK, Chunky, _complain)
    InlineRunner(BenchConfig(str(tmp_path)), 2).map(stage, [Chunky(7), Chunky(8)], lambda _p: None)
    _logger.warning("after it")
    *during, after = sorted(_lines(stream), key=lambda line: line["time"])
    assert {(line["stage"], line["chunk"], line["message"]) for line in during} == {
        ("fuse", 7, "chunk 7 is thin"),
        ("fuse", 8, "chunk 8 is thin"),
    }
    assert after.keys() == COMMON | {"job", "node", "worker"}
    assert (after["job"], after["worker"], after["level"]) == ("a job", "depth-3", "warning")


def test_fields_of_threads_do_not_mix(stream: io.StringIO):
    inside = threading.Event()
    told = threading.Event()

    def work() -> None:
        with logged(stage="depth", subject="view 3 (walk/0003)"):
            inside.set()
            told.wait(10)
            _logger.info("from the thread")

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    _logger.info("from outside")
    told.set()
    thread.join()
    outside, within = _lines(stream)
    assert "stage" not in outside
    assert (within["stage"], within["view"]) == ("depth", 3)
    assert within["subject"] == "view 3 (walk/0003)"


@pytest.mark.parametrize(
    ("subject", "numbered"),
    [
        ("view 12 (walk/0012)", {"view": 12}),
        ("chunk 3", {"chunk": 3}),
        ("views 1 to 3", {}),
        ("mesh", {}),
        ("memory shard at cell (0, 1, 2)", {}),
    ],
)
def test_numbers_of_views_and_chunks_are_fields(subject: str, numbered: dict[str, int]):
    assert subject_fields(subject) == {"subject": subject, **numbered}


def test_a_trace_and_line_breaks_stay_in_one_line():
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = _logger.makeRecord(
            _logger.name, logging.ERROR, __file__, 1, "a\nb", (), (type(error), error, None)
        )
    line = JsonFormatter("job").format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "a\nb"
    assert "ValueError: two\nlines" in json.loads(line)["trace"]


SPAN = Span("view 3", 1.0, 0.25, 0.2, Place("far", 77, "t"), 1, 2, 0)
EVENTS: list[tuple[Event, dict[str, Any] | None]] = [
    (StageBegan("depth", 3), {"message": "stage begins", "stage": "depth", "items": 3}),
    (StageEnded("depth"), {"message": "stage ended", "stage": "depth"}),
    (ItemSent("depth", "view 3", "w", 1), None),
    (ItemSent("depth", "view 3", "w", 2), {"message": "item tried again", "view": 3, "attempt": 2}),
    (ItemEnded("depth", ItemState.REUSED, None), None),
    (
        ItemEnded("depth", ItemState.MADE, SPAN),
        {"message": "item made", "view": 3, "node": "far", "pid": 77, "seconds": 0.25},
    ),
    (
        ItemEnded("fuse", ItemState.FAILED, None, "chunk 4", "lost"),
        {"message": "item failed", "chunk": 4, "error": "lost", "state": "failed"},
    ),
    (WorkerUp("d-0", "depth", "far", 7), {"message": "worker is up", "worker": "d-0"}),
    (WorkerLost("d-0", "depth", "died"), {"message": "worker is lost", "reason": "died"}),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_events_are_log_lines(event: Event, expected: dict[str, Any] | None, stream: io.StringIO):
    log_event(event)
    lines = _lines(stream)
    if expected is None:
        assert lines == []
    else:
        (line,) = lines
        assert expected.items() <= line.items()
        assert line["level"] == "info"


def test_events_cost_nothing_where_nobody_reads_them(caplog: pytest.LogCaptureFixture):
    log_event(StageBegan("depth", 3))
    assert caplog.records == []


def test_the_fields_are_those_that_are_documented():
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    assert [field for field in FIELDS if f"`{field}`" not in page] == []
