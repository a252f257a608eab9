"""Depth maps of recorded scenes against their truth: accuracy, and whether confidence is right.

usage: python -m tests.benchmarks.depth_truth DATA [--scenes NAME[:EVERY] ...] [--resolution PX]
       [--fit] [--leave-one-out] [--store DIR] [--meshes DIR]

DATA holds scene folders with `depth/*.png` (16 bit, millimetres, 0 = unknown, named by frame
number); the scene `room` is synthetic and made on the spot, without noise. Prints one JSON line a
scene: the share of truth pixels within 1, 2, 5 and 10% (a missing pixel is a miss), density,
CPU-seconds a view of the depth stages, and the reliability curve: for bins of confidence the mean
confidence, the share within 2% of the truth, and the number of pixels.
`--fit` fits the coefficients of `worldloom.depth._confidence` to all scenes and prints them;
`--leave-one-out` fits them to all scenes but one, in turn, and prints how far confidence is off on
that one.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize

from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.depth import CheckResult, CheckWork, agreement, gather_evidence
from worldloom.depth._confidence import calibrated
from worldloom.export import write_mesh
from worldloom.ingest import IngestLimits, ingest, open_sources
from worldloom.inline import InlineRunner
from worldloom.pipeline import reconstruct
from worldloom.scene import Mesh
from worldloom.stage import Outcome, ProgressCallback, R, Stage, W
from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.texture import TextureConfig

DEPTH_STAGES = ("depth", "check", "retrieve", "refine")
RIGHT = 0.02
"""Relative error up to which a depth is right."""


@dataclass(frozen=True)
class Judged:
    """Pixels of one depth map that have truth."""

    error: np.ndarray
    """Relative error; infinite where the map has no depth."""
    confidence: np.ndarray
    terms: np.ndarray
    """Terms of `Evidence`, one row a pixel."""


class Watching(InlineRunner):
    """Runs stages here, and keeps the last check and the CPU time of the depth stages."""

    def __init__(self, bench: BenchConfig) -> None:
        super().__init__(bench, 2)
        self.checks: list[tuple[CheckWork, CheckResult]] = []
        self.cpu_s = 0.0

    def map(
        self, stage: Stage[W, R], works: Sequence[W], on_progress: ProgressCallback
    ) -> list[Outcome[R]]:
        start = time.process_time()
        outcomes = super().map(stage, works, on_progress)
        if stage.name in DEPTH_STAGES:
            self.cpu_s += time.process_time() - start
        if stage.name == "check":
            self.checks = [
                (work, outcome.value)
                for work, outcome in zip(works, outcomes, strict=True)
                if isinstance(work, CheckWork) and isinstance(outcome.value, CheckResult)
            ]
        return outcomes


def main() -> None:
    """Measures, prints and fits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--scenes", nargs="+", default=["atrium/traj0:2", "atrium/traj1:2", "kitchen_rgbd"]
    )
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--meshes", type=Path, help="folder for the mesh of each scene")
    parser.add_argument("--resolution", type=int, default=ReconstructionConfig().resolution)
    options = parser.parse_args()
    found: dict[str, list[Judged]] = {}
    for name in options.scenes:
        scene, _, every = name.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            root = options.store / scene.replace("/", "_") if options.store else Path(folder)
            source = _room(root) if scene == "room" else options.data / scene
            judged, cpu_s, mesh = _judge(source, int(every or 1), root, options.resolution)
        if options.meshes:
            write_mesh(mesh, options.meshes / f"{scene.replace('/', '_')}.ply")
        found[name] = judged
        print(json.dumps({"scene": name, "cpu_s_a_view": round(cpu_s, 2), **_summary(judged)}))
    if options.fit:
        print(json.dumps({"fitted": _fit([one for judged in found.values() for one in judged])}))
    for name in found if options.leave_one_out else ():
        print(json.dumps({"left_out": name, **_left_out(found, name)}))


def _room(root: Path) -> Path:
    folder = root / "input"
    write_scene(build_scene(SceneSpec(width_px=640, height_px=480)), folder)
    return folder


def _judge(
    folder: Path, every: int, root: Path, resolution: int
) -> tuple[list[Judged], float, Mesh]:
    runner = Watching(BenchConfig(str(root.resolve()), 1024))
    bench = runner.bench
    frames = ingest(
        open_sources([folder], [], limits=IngestLimits(), missing_images="skip"),
        bench.store,
        every=every,
        limits=IngestLimits(),
        on_progress=lambda _: None,
        workers=2,
    )
    config = ReconstructionConfig(resolution=resolution, texture=TextureConfig(textures=False))
    made = reconstruct(frames, config, runner, bench, lambda _: None)
    truth = {int(path.stem.split("-")[-1].split("_")[-1]): path for path in _depth_files(folder)}
    judged = [
        _judged(bench, work, result, truth[work.depth.frame.index])
        for work, result in runner.checks
        if work.depth.frame.index in truth
    ]
    return judged, runner.cpu_s / len(frames), made.mesh


def _depth_files(folder: Path) -> list[Path]:
    files = sorted((folder / "depth").glob("*.png"))
    if not files:
        raise SystemExit(f"{folder} has no depth/*.png; this benchmark needs truth")
    return files


def _judged(bench: Bench, work: CheckWork, result: CheckResult, truth_file: Path) -> Judged:
    picture = cv2.imread(str(truth_file), cv2.IMREAD_UNCHANGED)
    assert picture is not None, truth_file
    truth = picture.astype(np.float32) / 1000
    own, kept = bench.depth_map(work.depth), bench.depth_map(result.depth)
    agreed = agreement(own, [bench.depth_map(ref) for ref in work.partners], work.config)
    terms = gather_evidence(own, agreed, work.config)[0].terms()
    size = (truth.shape[1], truth.shape[0])

    def at_truth(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)[truth > 0]

    depth, right = at_truth(kept.depth), truth[truth > 0]
    error = np.where(depth > 0, np.abs(depth - right) / right, np.inf)
    return Judged(error, at_truth(kept.confidence), at_truth(terms))


def _summary(judged: Sequence[Judged]) -> dict[str, object]:
    error = np.concatenate([one.error for one in judged])
    confidence = np.concatenate([one.confidence for one in judged])
    known = np.isfinite(error)
    bins = np.minimum((confidence[known] * 10).astype(int), 9)
    right = error[known] < RIGHT
    curve = [
        [
            round(float(confidence[known][bins == k].mean()), 3),
            round(float(right[bins == k].mean()), 3),
            int((bins == k).sum()),
        ]
        for k in range(10)
        if (bins == k).sum() > 100
    ]
    counts = np.array([row[2] for row in curve])
    gaps = np.array([abs(row[0] - row[1]) for row in curve])
    return {
        "within": {
            f"{limit:.0%}": round(float((error < limit).mean()), 4)
            for limit in (0.01, 0.02, 0.05, 0.1)
        },
        "density": round(float(known.mean()), 4),
        "reliability": curve,
        "calibration_error": round(float((gaps * counts).sum() / counts.sum()), 4),
    }


def _left_out(found: dict[str, list[Judged]], name: str) -> dict[str, object]:
    """Coefficients of the other scenes, and how far confidence by them is off on this one."""
    fitted = _fit([one for other, judged in found.items() if other != name for one in judged])
    judged = [replace(one, confidence=calibrated(one.terms, fitted)) for one in found[name]]
    return {"fitted": fitted, "calibration_error": _summary(judged)["calibration_error"]}


def _fit(judged: Sequence[Judged]) -> list[float]:
    """Logistic regression of "within 2%" on the terms, every map counting alike."""
    rows, right = [], []
    random = np.random.default_rng(0)
    for one in judged:
        known = np.nonzero(np.isfinite(one.error))[0]
        chosen = random.choice(known, min(3000, len(known)), replace=False)
        rows.append(one.terms[chosen])
        right.append(one.error[chosen] < RIGHT)
    x = np.column_stack([np.ones(sum(map(len, rows))), np.concatenate(rows)]).astype(np.float64)
    y = np.concatenate(right).astype(np.float64)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ weights
        probability = 1 / (1 + np.exp(-z))
        value = float(np.mean(np.logaddexp(0, z) - y * z))
        return value, x.T @ (probability - y) / len(y)

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return [round(float(weight), 3) for weight in found.x]


if __name__ == "__main__":
    main()
