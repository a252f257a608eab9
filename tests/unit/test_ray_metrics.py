"""Metrics: what events become, without Ray."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster import metrics
from cluster.metrics import RayMetrics
from worldloom.observation import (
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

Values = dict[tuple[str, ...], float]
NAMES = {
    "worldloom_stage_seconds",
    "worldloom_items_total",
    "worldloom_retries_total",
    "worldloom_queue_depth",
    "worldloom_store_bytes_total",
    "worldloom_gpu_memory_bytes",
}


class Recorded:
    """A metric of `ray.util.metrics` that remembers."""

    made: dict[str, Values]

    def __init__(
        self, name: str, description: str, *, tag_keys: tuple[str, ...], **_options: object
    ) -> None:
        assert description
        self._keys = tag_keys
        self.values = self.made[name] = {}

    def _key(self, tags: Mapping[str, str]) -> tuple[str, ...]:
        assert set(tags) == set(self._keys), "Ray refuses other tags"
        return tuple(tags[key] for key in self._keys)

    def inc(self, value: float = 1.0, *, tags: Mapping[str, str]) -> None:
        key = self._key(tags)
        self.values[key] = self.values.get(key, 0.0) + value

    def set(self, value: float, *, tags: Mapping[str, str]) -> None:
        self.values[self._key(tags)] = value

    observe = inc


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Values]:
    monkeypatch.setattr(Recorded, "made", {}, raising=False)
    for kind in ("Counter", "Gauge", "Histogram"):
        monkeypatch.setattr(metrics, kind, Recorded)
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    return Recorded.made


def _span(seconds: float, gpu_bytes: int = 0) -> Span:
    return Span("view 1", 0.0, seconds, seconds, Place("far", 77, "t"), 10, 5, gpu_bytes)


def test_events_become_metrics(made: dict[str, Values]):
    observe = RayMetrics()
    for event in (
        StageBegan("depth", 5),
        WorkerUp("d-0", "depth", "far", 77),
        ItemSent("depth", "view 1", "d-0", 1),
        ItemSent("depth", "view 1", "d-0", 2),
        ItemEnded("depth", ItemState.MADE, _span(0.5, gpu_bytes=1000)),
        ItemEnded("depth", ItemState.MADE, _span(0.25, gpu_bytes=3000)),
        ItemEnded("depth", ItemState.FAILED, _span(9.0)),
        ItemEnded("depth", ItemState.REUSED, None),
    ):
        observe(event)
    assert made == {
        "worldloom_stage_seconds": {("depth",): 0.75},
        "worldloom_items_total": {
            ("depth", "made"): 2,
            ("depth", "failed"): 1,
            ("depth", "reused"): 1,
        },
        "worldloom_retries_total": {("depth",): 1},
        "worldloom_queue_depth": {("depth",): 1},
        "worldloom_store_bytes_total": {("read",): 30, ("write",): 15},
        "worldloom_gpu_memory_bytes": {("far", "77"): 3000},
    }
    observe(WorkerLost("d-0", "depth", "killed"))
    observe(StageEnded("depth"))
    assert made["worldloom_gpu_memory_bytes"] == {("far", "77"): 0}
    assert made["worldloom_queue_depth"] == {("depth",): 0}


def test_before_ray_is_up_nothing_is_counted(
    made: dict[str, Values], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    observe = RayMetrics()
    for event in (
        StageBegan("depth", 1),
        ItemSent("depth", "view 1", "d-0", 2),
        ItemEnded("depth", ItemState.REUSED, None),
        WorkerLost("d-0", "depth", "killed"),
        StageEnded("depth"),
    ):
        observe(event)
    assert made.keys() == NAMES
    assert all(values == {} for values in made.values())


def test_every_metric_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    assert [name for name in NAMES if f"`ray_{name}`" not in page] == []
