import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.metric import Metric, load, regressions, save

FSCORE = Metric("demo/fscore", 0.95, "1", "higher", rel_tol=0.01)
TIME = Metric("demo/time", 10.0, "reference", "lower", rel_tol=0.5)


@pytest.mark.parametrize(
    ("baseline", "value", "passes"),
    [
        (FSCORE, 0.95, True),
        (FSCORE, 0.9405, True),
        (FSCORE, 0.94, False),
        (FSCORE, 1.0, True),
        (FSCORE, math.nan, False),
        (TIME, 15.0, True),
        (TIME, 15.01, False),
        (TIME, 1.0, True),
        (TIME, math.nan, False),
    ],
)
def test_worse_than_the_tolerance_is_a_regression(baseline: Metric, value: float, passes: bool):
    lines = regressions([replace(baseline, value=value)], [baseline])
    assert (lines == []) is passes
    assert all(line.startswith(baseline.key) for line in lines)


def test_the_tolerance_of_the_baseline_counts():
    loosened = replace(FSCORE, value=0.5, rel_tol=1.0)
    assert len(regressions([loosened], [FSCORE])) == 1


def test_a_metric_that_is_gone_is_a_regression_and_a_new_one_is_not():
    assert regressions([TIME], [FSCORE]) == ["demo/fscore: not measured"]
    assert regressions([FSCORE, TIME], [FSCORE]) == []


def test_files_round_trip_in_the_order_of_keys(tmp_path: Path):
    save(tmp_path / "baseline.json", [TIME, FSCORE])
    assert load(tmp_path / "baseline.json") == [FSCORE, TIME]
