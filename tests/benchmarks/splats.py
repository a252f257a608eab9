"""Methods that train a model against multi-view stereo, on a recorded scene.

usage: python -m tests.benchmarks.splats DATA/atrium/traj0 [--judge evaluate.py] [--methods ...]

Every 8th view is kept out of everything. Each method runs through the command line from an empty
store, so its wall time holds all of it: ingest, depth, training, surface, textures, metrics, files
and report. Prints one JSON object a method: held-out PSNR and SSIM (medians over the views kept
out, all their pixels, at the size of training), Gaussians, steps, seconds of training, wall and CPU
seconds, and with a judge (see `tests.benchmarks.scenes`) the F-score of the mesh.

`--pictures DIR` writes each view kept out beside what the splats show of it, and the difference
four times enlarged.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.benchmarks.process import watch
from worldloom.bench import Bench, BenchConfig
from worldloom.quality import load_basis
from worldloom.splat import SplatRenderer, load_splats
from worldloom.store import ArtifactKey

METHODS = ("mvs", "splat", "hybrid")
_SHOWN = ("holdout_psnr_db", "holdout_ssim", "gaussians", "train_steps", "train_seconds")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--resolution", type=int, default=160)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--arguments", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()
    for method in options.methods:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_measure(method, options, Path(folder))), flush=True)


def _measure(method: str, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "cluster", "reconstruct", str(options.scene)]
    command += ["--out", str(out), "--resolution", str(options.resolution), "--holdout", "8"]
    usage = watch([*command, "--method", method, *options.arguments])
    if usage.returncode != 0:
        sys.exit(f"{' '.join(command)} --method {method} ended with {usage.returncode}")
    manifest = json.loads((out / "scene.json").read_text())
    metrics = manifest["metrics"]
    row: dict[str, Any] = {"method": method}
    row |= {name: metrics.get(name) for name in _SHOWN}
    row |= {"wall_s": round(usage.wall_s, 1), "cpu_s": round(usage.cpu_s, 1)}
    if options.judge is not None:
        verdict = subprocess.run(
            [sys.executable, str(options.judge), str(out / "mesh.ply"), str(options.scene)],
            capture_output=True,
            text=True,
            check=True,
        )
        scores = json.loads(verdict.stdout)
        row["fscore"] = {at: scores[at]["fscore"] for at in ("0.02m", "0.05m", "0.1m")}
    if options.pictures is not None and method != "mvs":
        _draw(manifest, out, options.pictures / method)
    return row


def _draw(manifest: dict[str, Any], out: Path, folder: Path) -> None:
    bench = Bench(BenchConfig(str(out / "artifacts")))
    basis = load_basis(bench.store, ArtifactKey(manifest["evidence"]["quality_basis"]))
    (key,) = bench.store.finished("merge-splats")
    renderer = SplatRenderer(load_splats(bench, key))
    folder.mkdir(parents=True, exist_ok=True)
    for frame in basis.held_out:
        size = frame.size_within(basis.longer_px)
        truth = bench.image(frame, *size)
        shown = renderer.render(frame.camera.resized(*size)).image
        off = np.abs(shown.astype(int) - truth) * 4
        row = np.hstack([truth, shown, np.clip(off, 0, 255).astype(np.uint8)])
        cv2.imwrite(str(folder / f"{frame.index:05d}.png"), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
