"""What workers bring and what Ray costs: `python -m tests.benchmarks.speedup SCENE`.

One scene from an empty store, by one thread in this process, by one Ray worker and by two; wall
time of the depth stages and of the whole job, as ratios within the run. Start-up of Ray counts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.killing import ROOT, digest

_DEPTH = ("depth", "refine", "check")
RUNS = {
    "inline, 1 thread": ("--runner", "inline", "--workers", "1"),
    "Ray, 1 worker": ("--runner", "ray", "--workers", "1"),
    "Ray, 2 workers": ("--runner", "ray", "--workers", "2"),
}


@dataclass(frozen=True)
class Run:
    """One job."""

    depth_s: float
    stages_s: float
    """All stages."""
    job_s: float
    """The command, from its start to its end."""
    digest: str
    by_stage: dict[str, float]
    """Seconds of each stage, those of the same name together."""


def run(scene: Path, out: Path, flags: tuple[str, ...], resolution: int, every: int) -> Run:
    """Reconstructs a scene and returns what it took."""
    begun_s = time.monotonic()
    subprocess.run(
        [
            *(sys.executable, "-m", "cluster", "reconstruct", str(scene), "--out", str(out)),
            *("--resolution", str(resolution), "--every", str(every)),
            *("--no-textures", "--no-report", *flags),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    job_s = time.monotonic() - begun_s
    timings = json.loads((out / "scene.json").read_text())["timings"]
    by_stage: dict[str, float] = {}
    for item in timings:
        by_stage[item["stage"]] = by_stage.get(item["stage"], 0.0) + item["seconds"]
    depth_s = sum(by_stage[stage] for stage in _DEPTH)
    return Run(depth_s, sum(by_stage.values()), job_s, digest(out), by_stage)


def main() -> int:
    """Prints the table; 1 where the scenes differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--resolution", type=int, default=640)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory(prefix="worldloom-speedup-") as name:
        for number, (case, flags) in enumerate(RUNS.items()):
            out = Path(name) / str(number)
            runs[case] = run(options.scene, out, flags, options.resolution, options.every)
    print("| run | depth s | all stages s | job s | scene |\n| --- | --- | --- | --- | --- |")
    for case, one in runs.items():
        times = f"{one.depth_s:.1f} | {one.stages_s:.1f} | {one.job_s:.1f}"
        print(f"| {case} | {times} | {one.digest} |")
    print(f"| stage | {' | '.join(runs)} |\n| --- |{' --- |' * len(runs)}")
    inline, single, double = runs.values()
    for stage in inline.by_stage:
        cells = " | ".join(f"{one.by_stage.get(stage, 0.0):.1f}" for one in runs.values())
        print(f"| {stage} | {cells} |")
    print(f"2 workers over 1, depth: {single.depth_s / double.depth_s:.2f} times")
    print(f"2 workers over 1, whole job: {single.job_s / double.job_s:.2f} times")
    print(f"Ray's overhead, 1 worker over inline: {100 * (single.job_s / inline.job_s - 1):.0f}%")
    return 0 if len({one.digest for one in runs.values()}) == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
