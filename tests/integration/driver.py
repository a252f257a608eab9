"""A program that runs a stage: to be killed half-way by `test_killed_driver`.

Usage: python -m tests.integration.driver STORE inline|ray COUNT SLEEP_S
"""

import sys

from cluster.ray_runner import RayRunner
from tests.integration.stages import Task, perform_stage
from worldloom.bench import BenchConfig
from worldloom.codec import to_json
from worldloom.inline import InlineRunner
from worldloom.stage import Progress


def main(store: str, kind: str, count: str, sleep_s: str) -> None:
    def report(progress: Progress) -> None:
        print(progress.done, progress.reused, flush=True)

    bench = BenchConfig(store)
    works = [Task("killed", n, sleep_s=float(sleep_s)) for n in range(int(count))]
    if kind == "inline":
        outcomes = InlineRunner(bench, workers=2).map(perform_stage(), works, report)
    else:
        with RayRunner(bench, workers=2) as runner:
            outcomes = runner.map(perform_stage(), works, report)
    print(to_json([outcome.value for outcome in outcomes]).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
