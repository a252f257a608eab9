"""Do the quality metrics, which know no truth, order scenes as the truth does?

usage: python -m tests.benchmarks.quality_metrics [--rows FILE]

Reconstructs small synthetic scenes from few and many frames, with noise, drifting exposure and
wrong poses, and with other settings; damages each mesh in several ways; and prints Spearman's rank
correlation of the metrics with the true scores at 1 % and at 0.5 % of the diagonal: over the
reconstructions as they were made, over all variants, and, as completeness is made to ignore wrong
geometry and geometric consistency to ignore holes, with the F-score over the variants without the
damage that each ignores. Exit code 1 where one of `GATED` is below 0.8.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from scipy.stats import spearmanr

from tests.benchmarks.metric import Metric
from tests.corner import corner_frames
from tests.damage import bulged, cropped, littered, punctured, roughened
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.inline import InlineRunner
from worldloom.metrics import score_against_mesh
from worldloom.pipeline import reconstruct
from worldloom.quality import measured_quality, quality_basis
from worldloom.render import MeshRenderer
from worldloom.scene import Frame, Mesh
from worldloom.stage import Progress
from worldloom.surface import SurfaceConfig
from worldloom.synthetic import SceneSpec, build_scene

LEAST = 0.8
GATED = (
    "completeness/fscore/1_percent/as made",
    "geometric_consistency/fscore/half_percent/as made",
    "completeness/recall/1_percent/all",
    "completeness/fscore/1_percent/coverage",
    "geometric_consistency/precision/half_percent/all",
    "geometric_consistency/fscore/half_percent/geometry",
    "both/fscore/1_percent/all",
    "both/fscore/half_percent/all",
)
"""Correlations that have to reach `LEAST`."""
FAMILIES: dict[str, tuple[str, ...]] = {
    "as made": ("as made",),
    "all": ("as made", "holes", "cropped", "rough", "bulged", "litter"),
    "coverage": ("as made", "holes", "cropped"),
    "geometry": ("as made", "rough", "bulged", "litter"),
}
THRESHOLDS = ("1_percent", "half_percent")
SMALL = SceneSpec(layout="corner", frames=12, width_px=160, height_px=120)
ROOM = SceneSpec(frames=14, width_px=160, height_px=120)
PLAIN = ReconstructionConfig(resolution=160)


@dataclass(frozen=True)
class Setting:
    """One way to reconstruct a scene."""

    name: str
    spec: SceneSpec = SMALL
    config: ReconstructionConfig = PLAIN
    pose_error: float = 0.0
    """Deviation of camera places, metres, and of angles, in 0.3 radians."""


SETTINGS = (
    Setting("plain"),
    Setting("few frames", replace(SMALL, frames=5)),
    Setting("short arc", replace(SMALL, frames=8, arc_deg=25.0)),
    Setting("noise", replace(SMALL, noise_levels=8.0)),
    Setting("much noise", replace(SMALL, noise_levels=25.0)),
    Setting("drift", replace(SMALL, exposure_drift=0.3, noise_levels=4.0)),
    Setting("one round", config=replace(PLAIN, depth_estimation=False)),
    Setting("coarse", config=ReconstructionConfig(resolution=96)),
    Setting("large voxels", config=replace(PLAIN, voxel_m=0.08)),
    Setting("poses off", pose_error=0.01),
    Setting("poses far off", pose_error=0.03),
    Setting("room", ROOM),
    Setting("other seed", replace(SMALL, seed=5)),
    Setting("3 frames", replace(SMALL, frames=3)),
    Setting("4 frames", replace(SMALL, frames=4)),
    Setting("7 frames", replace(SMALL, frames=7)),
    Setting("20 frames", replace(SMALL, frames=20)),
    Setting("shorter arc", replace(SMALL, frames=8, arc_deg=12.0)),
    Setting("longer arc", replace(SMALL, frames=8, arc_deg=45.0)),
    Setting("noise 15", replace(SMALL, noise_levels=15.0)),
    Setting("noise 40", replace(SMALL, noise_levels=40.0)),
    Setting("resolution 64", config=ReconstructionConfig(resolution=64)),
    Setting("resolution 128", config=ReconstructionConfig(resolution=128)),
    Setting("voxels of 5 cm", config=replace(PLAIN, voxel_m=0.05)),
    Setting("voxels of 12 cm", config=replace(PLAIN, voxel_m=0.12)),
    Setting("voxels of 20 cm", config=replace(PLAIN, voxel_m=0.2)),
    Setting("poses slightly off", pose_error=0.005),
    Setting("poses 2 cm off", pose_error=0.02),
    Setting("poses 5 cm off", pose_error=0.05),
    Setting("strict", config=replace(PLAIN, surface=SurfaceConfig(min_confidence=0.7))),
    Setting("stricter", config=replace(PLAIN, surface=SurfaceConfig(min_confidence=0.9))),
    Setting("third seed", replace(SMALL, seed=7)),
    Setting("fourth seed, noise", replace(SMALL, seed=9, noise_levels=12.0)),
    Setting("room, few frames", replace(ROOM, frames=6)),
    Setting("room, noise", replace(ROOM, noise_levels=25.0)),
    Setting("room, coarse", ROOM, ReconstructionConfig(resolution=96)),
    Setting("room, large voxels", ROOM, replace(PLAIN, voxel_m=0.15)),
    Setting("room, poses off", ROOM, pose_error=0.02),
    Setting("room, many frames", replace(ROOM, frames=24)),
)
DAMAGES: dict[str, Callable[[Mesh], Mesh]] = {
    "as made": lambda mesh: mesh,
    "holes": lambda mesh: punctured(mesh, 0.15, 0.12),
    "cropped": lambda mesh: cropped(mesh, 0.4),
    "rough": lambda mesh: roughened(mesh, 0.03),
    "bulged": lambda mesh: bulged(mesh, 0.06),
    "litter": lambda mesh: littered(mesh, 12, 0.12),
}


@dataclass(frozen=True)
class Truth:
    """The true scores at one distance."""

    precision: float
    recall: float
    fscore: float


@dataclass(frozen=True)
class Row:
    """One variant: what the truth says, and what the metrics say."""

    setting: str
    damage: str
    completeness: float
    geometric_consistency: float
    truth: dict[str, Truth]
    """By threshold."""

    @property
    def both(self) -> float:
        """Harmonic mean of the two metrics, as the F-score is of precision and recall."""
        total = self.completeness + self.geometric_consistency
        return 2 * self.completeness * self.geometric_consistency / total if total else 0.0


def main() -> None:
    """Measures, prints and judges."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, help="write all variants to this file, JSON")
    args = parser.parse_args()
    rows: list[Row] = []
    for setting in SETTINGS:
        rows += _rows(setting)
    if args.rows:
        args.rows.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))
    metrics = correlations(rows)
    for metric in metrics:
        print(f"{metric.key} {metric.value:.3f}")
    low = [metric.key for metric in metrics if metric.key in GATED and metric.value < LEAST]
    if low:
        sys.exit(f"below {LEAST}: {', '.join(low)}")


def correlations(rows: Sequence[Row]) -> list[Metric]:
    """Spearman's rank correlation of metrics and truth over families of variants."""
    found: list[Metric] = []
    for family, damages in FAMILIES.items():
        chosen = [row for row in rows if row.damage in damages]
        sys.stderr.write(f"{family}: {len(chosen)} variants\n")
        for threshold in THRESHOLDS:
            for ours in ("completeness", "geometric_consistency", "both"):
                for theirs in ("recall", "precision", "fscore"):
                    measured = [getattr(row, ours) for row in chosen]
                    true = [getattr(row.truth[threshold], theirs) for row in chosen]
                    value = float(spearmanr(measured, true)[0])
                    key = f"{ours}/{theirs}/{threshold}/{family}"
                    found.append(Metric(key, value, "1", "higher", rel_tol=0.05))
    return found


def _rows(setting: Setting) -> list[Row]:
    truth = build_scene(setting.spec)
    with tempfile.TemporaryDirectory() as folder:
        config = BenchConfig(folder)
        bench = Bench(config)
        frames, _ = corner_frames(bench, setting.spec)
        cameras = [frame.camera for frame in frames]
        frames = _with_pose_errors(frames, setting.pose_error)
        made = reconstruct(frames, setting.config, InlineRunner(config, 2), bench, _silent)
        basis = quality_basis(made, ())
        rows: list[Row] = []
        for name, damage in DAMAGES.items():
            mesh = damage(made.mesh)
            quality = measured_quality(bench, basis, MeshRenderer(mesh))
            score = score_against_mesh(mesh, truth.mesh, cameras)
            row = Row(
                setting.name,
                name,
                quality.completeness or 0.0,
                quality.geometric_consistency or 0.0,
                {
                    threshold: Truth(at.precision, at.recall, at.fscore)
                    for threshold, at in zip(THRESHOLDS, score.at, strict=False)
                },
            )
            sys.stderr.write(f"{row}\n")
            rows.append(row)
    return rows


def _with_pose_errors(frames: Sequence[Frame], error: float) -> list[Frame]:
    rng = np.random.default_rng(0)
    moved: list[Frame] = []
    for frame in frames:
        pose = frame.camera.world_from_cam.copy()
        pose[:3, 3] += rng.normal(scale=error, size=3)
        x, y, z = rng.normal(scale=error * 0.3, size=3)
        turn = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
        u, _, vt = np.linalg.svd(turn)
        pose[:3, :3] = pose[:3, :3] @ (u @ vt)
        moved.append(replace(frame, camera=replace(frame.camera, world_from_cam=pose)))
    return moved


def _silent(_progress: Progress) -> None:
    pass


if __name__ == "__main__":
    main()
