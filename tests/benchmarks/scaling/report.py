"""Tables and the picture of the simulation."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.scaling.costs import DRIVER_STEPS, JobCost, Measured
from tests.benchmarks.scaling.driver import DriverCost
from tests.benchmarks.scaling.simulation import (
    Cluster,
    JobTime,
    Method,
    measured_machine,
    simulate,
)

GPUS = (1, 10, 100, 1000)
FRAMES = 1_000_000
METHODS: Mapping[str, Method] = {
    "as it is": Method(),
    "whole-scene stages as trees": Method(tree=True),
    "... and the driver's steps as items": Method(tree=True, parallel_steps=True),
    "... and dispatch without a scan": Method(
        tree=True, parallel_steps=True, constant_dispatch=True
    ),
    "... and 16 items a call": Method(
        tree=True, parallel_steps=True, constant_dispatch=True, handed_at_once=16
    ),
    "... and look-ups in the workers": Method(
        tree=True,
        parallel_steps=True,
        constant_dispatch=True,
        handed_at_once=16,
        listed_lookups=True,
    ),
}
"""Each with what the one before has, in the order in which the bottlenecks turn up."""


@dataclass(frozen=True)
class Comparison:
    """A measured run and its simulation."""

    frames: int
    workers: int
    wall_per_cpu: float
    measured_s: float
    simulated_s: float


def comparisons(measured: Measured) -> list[Comparison]:
    """Simulates the measured runs.

    Items take as long as they compute, times what else the cores had to do during that run; else
    the simulation knows nothing of the run that it is compared with.
    """
    found: list[Comparison] = []
    for run in measured.runs:
        stages = tuple(
            replace(stage, item_s=stage.item_s * run.wall_per_cpu) for stage in measured.cost.stages
        )
        slowed = replace(measured.cost, stages=stages)
        simulated_s = simulate(slowed, run.frames, measured_machine(run.workers)).seconds
        found.append(
            Comparison(run.frames, run.workers, run.wall_per_cpu, run.seconds, simulated_s)
        )
    return found


def grid(cost: JobCost) -> dict[str, list[JobTime]]:
    """Simulates a million frames, for each method and number of GPUs, on all cores."""
    with ProcessPoolExecutor() as pool:
        # The largest first, for they take longest.
        started = {
            (name, gpus): pool.submit(simulate, cost, FRAMES, Cluster(gpus), method)
            for gpus in reversed(GPUS)
            for name, method in METHODS.items()
        }
        return {name: [started[name, gpus].result() for gpus in GPUS] for name in METHODS}


def write_tables(measured: Measured, times: Mapping[str, Sequence[JobTime]]) -> str:
    """Returns the tables of `docs/scaling.md`, Markdown."""
    return "\n\n".join(
        [
            _driver_table(measured.driver),
            _cost_table(measured.cost),
            _check_table(measured),
            _grid_table(times),
        ]
    )


def draw(times: Mapping[str, Sequence[JobTime]], path: Path) -> None:
    """Draws frames an hour over the number of GPUs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), dpi=110, layout="constrained")
    ideal = FRAMES / (next(iter(times.values()))[0].seconds / 3600)
    best = FRAMES / (list(times.values())[-1][0].seconds / 3600)
    for name, jobs in times.items():
        axes.plot(GPUS, [FRAMES / (job.seconds / 3600) for job in jobs], marker="o", label=name)
    axes.plot(GPUS, [best * gpus for gpus in GPUS], ":", color="grey", label="linear")
    axes.set(xscale="log", yscale="log", xlabel="GPUs, with 8 cores each", ylabel="frames an hour")
    axes.set_title("A job of 1,000,000 frames, simulated from measured costs")
    axes.set_ylim(ideal / 2, best * 1500)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(loc="upper left")
    figure.savefig(path)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _driver_table(driver: DriverCost) -> str:
    rows: list[tuple[str, str]] = []
    for run in driver.runs:
        made, found = run.made_driver_cpu_s / run.items, run.found_driver_cpu_s / run.items
        what = f"a stage of {run.items:,} trivial items, 2 workers"
        rows += [
            (f"{what}: made, driver CPU", f"{made * 1e6:.0f}"),
            (f"{what}: made, wall", f"{run.made_wall_s / run.items * 1e6:.0f}"),
            (f"{what}: found again, driver CPU", f"{found * 1e6:.0f}"),
        ]
    rows += [
        ("look up one trivial item that is missing", f"{driver.missing_s * 1e6:.0f}"),
        ("look up one trivial item that is there", f"{driver.present_s * 1e6:.0f}"),
    ]
    for pool in driver.pools:
        rows += [
            (f"`Dispatch` with {pool.workers} workers", f"{pool.dispatch_s * 1e6:.0f}"),
            (f"`ray.wait` with {pool.workers} workers", f"{pool.wait_s * 1e6:.0f}"),
        ]
    return _table(["an item costs the driver", "µs"], rows)


def _cost_table(cost: JobCost) -> str:
    rows = [
        (
            stage.name,
            "1 for the scene" if stage.single else f"{stage.items_per_frame:.3g}",
            f"{stage.item_s * (1 if stage.single else stage.items_per_frame) * 1e3:.1f}",
            f"{stage.spread:.2f}",
            f"{stage.bytes * (1 if stage.single else stage.items_per_frame) / 1e6:.2f}",
        )
        for stage in cost.stages
    ]
    steps = f"driver: {', '.join(DRIVER_STEPS)}, between"
    grows = f"{cost.driver_s * 1e3:.1f}, and {cost.fixed_s:.1f} s a job"
    rows.append((steps, "", grows, "", ""))
    header = ["stage", "items a frame", "CPU ms a frame", "spread", "MB a frame"]
    return _table(header, rows)


def _check_table(measured: Measured) -> str:
    rows = [
        (
            f"{each.frames}",
            f"{each.workers}",
            f"{each.wall_per_cpu:.2f}",
            f"{each.measured_s:.1f}",
            f"{each.simulated_s:.1f}",
            f"{each.simulated_s / each.measured_s - 1:+.0%}",
        )
        for each in comparisons(measured)
    ]
    header = ["frames", "workers", "wall/CPU of items", "measured, s", "simulated, s", "off by"]
    return _table(header, rows)


def _grid_table(times: Mapping[str, Sequence[JobTime]]) -> str:
    rows: list[tuple[str, ...]] = []
    for name, jobs in times.items():
        for gpus, job in zip(GPUS, jobs, strict=True):
            bounds = job.by_bound()
            told = ", ".join(
                f"{bound} {seconds / job.seconds:.0%}"
                for bound, seconds in bounds.items()
                if seconds >= 0.05 * job.seconds
            )
            days = f"{job.seconds / 86400:.2f}"
            speed = f"{jobs[0].seconds / job.seconds:.1f}"
            rows.append((name, f"{gpus}", days, speed, told, f"{job.retries}"))
    header = ["method", "GPUs", "days", "speed-up", "bound by", "retries"]
    return _table(header, rows)
