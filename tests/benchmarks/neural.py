"""The implicit surface beside the fused one that it starts from, scored by the same judge.

usage: python -m tests.benchmarks.neural DATA/atrium/traj0 --judge evaluate.py [--out DIR]

Reconstructs the scene by `mvs`, then by `neural` on the same store, so that depth, memory and poses
are the same and the second run takes what it adds. Prints one JSON line each: wall and CPU seconds
of the run, those of fitting, faces, held-out PSNR of the mesh, F-scores. What stands behind `--`
goes to the second run: `-- --neural.steps 800`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.process import watch

FIT = "fit-field"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=160)
    parser.add_argument("--holdout", type=int, default=8)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep scenes and artifacts here")
    parser.add_argument("more", nargs="*", help="further flags of the second run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.out or Path(folder)
        for method, more in (("mvs", []), ("neural", options.more)):
            print(json.dumps(_measured(options, root, method, more)), flush=True)


def _measured(
    options: argparse.Namespace, root: Path, method: str, more: list[str]
) -> dict[str, Any]:
    out = root / method
    command = [sys.executable, "-m", "cluster", "reconstruct", str(options.scene)]
    command += ["--out", str(out), "--store", str((root / "artifacts").resolve()), "--json"]
    command += ["--method", method, "--resolution", str(options.resolution)]
    command += ["--holdout", str(options.holdout), "--every", str(options.every)]
    command += ["--runner", "inline", "--workers", str(options.workers)]
    command += ["--no-textures", "--no-report", *more]
    usage = watch(command)
    if usage.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {usage.returncode}")
    manifest = json.loads((out / "scene.json").read_text())
    fitting = [stage for stage in manifest["timings"] if stage["stage"] == FIT]
    return {
        "method": method,
        "wall_s": round(usage.wall_s, 1),
        "cpu_s": round(usage.cpu_s, 1),
        "fit_wall_s": round(sum(stage["seconds"] for stage in fitting), 1),
        "chunks": sum(stage["items"] for stage in fitting),
        "peak_mib": round(usage.peak_process_mib),
        "faces": manifest["counts"]["faces"],
        "holdout_psnr_db": manifest["metrics"].get("holdout_psnr_db"),
        "fscore": _scores(options, out / "mesh.ply"),
    }


def _scores(options: argparse.Namespace, mesh: Path) -> dict[str, float]:
    verdict = subprocess.run(
        [sys.executable, str(options.judge), str(mesh), str(options.scene)],
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(verdict.stdout)
    return {name: said[name]["fscore"] for name in ("0.02m", "0.05m", "0.1m")}


if __name__ == "__main__":
    main()
