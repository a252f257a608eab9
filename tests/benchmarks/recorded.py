"""Scenes with true depth, from files to mesh, against a committed baseline.

usage: python -m tests.benchmarks.recorded DATA --judge evaluate.py [--gate] [--update]
       [--scenes NAME[:EVERY] ...]

For each scene: the share of pixels with truth whose depth is within 1, 2, 5 and 10% (a missing one
is a miss), CPU-seconds a view of the depth stages, F-scores of the mesh at 2, 5 and 10 cm by the
judge, and the largest process. `--gate` fails where one is worse than `recorded.json` allows;
`--update` writes that file anew. Where DATA does not exist the benchmark says so and ends well.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.metric import Metric, gate, load, save
from tests.benchmarks.process import watch

BASELINE = Path(__file__).with_name("recorded.json")
SCENES = ("atrium/traj0:2", "kitchen_rgbd")


def main() -> None:
    """Measures, prints and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES))
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"recorded scenes not measured: {options.data} does not exist")
        return
    metrics: list[Metric] = []
    for scene in options.scenes:
        for metric in _measure(options.data, scene, options.judge):
            print(f"{metric.key:32} {metric.value:10.4f} {metric.unit}", flush=True)
            metrics.append(metric)
    if options.update:
        save(BASELINE, metrics)
    if options.gate:
        measured = {scene.partition(":")[0] for scene in options.scenes}
        expected = [m for m in load(BASELINE) if m.key.rpartition("/")[0] in measured]
        sys.exit(gate(metrics, expected))


def _measure(data: Path, scene: str, judge: Path) -> list[Metric]:
    name = scene.partition(":")[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.depth_truth", str(data)]
        usage = watch([*command, "--scenes", scene, "--meshes", folder])
        if usage.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {usage.returncode}")
        mesh = Path(folder) / f"{name.replace('/', '_')}.ply"
        verdict = subprocess.run(
            [sys.executable, str(judge), str(mesh), str(data / name)],
            check=True,
            capture_output=True,
            text=True,
        )
    depth, scores = json.loads(usage.stdout), json.loads(verdict.stdout)
    return [
        *(
            Metric(f"{name}/depth_within_{limit}", share, "1", "higher", rel_tol=0.01)
            for limit, share in depth["within"].items()
        ),
        Metric(f"{name}/calibration_error", depth["calibration_error"], "1", "lower", rel_tol=0.2),
        Metric(f"{name}/depth_cpu_s_a_view", depth["cpu_s_a_view"], "s", "lower", rel_tol=1.0),
        *(
            Metric(f"{name}/fscore_{limit}", scores[limit]["fscore"], "1", "higher", rel_tol=0.01)
            for limit in ("0.02m", "0.05m", "0.1m")
        ),
        Metric(f"{name}/peak_process_mib", usage.peak_process_mib, "MiB", "lower", rel_tol=0.3),
    ]


if __name__ == "__main__":
    main()
