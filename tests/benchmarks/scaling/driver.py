"""What one work item costs the driver: looking it up, handing it out, taking its result."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from actors.resources import ActorResources, RoleResources
from cluster.dispatch import Dispatch, DispatchPolicy
from cluster.ray_runner import RayConfig, RayRunner
from worldloom.bench import Bench, BenchConfig
from worldloom.stage import Progress, Role, Stage, find
from worldloom.store import ArtifactKey, Store

_POOLS = (10, 100, 1000)
"""Workers for which the part of the driver that grows with them is measured."""


@dataclass(frozen=True)
class Trivial:
    """A work item that is nothing but its number."""

    n: int

    @property
    def subject(self) -> str:
        """What the item is about."""
        return f"item {self.n}"


def _nothing(_bench: Bench, _key: ArtifactKey, work: Trivial) -> Trivial:
    return work


STAGE = Stage("trivial", 1, Role.DEPTH, Trivial, _nothing)


@dataclass(frozen=True)
class StageRun:
    """A stage of trivial items through the Ray runner."""

    items: int
    made_wall_s: float
    """With every item made."""
    made_driver_cpu_s: float
    """CPU time of the driver in that."""
    found_wall_s: float
    """The same again, with every item found."""
    found_driver_cpu_s: float


@dataclass(frozen=True)
class PoolCost:
    """Seconds of the driver for one item, at a number of workers."""

    workers: int
    dispatch_s: float
    """`Dispatch`: which item goes where."""
    wait_s: float
    """`ray.wait` on the calls in flight, one of which is done."""


@dataclass(frozen=True)
class DriverCost:
    """All that was measured."""

    runs: tuple[StageRun, ...]
    missing_s: float
    """Looking up one item that is not there, in one thread."""
    present_s: float
    """Looking up one item that is there, in one thread."""
    pools: tuple[PoolCost, ...]


def measure_driver(sizes: tuple[int, ...] = (1000, 10_000)) -> DriverCost:
    """Measures on this machine; starts a local Ray."""
    runs = tuple(_stage_run(size) for size in sizes)
    missing_s, present_s = _lookups()
    pools = tuple(PoolCost(count, _dispatch_s(count), _wait_s(count)) for count in _POOLS)
    ray.shutdown()
    return DriverCost(runs, missing_s, present_s, pools)


def _stage_run(items: int) -> StageRun:
    works = [Trivial(n) for n in range(items)]
    small = RoleResources(num_cpus=0.5)
    config = RayConfig(resources=ActorResources(depth=small))
    with (
        tempfile.TemporaryDirectory() as folder,
        RayRunner(BenchConfig(folder), workers=2, config=config) as runner,
    ):
        # Workers come up with a stage of their own.
        runner.map(STAGE, [Trivial(-1 - n) for n in range(20)], _ignore)
        made = _timed(lambda: runner.map(STAGE, works, _ignore))
        found = _timed(lambda: runner.map(STAGE, works, _ignore))
    return StageRun(items, *made, *found)


def _lookups(count: int = 2000) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        works = [Trivial(n) for n in range(count)]
        missing, _ = _timed(lambda: [find(STAGE, store, work) for work in works])
        for work in works:
            store.commit(STAGE.key(work), work)
        present, _ = _timed(lambda: [find(STAGE, store, work) for work in works])
    return missing / count, present / count


def _dispatch_s(workers: int) -> float:
    """One item done, the next one handed out, with all workers busy."""
    count = 2000
    dispatch = Dispatch(range(2 * workers + count), 1, DispatchPolicy())
    for worker in range(workers):
        dispatch.join(worker)
    waiting = dispatch.assign()
    assert len(waiting) == 2 * workers

    def turn_over() -> None:
        for position in range(count):
            done = waiting[position]
            dispatch.done(done.worker, done.item)
            assert not dispatch.finished
            assert dispatch.unfinished
            waiting.extend(dispatch.assign())

    return _timed(turn_over)[0] / count


@ray.remote
class _Sleeper:
    """Holds calls until it is killed."""

    def sleep(self, seconds: float) -> None:
        """Takes a while."""
        time.sleep(seconds)


def _wait_s(workers: int) -> float:
    """`ray.wait` as the pool calls it: two calls a worker in flight, one of them done."""
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    sleeper: Any = _Sleeper.remote()
    done = ray.put(1)
    refs = [sleeper.sleep.remote(3600) for _ in range(2 * workers - 1)]
    # Found as one of many, in the middle.
    refs.insert(len(refs) // 2, done)
    ray.wait(refs, num_returns=1, timeout=10)
    count = 200
    seconds, _ = _timed(lambda: [ray.wait(refs, num_returns=1, timeout=10) for _ in range(count)])
    ray.kill(sleeper)
    return seconds / count


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def _ignore(_progress: Progress) -> None: ...
