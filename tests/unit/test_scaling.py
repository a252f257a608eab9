"""The scaling simulation, held against what can be computed by hand."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.scaling.costs import JobCost, Measured, StageCost
from tests.benchmarks.scaling.report import FRAMES, METHODS, comparisons
from tests.benchmarks.scaling.simulation import Cluster, Method, measured_machine, simulate
from worldloom.codec import from_json

MEASURED = Path(__file__).parents[1] / "benchmarks" / "scaling" / "measured.json"
_VIEWS = StageCost("check", 1.0, False, item_s=2.0, spread=0.0, bytes=0.0, start_s=0.0)
_SCENE = StageCost("merge", 0.01, True, item_s=0.5, spread=0.0, bytes=0.0, start_s=0.0)
_FREE = JobCost((_VIEWS,), driver_s=0.0, fixed_s=0.0, item_s=0.0, item_worker_s=0.0, lookup_s=0.0)


def _seconds(cost: JobCost, frames: int, workers: int, method: Method | None = None) -> float:
    return simulate(cost, frames, measured_machine(workers), method).seconds


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
def test_equal_items_go_round_by_round(workers: int):
    frames = 10 * workers + 1
    assert _seconds(_FREE, frames, workers) == pytest.approx(2.0 * math.ceil(frames / workers))


def test_a_long_stage_is_carried_on_at_its_rate():
    assert _seconds(_FREE, 100_000, 8) == pytest.approx(2.0 * 100_000 / 8, rel=0.01)


def test_the_driver_bounds_what_many_workers_can_do():
    cost = replace(_FREE, item_s=0.05)
    assert _seconds(cost, 5000, 10) == pytest.approx(2.0 * 5000 / 10, rel=0.05)
    job = simulate(cost, 10_000, measured_machine(200))
    assert job.seconds == pytest.approx(0.05 * 10_000, rel=0.02)
    assert job.stages[0].bound == "dispatch"
    grown = replace(cost, item_worker_s=5e-4)
    assert _seconds(grown, 10_000, 200) == pytest.approx(0.15 * 10_000, rel=0.02)
    flat = Method(constant_dispatch=True)
    assert _seconds(grown, 10_000, 200, flat) == pytest.approx(0.05 * 10_000, rel=0.02)
    batched = replace(flat, handed_at_once=2)
    assert _seconds(grown, 10_000, 200, batched) == pytest.approx(0.025 * 10_000, rel=0.02)


def test_the_store_bounds_what_its_bandwidth_carries():
    stage = replace(_VIEWS, bytes=1e6)
    cluster = replace(measured_machine(100), store_bytes_s=1e7)
    job = simulate(replace(_FREE, stages=(stage,)), 3000, cluster)
    assert job.seconds == pytest.approx(0.1 * 3000, rel=0.02)
    assert job.stages[0].bound == "store"


def test_an_item_for_the_whole_scene_does_not_get_faster_but_a_tree_does():
    cost = replace(_FREE, stages=(_SCENE,))
    assert _seconds(cost, 6400, 64) == pytest.approx(0.5 * 6400)
    assert simulate(cost, 6400, measured_machine(64)).stages[0].bound == "single items"
    assert _seconds(cost, 6400, 64, Method(tree=True)) < 0.5 * 6400 / 4


def test_steps_of_the_driver_are_serial_until_they_are_items():
    cost = replace(_FREE, driver_s=0.1, fixed_s=7.0)
    whole = 2.0 * 100 / 10 + 7
    assert _seconds(cost, 100, 10) == pytest.approx(whole + 10)
    assert _seconds(cost, 100, 10, Method(parallel_steps=True)) == pytest.approx(whole + 1)


def test_chunks_are_items_though_a_small_scene_has_only_one():
    chunk = replace(_SCENE, name="fuse-chunk")
    cost = replace(_FREE, stages=(chunk,))
    assert _seconds(cost, 400, 1) == pytest.approx(0.5 * 400, rel=0.3)
    assert _seconds(cost, 64 * 200, 64) < 0.5 * 200 * 2


def test_lost_machines_cost_what_they_had_under_way():
    often = replace(measured_machine(10), failure_every_s=100.0, restart_s=5.0)
    job = simulate(_FREE, 3000, often)
    # Each item of 2 s meets a loss once in 50 times, loses 1 s on average and waits 5 s.
    assert 30 < job.retries < 95
    assert job.seconds == pytest.approx(3000 / 10 * (2.0 + 6.0 / 49), rel=0.05)
    assert simulate(_FREE, 3000, often) == job, "the same for the same seed"


def test_a_gpu_helps_depth_only():
    cluster = replace(measured_machine(4), depth_speedup=4.0)
    depth = replace(_VIEWS, name="depth")
    assert simulate(replace(_FREE, stages=(depth,)), 40, cluster).seconds == pytest.approx(5.0)
    assert simulate(_FREE, 40, cluster).seconds == pytest.approx(20.0)


def test_the_measured_runs_are_met():
    """What `docs/scaling.md` says of the check."""
    measured = from_json(MEASURED.read_bytes(), Measured)
    compared = comparisons(measured)
    assert {each.workers for each in compared} >= {1, 2}
    for each in compared:
        assert each.simulated_s == pytest.approx(each.measured_s, rel=0.2), each


def test_each_remedy_helps_where_it_is_said_to():
    measured = from_json(MEASURED.read_bytes(), Measured)
    jobs = [simulate(measured.cost, FRAMES, Cluster(30), method) for method in METHODS.values()]
    taken = [job.seconds for job in jobs]
    assert taken == sorted(taken, reverse=True)
    assert taken[0] > 5 * taken[-1]
    assert next(iter(jobs[-1].by_bound())) == "compute"
