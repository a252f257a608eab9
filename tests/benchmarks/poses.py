"""What wrong poses cost, and what their refinement wins back.

usage: python -m tests.benchmarks.poses [DATA --judge evaluate.py] [--scenes NAME ...] [--seed N]

Each scene is made four times: with its poses, with these after refinement, with noise on them, and
with the noisy ones after refinement. The noise is normal, 0.3 degrees about each axis and 0.5 % of
the scene size along each axis. The size is the diagonal of the true mesh of the synthetic room; of
recorded scenes, that of the box of the middle 96 % of the point cloud made from the given poses.

Without DATA the synthetic room is measured, at 1 % and 0.5 % of its diagonal. Recorded scenes are
judged as in `tests.benchmarks.scenes`, at 2, 5 and 10 cm. Prints a JSON object a run: F-scores,
errors of the poses against the truth (as they are, and but for place, orientation and scale of the
whole, which images cannot tell) and residuals.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from worldloom.api import reconstruct_files
from worldloom.cameras import Camera, CameraTrajectory, load_trajectory
from worldloom.config import ReconstructionConfig
from worldloom.metrics import score_against_mesh
from worldloom.scene import ReconstructedScene
from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.texture import TextureConfig

ANGLE_DEG = 0.3
SHARE = 0.005
Score = Callable[[ReconstructedScene, Path], dict[str, float]]


@dataclass(frozen=True)
class Recorded:
    """A recorded scene with depth truth."""

    folder: str
    media: str
    every: int = 1


RECORDED = (Recorded("atrium/traj0", "video.mp4", 2), Recorded("kitchen_rgbd", "images"))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--scenes", nargs="+", default=[case.folder for case in RECORDED])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data is None:
        _room(options.seed)
        return
    if options.judge is None:
        parser.error("recorded scenes need --judge")
    for case in RECORDED:
        if case.folder in options.scenes:
            _recorded(case, options.data, options.judge, options.seed)


def _room(seed: int) -> None:
    truth = build_scene(SceneSpec())
    size = float(np.linalg.norm(np.ptp(truth.mesh.vertices_in_world, axis=0)))

    def score(scene: ReconstructedScene, _folder: Path) -> dict[str, float]:
        found = score_against_mesh(scene.mesh, truth.mesh, truth.trajectory.cameras)
        return {f"{at.threshold / size:.3%}": round(at.fscore, 4) for at in found.at}

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "input"
        write_scene(truth, source)
        _four(
            "room", source / "video.mp4", truth.trajectory, 1, seed, score, Path(folder), size=size
        )


def _recorded(case: Recorded, data: Path, judge: Path, seed: int) -> None:
    source = data / case.folder

    def score(_scene: ReconstructedScene, folder: Path) -> dict[str, float]:
        command = [sys.executable, str(judge), str(folder / "mesh.ply"), str(source)]
        verdict = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(verdict.stdout)
        return {name: at["fscore"] for name, at in found.items() if isinstance(at, dict)}

    with tempfile.TemporaryDirectory() as folder:
        trajectory = load_trajectory(source / "camera.json")
        _four(case.folder, source / case.media, trajectory, case.every, seed, score, Path(folder))


def _four(
    name: str,
    media: Path,
    trajectory: CameraTrajectory,
    every: int,
    seed: int,
    score: Score,
    folder: Path,
    size: float | None = None,
) -> None:
    """Makes a scene from right and from noisy poses, with and without refinement."""
    for poses in ("given", "noisy"):
        cameras = trajectory.cameras
        if poses == "noisy":
            assert size is not None  # known from the first run
            cameras = _noisy(cameras, size, seed)
        for refine in (False, True):
            start = time.process_time()
            scene = reconstruct_files(
                [media],
                folder / "out",
                ReconstructionConfig(refine_poses=refine, texture=TextureConfig(textures=False)),
                trajectories=[replace(trajectory, cameras=cameras)],
                every=every,
                store_uri=str(folder / "artifacts"),
            )
            cpu_s = time.process_time() - start
            if size is None:
                middle = np.percentile(scene.point_cloud.points_in_world, (2, 98), axis=0)
                size = float(np.linalg.norm(middle[1] - middle[0]))
            row: dict[str, Any] = {
                "scene": name,
                "poses": poses,
                "refined": refine,
                "fscore": score(scene, folder / "out"),
                "size_m": round(size, 3),
                "cpu_s": round(cpu_s, 1),
                **_errors(scene.cameras.cameras, trajectory.cameras[::every]),
                **_noted(scene),
            }
            print(json.dumps(row), flush=True)


def _noisy(cameras: Sequence[Camera], size: float, seed: int) -> tuple[Camera, ...]:
    random = np.random.default_rng(seed)
    noisy: list[Camera] = []
    for camera in cameras:
        pose = camera.world_from_cam.copy()
        turn = Rotation.from_rotvec(random.normal(size=3) * np.radians(ANGLE_DEG))
        pose[:3, :3] = pose[:3, :3] @ turn.as_matrix()
        pose[:3, 3] += random.normal(size=3) * SHARE * size
        noisy.append(replace(camera, world_from_cam=pose))
    return tuple(noisy)


def _errors(cameras: Sequence[Camera], truth: Sequence[Camera]) -> dict[str, float]:
    """Mean errors of the poses, and the same but for place, orientation and scale of the whole."""
    turns = np.array(
        [
            Rotation.from_matrix(a.world_from_cam[:3, :3] @ b.world_from_cam[:3, :3].T).as_rotvec()
            for a, b in zip(cameras, truth, strict=True)
        ]
    )
    centres, true = (np.array([c.centre_in_world for c in of]) for of in (cameras, truth))
    mean = turns.mean(axis=0)
    back = Rotation.from_rotvec(-mean).as_matrix()
    moved, right = (centres - centres.mean(axis=0)) @ back.T, true - true.mean(axis=0)
    moved = moved * ((moved * right).sum() / (moved**2).sum())
    return {
        "turn_deg": _mean(np.degrees(turns)),
        "move_m": _mean(centres - true),
        "shape_turn_deg": _mean(np.degrees(turns - mean)),
        "shape_move_m": _mean(moved - right),
    }


def _mean(vectors: np.ndarray) -> float:
    return round(float(np.linalg.norm(vectors, axis=1).mean()), 5)


def _noted(scene: ReconstructedScene) -> dict[str, Any]:
    metrics = scene.metadata["metrics"]
    assert isinstance(metrics, dict)
    return {name: metrics[name] for name in ("pose_residual_px", "reprojection_residual_px")}


if __name__ == "__main__":
    main()
