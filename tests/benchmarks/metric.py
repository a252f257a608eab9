"""What a benchmark measures, and what counts as worse than the baseline."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec


@dataclass(frozen=True)
class Metric:
    """One number of a benchmark."""

    key: str
    """`case/what`, the same in every run."""
    value: float
    unit: str
    direction: Literal["higher", "lower"]
    """Which way is better."""
    rel_tol: float
    """How much worse than the baseline it may be, as a share of the baseline: tight for
    correctness, loose for time."""


def load(path: Path) -> list[Metric]:
    """Returns the metrics of a file."""
    return msgspec.json.decode(path.read_bytes(), type=list[Metric])


def save(path: Path, metrics: Sequence[Metric]) -> None:
    """Writes metrics to a file, sorted by key."""
    ordered = sorted(metrics, key=lambda metric: metric.key)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")


def regressions(measured: Sequence[Metric], baseline: Sequence[Metric]) -> list[str]:
    """Returns a line for each metric that is worse than the baseline allows, or that is gone.

    The tolerance and the direction of the baseline count, so that a change cannot loosen them
    unseen. Metrics without a baseline are new, and pass.
    """
    found = {metric.key: metric for metric in measured}
    lines: list[str] = []
    for expected in baseline:
        metric = found.get(expected.key)
        if metric is None:
            lines.append(f"{expected.key}: not measured")
            continue
        sign = 1 if expected.direction == "lower" else -1
        excess = sign * (metric.value - expected.value)
        # Written so that a NaN is a regression.
        if not excess <= expected.rel_tol * abs(expected.value):
            lines.append(
                f"{expected.key}: {metric.value:.6g} {metric.unit}, baseline {expected.value:.6g}, "
                f"{expected.direction} is better, tolerance {expected.rel_tol:.0%}"
            )
    return lines


def gate(measured: Sequence[Metric], baseline: Sequence[Metric]) -> int:
    """Prints what is worse than the baseline allows; returns the exit code, 1 where anything is."""
    worse = regressions(measured, baseline)
    for line in worse:
        print(f"worse: {line}", file=sys.stderr)
    return int(bool(worse))
