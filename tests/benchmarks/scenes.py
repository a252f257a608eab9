"""Recorded scenes through the command line, scored by an independent judge.

usage: python -m tests.benchmarks.scenes DATA --judge evaluate.py [--scenes NAME ...] [--out DIR]

DATA holds the recorded scenes. The judge is a script that takes a mesh or cloud and a folder with
depth truth, and prints F-scores as JSON; scenes without truth are scored by how well the mesh,
rendered, matches the images. Prints a table and writes `scenes.json` to the output folder.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.process import watch


@dataclass(frozen=True)
class Case:
    """A recorded scene and how it is given."""

    folder: str
    arguments: tuple[str, ...] = ()
    truth: bool = False
    parts: tuple[str, ...] = ("",)
    """Folders below that are given, each a scene with its truth where there is one."""


CASES = (
    Case("atrium/traj0", ("--every", "2"), truth=True),
    Case("atrium", truth=True, parts=("traj0", "traj1")),
    Case("kitchen_rgbd", truth=True),
    Case("fountain", ("--resolution", "768", "--holdout", "5")),
    Case("fox"),
    Case("worldstereo/kitchen"),
    Case("worldstereo/subway"),
)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--scenes", nargs="+", default=[case.folder for case in CASES])
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = [
        _measure(case, options.data, options.judge, options.out, options.workers)
        for case in CASES
        if case.folder in options.scenes
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scenes.json").write_text(json.dumps(rows, indent=1))
    for row in rows:
        print(json.dumps(row))


def _measure(case: Case, data: Path, judge: Path | None, out: Path, workers: int) -> dict[str, Any]:
    inputs = [str(data / case.folder / part) for part in case.parts]
    target = out / case.folder.replace("/", "_")
    command = [sys.executable, "-m", "cluster", "reconstruct", *inputs, "--out", str(target)]
    command += ["--runner", "inline", "--workers", str(workers), "--json", *case.arguments]
    usage = watch(command)
    if usage.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {usage.returncode}")
    row: dict[str, Any] = {
        "scene": case.folder,
        "wall_s": round(usage.wall_s, 1),
        "cpu_s": round(usage.cpu_s, 1),
        "peak_mib": round(usage.peak_process_mib),
        "result": json.loads(usage.stdout),
    }
    if case.truth and judge is not None:
        for name in ("mesh", "point_cloud"):
            verdict = subprocess.run(
                [sys.executable, str(judge), str(target / f"{name}.ply"), *inputs],
                check=True,
                capture_output=True,
                text=True,
            )
            row[name] = json.loads(verdict.stdout)
    return row


if __name__ == "__main__":
    main()
