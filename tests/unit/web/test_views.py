import pytest

from cluster.web.board import StageBar
from cluster.web.views import clock, duration, instant, stage_text, took
from tests.boards import card


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_lengths_of_time(seconds: float, text: str):
    assert duration(seconds) == text


def test_progress_in_words():
    assert stage_text(StageBar("depth", 0, 8)) == "0 of 8"
    assert stage_text(StageBar("depth", 4, 8, 2, 61)) == "4 of 8, 2 failed, about 1 min 1 s left"
    assert stage_text(StageBar("depth", 8, 8, 0, 5)) == "8 of 8"


def test_times_are_in_utc():
    assert instant(0) == "1970-01-01T00:00:00+00:00"
    assert clock(1_790_000_000) == "2026-09-21 14:13 UTC"


def test_a_job_took_what_lies_between():
    assert took(card("a", start_s=10.0, end_s=75.5)) == "1 min 5 s"
    assert took(card("a", start_s=10.0)) is None
