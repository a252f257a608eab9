"""A job as a discrete-event simulation: one driver, many workers, one store.

Each stage is run by `workers` cores. A worker has one item running and one waiting, as in
`cluster.pool`; the driver handles one item at a time; the store moves bytes one after the other at
its whole bandwidth. A stage of far more items than workers is simulated until its rate is steady
and then carried on at that rate.
"""

import math
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from tests.benchmarks.scaling.costs import JobCost, StageCost

Process = Generator[simpy.Event, Any, None]
_ROUNDS = 4
"""Items a worker after which the rate of a stage is taken as steady, ..."""
_FEWEST = 3000
"""... and at least so many: rare losses have to show."""
_QUEUE_AHEAD = 1


@dataclass(frozen=True)
class Cluster:
    """What a job runs on."""

    machines: int
    """Each with one GPU."""
    cores: int = 8
    """Workers of each machine."""
    depth_speedup: float = 3.0
    """How much faster a core makes depth with its share of a GPU; not measured, an assumption."""
    store_bytes_s: float = 5e9
    """Bandwidth of the store, all machines together."""
    request_s: float = 0.02
    """Time of one request to the store beyond its bytes."""
    failure_every_s: float = 30 * 86400
    """Mean time between losses of one machine."""
    restart_s: float = 60.0
    """From the loss of a machine to new workers in its place."""

    @property
    def workers(self) -> int:
        """Cores that work."""
        return self.machines * self.cores


@dataclass(frozen=True)
class Method:
    """How the job is organized; the defaults are how it was when this was measured."""

    tree: bool = False
    """Stages of one item for the whole scene become trees over chunks."""
    frames_per_chunk: int = 200
    fan_in: int = 4
    """Inputs of one node of a tree."""
    border_share: float = 0.1
    """Part of a chunk that its neighbours have a say in; an assumption."""
    handed_at_once: int = 1
    """Items for which the driver does its work once."""
    constant_dispatch: bool = False
    """The driver's work for an item does not grow with the number of workers."""
    listed_lookups: bool = False
    """The driver lists what a stage has finished, once, and workers look their items up."""
    parallel_steps: bool = False
    """The steps of the driver's own become stages of items."""


@dataclass(frozen=True)
class StageTime:
    """What a stage took, and the least that each resource alone would have taken."""

    name: str
    seconds: float
    compute_s: float
    driver_s: float
    store_s: float
    single_s: float
    """Longest chain of items that wait for each other; 0 for a stage of independent items."""
    steps_s: float = 0.0
    """Steps of the driver's own, beside which nothing runs."""

    @property
    def bound(self) -> str:
        """The resource that asked for most."""
        asked = {
            "steps of the driver": self.steps_s,
            "single items": self.single_s,
            "compute": self.compute_s,
            "dispatch": self.driver_s,
            "store": self.store_s,
        }
        return max(asked, key=lambda name: asked[name])


@dataclass(frozen=True)
class JobTime:
    """What a job took."""

    frames: int
    stages: tuple[StageTime, ...]
    retries: int = 0

    @property
    def seconds(self) -> float:
        """The whole."""
        return sum(stage.seconds for stage in self.stages)

    def by_bound(self) -> dict[str, float]:
        """Seconds by the resource that bounded them, most first."""
        found: dict[str, float] = {}
        for stage in self.stages:
            found[stage.bound] = found.get(stage.bound, 0.0) + stage.seconds
        return dict(sorted(found.items(), key=lambda entry: -entry[1]))


DEPTH_STAGES = ("depth", "refine")
"""Where a GPU helps."""


CHUNK_STAGES = ("fuse-chunk",)
"""One item a chunk: the small scene that was measured has only one."""


@dataclass(frozen=True)
class _Load:
    """One stage at one size."""

    name: str
    items: int
    item_s: float
    spread: float
    bytes: float
    chain_s: float
    start_s: float


def simulate(
    cost: JobCost, frames: int, cluster: Cluster, method: Method | None = None, seed: int = 0
) -> JobTime:
    """Returns what a job takes; the same for the same arguments.

    Args:
        cost: By frame, as measured.
        frames: Length of the input.
        cluster: What it runs on.
        method: How it is organized.
        seed: Of the times of items and of losses.
    """
    chosen = method or Method()
    dice = random.Random(seed)
    times: list[StageTime] = []
    retries = 0
    for stage in cost.stages:
        for load in _loads(stage, frames, cluster, chosen):
            taken, lost = _run_stage(load, cost, cluster, chosen, dice)
            times.append(taken)
            retries += lost
    own_s = cost.driver_s * frames
    if chosen.parallel_steps:
        own_s /= cluster.workers
    own_s += cost.fixed_s
    times.append(StageTime("steps of the driver", own_s, 0.0, 0.0, 0.0, 0.0, own_s))
    return JobTime(frames, tuple(times), retries)


def _loads(stage: StageCost, frames: int, cluster: Cluster, method: Method) -> list[_Load]:
    moved, start_s = stage.bytes, stage.start_s
    speedup = cluster.depth_speedup if stage.name in DEPTH_STAGES else 1.0
    if stage.name in CHUNK_STAGES:
        count = math.ceil(frames / method.frames_per_chunk)
        # By frame where it was one item for the scene, else by item.
        scale = frames / count * (1.0 if stage.single else stage.items_per_frame)
        item_s, moved = stage.item_s * scale, moved * scale
        return [_Load(stage.name, count, item_s, 0.2, moved, 0.0, start_s)]
    if not stage.single:
        count = max(1, round(stage.items_per_frame * frames))
        return [_Load(stage.name, count, stage.item_s / speedup, stage.spread, moved, 0.0, start_s)]
    whole_s = stage.item_s * frames
    if not method.tree:
        return [_Load(stage.name, 1, whole_s, 0.0, moved * frames, whole_s, start_s)]
    # The leaves do what is inside of chunks; the nodes above them join borders only, of which there
    # are fewer for each level: their length grows with the root of the area.
    loads: list[_Load] = []
    nodes = math.ceil(frames / method.frames_per_chunk)
    share = 1.0
    while True:
        item_s = whole_s * share / nodes
        chain_s = item_s if nodes == 1 else 0.0
        moved_by_node = moved * frames * share / nodes
        loads.append(_Load(stage.name, nodes, item_s, 0.2, moved_by_node, chain_s, start_s))
        start_s = 0.0
        if nodes == 1:
            return loads
        share = (method.border_share if share == 1.0 else share) / math.sqrt(method.fan_in)
        nodes = math.ceil(nodes / method.fan_in)


@dataclass
class _State:
    """Counts of a stage that runs."""

    left: int
    """Items not begun."""
    done: int = 0
    marks: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    retries: int = 0


def _run_stage(
    load: _Load, cost: JobCost, cluster: Cluster, method: Method, dice: random.Random
) -> tuple[StageTime, int]:
    workers = min(cluster.workers, load.items)
    simulated = min(load.items, max(_FEWEST, _ROUNDS * workers))
    driver_item_s = _driver_item_s(cost, workers, method)
    env = simpy.Environment()
    driver, store = simpy.Resource(env, 1), simpy.Resource(env, 1)
    state = _State(simulated)
    store_item_s = load.bytes / cluster.store_bytes_s
    cores = [simpy.Resource(env, 1) for _ in range(workers)]
    # Every worker has one item before any has two, as `cluster.dispatch` sees to.
    for core in cores * (1 + _QUEUE_AHEAD):
        env.process(_slot(env, state, driver, store, core, load, cluster, driver_item_s, dice))
    env.run()
    lookup_s = 0.0 if method.listed_lookups else cost.lookup_s
    seconds = load.start_s + lookup_s * load.items + _carried_on(env.now, state, load.items)
    item_s = load.item_s + cluster.request_s
    taken = StageTime(
        load.name,
        seconds,
        compute_s=item_s * load.items / workers,
        driver_s=(driver_item_s + lookup_s) * load.items,
        store_s=store_item_s * load.items,
        single_s=item_s if load.chain_s else 0.0,
    )
    return taken, round(state.retries * load.items / simulated)


def _driver_item_s(cost: JobCost, workers: int, method: Method) -> float:
    grown_s = 0.0 if method.constant_dispatch else cost.item_worker_s * workers
    return (cost.item_s + grown_s) / method.handed_at_once


def _slot(
    env: simpy.Environment,
    state: _State,
    driver: simpy.Resource,
    store: simpy.Resource,
    core: simpy.Resource,
    load: _Load,
    cluster: Cluster,
    driver_item_s: float,
    dice: random.Random,
) -> Process:
    """One place at a worker: takes items until none is left."""
    shift = -(load.spread**2) / 2
    while state.left:
        state.left -= 1
        with driver.request() as turn:
            yield turn
            yield env.timeout(driver_item_s)
        with core.request() as turn:
            yield turn
            while True:
                with store.request() as moving:
                    yield moving
                    yield env.timeout(load.bytes / cluster.store_bytes_s)
                taken_s = load.item_s * math.exp(dice.gauss(shift, load.spread))
                if dice.random() >= taken_s / cluster.failure_every_s:
                    break
                state.retries += 1
                yield env.timeout(dice.random() * taken_s + cluster.restart_s)
            yield env.timeout(cluster.request_s + taken_s)
        state.done += 1
        state.marks.append((env.now, state.done))


def _carried_on(simulated_s: float, state: _State, items: int) -> float:
    """Adds the items that were not simulated, at the rate of the middle of the simulation."""
    missing = items - state.done
    if missing == 0:
        return simulated_s
    first, last = state.marks[len(state.marks) // 3], state.marks[2 * len(state.marks) // 3]
    rate = (last[1] - first[1]) / (last[0] - first[0])
    return simulated_s + missing / rate


def measured_machine(workers: int) -> Cluster:
    """Returns the cluster that the measured runs had: cores only, and the store at hand."""
    return Cluster(
        machines=1,
        cores=workers,
        depth_speedup=1.0,
        store_bytes_s=1e12,
        request_s=0.0,
        failure_every_s=1e12,
    )
