"""How a job scales: measured on a small scene, simulated for a large one.

usage: python -m tests.benchmarks.scaling measure [--frames 24 48] [--workers 1 2]
       python -m tests.benchmarks.scaling report [--picture docs/images/scaling.png]

`measure` runs a synthetic scene on local Ray and writes what it cost to `measured.json` beside this
file (some minutes). `report` simulates from that file, and prints the tables of `docs/scaling.md`.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.scaling.costs import Measured, job_cost, run_time
from tests.benchmarks.scaling.driver import measure_driver
from tests.benchmarks.scaling.report import draw, grid, write_tables
from tests.benchmarks.scaling.runs import SceneRun, run_scene
from worldloom.codec import from_json, to_json

MEASURED = Path(__file__).with_name("measured.json")


def main() -> None:
    """Measures, or simulates and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("measure", "report"))
    parser.add_argument("--frames", type=int, nargs="+", default=[24, 48])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.what == "measure":
        measured = measure(sorted(options.frames), sorted(options.workers))
        MEASURED.write_bytes(to_json(measured, indent=2) + b"\n")
        return
    measured = from_json(MEASURED.read_bytes(), Measured)
    times = grid(measured.cost)
    print(write_tables(measured, times))
    if options.picture:
        draw(times, options.picture)


def measure(frames: list[int], workers: list[int]) -> Measured:
    """Measures the driver and the runs one after the other."""
    driver = measure_driver()
    runs: list[SceneRun] = []
    with tempfile.TemporaryDirectory() as folder:
        for length in frames:
            for count in workers:
                print(f"{length} frames, {count} workers", file=sys.stderr, flush=True)
                runs.append(run_scene(Path(folder), length, count, again=count == 1))
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    return Measured(machine, driver, job_cost(runs, driver), tuple(map(run_time, runs)))


if __name__ == "__main__":
    main()
