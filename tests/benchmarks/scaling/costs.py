"""What a job costs by frame: the input of the simulation, taken from timelines."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.scaling.driver import DriverCost
from tests.benchmarks.scaling.runs import SceneRun
from worldloom.timeline import TimedItem, TimedStage, TimelineRecord

DRIVER_STEPS = ("ingest", "appraise", "export", "report")
"""Steps that no worker executes, by their names in the timeline."""
_WAITED_S = 0.5
"""A stage whose first item begins later than this had to start workers."""


@dataclass(frozen=True)
class StageCost:
    """One run of one stage in a job."""

    name: str
    items_per_frame: float
    single: bool
    """True where the stage is one item for the whole scene, however large that is."""
    item_s: float
    """Mean CPU time of an item; of a single item, by frame."""
    spread: float
    """Deviation of the logarithm of the times of its items."""
    bytes: float
    """Read and written by an item; of a single item, by frame."""
    start_s: float
    """Wait for the first worker; 0 where there were some."""


@dataclass(frozen=True)
class JobCost:
    """All of a job."""

    stages: tuple[StageCost, ...]
    """In the order in which they run; a stage that runs twice is there twice."""
    driver_s: float
    """Time of the driver between and besides the stages, by frame, beyond `fixed_s`."""
    fixed_s: float
    """What a job takes anyway."""
    item_s: float
    """Time of the driver to hand out one item and take its result, with few workers."""
    item_worker_s: float
    """What each further worker adds to that."""
    lookup_s: float
    """Time of the driver to look up one item."""


def job_cost(runs: Sequence[SceneRun], driver: DriverCost) -> JobCost:
    """Returns the costs by frame that runs show: stages those of the longest on one worker.

    Args:
        runs: Of two lengths at least, for most of what the driver does by itself does not grow.
            Of each length the quickest counts, for only other jobs can have made the others longer.
        driver: What an item costs the driver.

    Raises:
        ValueError: a timeline lacks items, or no one-worker run had a second one.
    """
    run = max((run for run in runs if run.again is not None), key=lambda run: run.frames)
    if run.again is None or run.workers != 1:
        raise ValueError("the cost of a look-up comes from a second run on one worker")
    record, frames = run.timeline, run.frames
    stages = _worked(record)
    own_s = {
        length: min(_driver_own_s(each) for each in runs if each.frames == length)
        for length in {each.frames for each in runs}
    }
    shorter = min(own_s)
    growth_s = max(0.0, (own_s[frames] - own_s[shorter]) / (frames - shorter))
    few, many = driver.pools[0], driver.pools[-1]
    grown_s = (many.dispatch_s + many.wait_s) - (few.dispatch_s + few.wait_s)
    handed = driver.runs[-1]
    # Trivial items are looked up too, and real ones at their own price.
    item_s = (handed.made_driver_cpu_s - handed.found_driver_cpu_s) / handed.items
    found = _worked(run.again)
    return JobCost(
        tuple(_stage_cost(stage, record, frames) for stage in stages),
        growth_s,
        own_s[frames] - growth_s * frames,
        item_s,
        grown_s / (many.workers - few.workers),
        sum(stage.seconds for stage in found) / sum(stage.items for stage in found),
    )


@dataclass(frozen=True)
class RunTime:
    """What a measured run took."""

    frames: int
    workers: int
    wall_per_cpu: float
    """How much longer items took than they computed: what else the cores had to do."""
    seconds: float


@dataclass(frozen=True)
class Measured:
    """All that the simulation and its check rest on."""

    machine: str
    driver: DriverCost
    cost: JobCost
    runs: tuple[RunTime, ...]


def run_time(run: SceneRun) -> RunTime:
    """Returns what a run took."""
    return RunTime(run.frames, run.workers, _wall_per_cpu(run), _end_s(run.timeline))


def _wall_per_cpu(run: SceneRun) -> float:
    items = run.timeline.items
    return sum(item.seconds for item in items) / sum(item.cpu_s for item in items)


def _driver_own_s(run: SceneRun) -> float:
    """Time besides the stages."""
    in_stages_s = sum(stage.seconds for stage in _worked(run.timeline))
    return _end_s(run.timeline) - in_stages_s


def _worked(record: TimelineRecord) -> list[TimedStage]:
    return [stage for stage in record.stages if stage.stage not in DRIVER_STEPS]


def _end_s(record: TimelineRecord) -> float:
    return max(stage.start_s + stage.seconds for stage in record.stages)


def _stage_cost(stage: TimedStage, record: TimelineRecord, frames: int) -> StageCost:
    items = [item for item in record.items if _within(item, stage)]
    if len(items) != stage.items:
        raise ValueError(f"{stage.stage}: {len(items)} of {stage.items} items in the timeline")
    single = len(items) == 1
    scale = frames if single else 1
    logs = [math.log(item.cpu_s) for item in items]
    waited_s = min(item.start_s for item in items) - stage.start_s
    return StageCost(
        stage.stage,
        len(items) / frames,
        single,
        statistics.fmean(item.cpu_s for item in items) / scale,
        0.0 if single else statistics.stdev(logs),
        statistics.fmean(item.read_bytes + item.written_bytes for item in items) / scale,
        waited_s if waited_s > _WAITED_S else 0.0,
    )


def _within(item: TimedItem, stage: TimedStage) -> bool:
    # A millisecond for the clocks, which are read at different moments.
    begin_s, end_s = stage.start_s - 1e-3, stage.start_s + stage.seconds + 1e-3
    return item.stage == stage.stage and begin_s <= item.start_s <= end_s
