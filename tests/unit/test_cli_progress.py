import io

import pytest
from rich.console import Console

from cluster.cli._progress import LineReport, LiveReport, duration_text, remarks, report_on
from worldloom.stage import Progress


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations_read_like_durations(seconds: float, text: str):
    assert duration_text(seconds) == text


def test_remarks_name_only_what_there_is():
    assert remarks(Progress("depth", 3, 9, reused=0, failed=0)) == ""
    assert remarks(Progress("depth", 3, 9, reused=2, failed=1)) == "2 reused, 1 failed"


def test_lines_start_end_and_every_five_seconds_with_time_left():
    clock, stream = Clock(), io.StringIO()
    with LineReport(stream, clock) as report:
        report(Progress("depth", 0, 12, reused=0, failed=0))
        for done in range(1, 13):
            # Two are found at once; workers take 20 s to start; then one item takes 2 s.
            clock.now_s = 0.0 if done <= 2 else 20.0 + 2.0 * (done - 3)
            report(Progress("depth", done, 12, reused=min(done, 2), failed=0))
    assert stream.getvalue().splitlines() == [
        "depth: 0/12",
        "depth: 3/12, 2 reused",
        "depth: 6/12, 12 s left, 2 reused",
        "depth: 9/12, 6.0 s left, 2 reused",
        "depth: 12/12, 38 s, 2 reused",
    ]


def test_a_stage_without_work_is_one_line():
    stream = io.StringIO()
    LineReport(stream, Clock())(Progress("chunk", 0, 0, reused=0, failed=0))
    assert stream.getvalue() == "chunk: 0/0, 0.0 s\n"


def test_stages_keep_their_own_time():
    clock, stream = Clock(), io.StringIO()
    report = LineReport(stream, clock)
    report(Progress("a", 0, 1, reused=0, failed=0))
    clock.now_s = 2.0
    report(Progress("b", 0, 1, reused=0, failed=0))
    clock.now_s = 3.0
    report(Progress("b", 1, 1, reused=0, failed=1))
    assert stream.getvalue().splitlines() == ["a: 0/1", "b: 0/1", "b: 1/1, 1.0 s, 1 failed"]


def test_a_stage_that_runs_again_starts_again():
    clock, stream = Clock(), io.StringIO()
    report = LineReport(stream, clock)
    for start_s in (0.0, 100.0):
        clock.now_s = start_s
        report(Progress("check", 0, 1, reused=0, failed=0))
        clock.now_s = start_s + 2
        report(Progress("check", 1, 1, reused=0, failed=0))
    assert stream.getvalue().splitlines() == ["check: 0/1", "check: 1/1, 2.0 s"] * 2


def test_the_live_report_ends_with_every_stage_on_screen():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with LiveReport(console) as report:
        report(Progress("depth", 0, 4, reused=0, failed=0))
        report(Progress("depth", 4, 4, reused=3, failed=0))
        report(Progress("chunk", 1, 2, reused=0, failed=1))
    last = [line for line in stream.getvalue().splitlines() if "left" in line][-2:]
    assert "depth" in last[0]
    assert "4/4" in last[0]
    assert "3 reused" in last[0]
    assert "1/2" in last[1]
    assert "1 failed" in last[1]


def test_what_is_no_terminal_gets_lines():
    assert isinstance(report_on(io.StringIO()), LineReport)
