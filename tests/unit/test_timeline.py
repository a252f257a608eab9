"""The timeline: a trace in the format that Perfetto opens, whatever ends the job."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from worldloom.bench import Bench, BenchConfig
from worldloom.codec import to_json
from worldloom.errors import InputError
from worldloom.inline import InlineRunner
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
from worldloom.stage import Outcome, Role, Stage
from worldloom.store import ArtifactKey
from worldloom.timeline import Timeline, read_timeline

FIELDS = {
    "M": {"name", "ph", "pid", "tid", "args"},
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"},
    "i": {"name", "cat", "ph", "s", "ts", "pid", "tid", "args"},
}
"""What each kind of event has to have (Trace Event Format, "Event Descriptions")."""


@dataclass(frozen=True)
class Number:
    n: int

    @property
    def subject(self) -> str:
        return f"view {self.n}"


def _write(bench: Bench, key: ArtifactKey, work: Number) -> Number:
    if work.n < 0:
        raise InputError(f"{work.n} is negative")
    bench.store.write(key, "data", bytes(1000 * work.n))
    bench.store.read(key, "data")
    return Number(work.n**2)


STAGE = Stage("square", 1, Role.DEPTH, Number, _write)
SPAN = Span("view 3", 1002.5, 0.25, 0.125, Place("far", 77, "Dummy-1"), 10, 20, gpu_bytes=5)


def _checked(path: Path) -> list[dict[str, Any]]:
    """The events of a whole file, each of the shape that the format asks for."""
    events: list[dict[str, Any]] = json.loads(path.read_text())
    for event in events:
        assert event.keys() == FIELDS[event["ph"]], event
        assert isinstance(event["name"], str)
        assert isinstance(event["args"], Mapping)
        for field in {"ts", "dur", "pid", "tid"} & event.keys():
            assert isinstance(event[field], int)
        assert event.get("dur", 1) > 0
        assert event.get("s", "g") in "gpt"
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] != "M"} <= named
    assert {e["pid"] for e in events} == {e["pid"] for e in events if e["name"] == "process_name"}
    return events


def _run(path: Path, events: list[Event], max_events: int = 100) -> list[dict[str, Any]]:
    now = iter(range(1000, 2000))
    with Timeline(path, "a job", max_events=max_events, clock=lambda: float(next(now))) as timeline:
        for event in events:
            timeline(event)
    return _checked(path)


def test_items_of_a_run_lie_within_their_stage_one_row_a_thread(tmp_path: Path):
    runner = InlineRunner(BenchConfig(str(tmp_path / "store")), workers=2)
    with Timeline(tmp_path / "t.json", "a job") as timeline:
        runner.watch(timeline)
        runner.map(STAGE, [Number(n) for n in range(6)], lambda _progress: None)
        runner.map(STAGE, [Number(n) for n in range(8)], lambda _progress: None)
    events = _checked(tmp_path / "t.json")
    first, second = [e for e in events if e.get("cat") == "stage"]
    assert first["args"] == {"items": 6, "made": 6, "reused": 0, "failed": 0}
    assert second["args"] == {"items": 8, "made": 2, "reused": 6, "failed": 0}
    items = [e for e in events if e.get("cat") == "item"]
    assert {e["args"]["subject"] for e in items[6:]} == {"view 6", "view 7"}
    for item in items[:6]:
        # The clock of a stage and that of an item are read at different moments.
        assert first["ts"] <= item["ts"] <= item["ts"] + item["dur"]
        assert item["ts"] + item["dur"] <= first["ts"] + first["dur"] + 1000
        n = int(item["args"]["subject"].split()[1])
        assert 0 <= item["args"]["cpu_s"] <= item["dur"] / 1e6 + 1e-3
        assert item["args"]["read_bytes"] == 1000 * n
        assert item["args"]["written_bytes"] == 1000 * n + len(to_json(Number(n**2)))
    rows = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert rows <= {"stages", "worker_0", "worker_1"}
    (process,) = [e["args"]["name"] for e in events if e["name"] == "process_name"]
    assert process.startswith(f"driver on {socket.gethostname()} (pid ")


def test_rows_and_times_are_those_of_the_workers(tmp_path: Path):
    events = _run(
        tmp_path / "t.json",
        [
            StageBegan("depth", 3),
            WorkerUp("depth-0", "depth", "far", 77),
            ItemSent("depth", "view 3", "depth-0", 1),
            ItemEnded("depth", ItemState.MADE, SPAN),
            ItemSent("depth", "view 4", "depth-0", 2),
            WorkerLost("depth-0", "depth", "killed"),
            ItemEnded("depth", ItemState.FAILED, None, "view 4", "no worker survived it"),
            ItemEnded("depth", ItemState.REUSED, None),
            StageEnded("depth"),
        ],
    )
    names = {e["args"].get("name") for e in events if e["ph"] == "M"}
    assert {"depth-0 on far (pid 77)", "items 1", "stages"} <= names
    (item,) = [e for e in events if e.get("cat") == "item"]
    assert (item["ts"], item["dur"]) == (2_500_000, 250_000)
    assert item["args"] == {
        "subject": "view 3",
        "state": "made",
        "cpu_s": 0.125,
        "read_bytes": 10,
        "written_bytes": 20,
        "gpu_bytes": 5,
    }
    told = {e["name"]: e["args"] for e in events if e["ph"] == "i"}
    assert told["job"]["job"] == "a job"
    assert told["retry depth"] == {"subject": "view 4", "attempt": 2, "worker": "depth-0"}
    assert told["depth-0 lost"] == {"reason": "killed"}
    assert told["failed depth"]["message"] == "no worker survived it"
    (stage,) = [e for e in events if e.get("cat") == "stage"]
    assert stage["args"] == {"items": 3, "made": 1, "reused": 1, "failed": 1}


def test_a_job_that_is_cut_off_leaves_a_whole_file(tmp_path: Path):
    def run() -> None:
        with Timeline(tmp_path / "t.json", "a job") as timeline:
            timeline(StageBegan("depth", 3))
            raise InputError("no")

    with pytest.raises(InputError):
        run()
    events = _checked(tmp_path / "t.json")
    (stage,) = [e for e in events if e.get("cat") == "stage"]
    assert stage["args"]["cut_off"] is True
    assert events[-1]["args"] == {"error": "InputError"}


def test_the_file_of_a_killed_job_can_be_read(tmp_path: Path):
    path = tmp_path / "t.json"
    ended = ItemEnded("depth", ItemState.MADE, SPAN)
    _run(path, [StageBegan("depth", 2), ended, ended, StageEnded("depth")])
    whole = read_timeline(path)
    assert [(item.stage, item.seconds, item.written_bytes) for item in whole.items] == [
        ("depth", 0.25, 20)
    ] * 2
    assert [(stage.stage, stage.items) for stage in whole.stages] == [("depth", 2)]
    text = path.read_text()
    last = text.rindex('"cat":"item"')
    path.write_text(text[: last + 20])
    assert read_timeline(path).items == whole.items[:1]


def test_a_file_that_is_no_timeline_is_refused(tmp_path: Path):
    (tmp_path / "t.json").write_text("no trace\n")
    with pytest.raises(InputError, match=r"t\.json is no timeline"):
        read_timeline(tmp_path / "t.json")
    with pytest.raises(InputError, match="cannot read"):
        read_timeline(tmp_path / "none.json")


def test_a_long_job_has_a_bounded_file_and_says_so(tmp_path: Path):
    ended = ItemEnded("depth", ItemState.MADE, SPAN)
    job = [StageBegan("depth", 50), *[ended] * 50, StageEnded("depth")]
    events = _run(tmp_path / "t.json", job, max_events=20)
    items = [e for e in events if e.get("cat") == "item"]
    (left_out,) = [e["args"]["count"] for e in events if e["name"] == "items left out"]
    assert 0 < len(items) < 20
    assert len(items) + left_out == 50
    (stage,) = [e for e in events if e.get("cat") == "stage"]
    assert stage["args"]["made"] == 50


def test_a_timeline_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with Timeline(tmp_path / "nowhere" / "t.json", "a job") as timeline:
        timeline(StageBegan("depth", 1))
        timeline(StageEnded("depth"))
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "no timeline from here on"
    ]


def test_outcomes_compare_without_their_spans_and_artifacts_hold_none(tmp_path: Path):
    runner = InlineRunner(BenchConfig(str(tmp_path)))
    works = [Number(3), Number(-1)]
    made, failed = runner.map(STAGE, works, lambda _progress: None)
    assert made.span is not None
    assert failed.span is not None
    assert made == Outcome(Number(9))
    assert made == replace(made, span=SPAN)
    assert (tmp_path / STAGE.key(works[0]) / "result.json").read_bytes() == to_json(Number(9))
