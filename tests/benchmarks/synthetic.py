"""The benchmark that needs no data: the synthetic room, and the speed of the sweep.

usage: python -m tests.benchmarks.synthetic [--gate] [--update]

Prints the metrics. `--gate` fails where one is worse than `baseline.json` allows; `--update` writes
that file anew. Times count as ratios to a reference that is measured in the same run.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from tests.benchmarks.metric import Metric, gate, load, save
from worldloom.api import reconstruct_files
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.config import ReconstructionConfig
from worldloom.depth._correlation import Window
from worldloom.depth._sweep import MatchImage, pixel_transfer, plane_costs
from worldloom.metrics import score_against_mesh
from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.texture import TextureConfig

BASELINE = Path(__file__).with_name("baseline.json")
WINDOW_PX = 7
PLANES = 32


def main() -> None:
    """Measures, prints and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    metrics = [*_sweep_speed(), *_room()]
    for metric in metrics:
        print(f"{metric.key:28} {metric.value:10.4f} {metric.unit}")
    if options.update:
        save(BASELINE, metrics)
    if options.gate:
        sys.exit(gate(metrics, load(BASELINE)))


def _room() -> list[Metric]:
    """The room of the demo, inline, against its truth."""
    truth = build_scene(SceneSpec())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "input"
        write_scene(truth, source)
        start = time.process_time()
        scene = reconstruct_files(
            [source / "video.mp4"],
            Path(folder) / "out",
            ReconstructionConfig(texture=TextureConfig(textures=False)),
            trajectories=[source / "camera.json"],
        )
        cpu_s = time.process_time() - start
    mesh = score_against_mesh(scene.mesh, truth.mesh, truth.trajectory.cameras)
    cloud = score_against_mesh(scene.point_cloud, truth.mesh, truth.trajectory.cameras)
    return [
        Metric("room/mesh_fscore", mesh.fscore, "1", "higher", rel_tol=0.01),
        Metric("room/mesh_precision", mesh.precision, "1", "higher", rel_tol=0.01),
        Metric("room/cloud_fscore", cloud.fscore, "1", "higher", rel_tol=0.01),
        Metric("room/cpu_s", cpu_s, "s", "lower", rel_tol=2.0),
    ]


def _sweep_speed() -> list[Metric]:
    """CPU time of our sweep and of the same hypotheses by torch, one thread each."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    views = [_view(random, 0.1 * i) for i in range(5)]
    planes = np.linspace(0.2, 1.0, PLANES)
    window = Window(WINDOW_PX, 1, 12.0)
    ours = _cpu_s(lambda: plane_costs(views[0], views[1:], planes, window=window, noise_level=1.5))
    theirs = _cpu_s(lambda: _torch_sweep(views[0], views[1:], planes))
    pixels = views[0].grey.size * PLANES
    return [
        Metric("sweep/mega_hypotheses_per_s", pixels / ours / 1e6, "1/us", "higher", rel_tol=0.7),
        Metric("sweep/speed_over_torch", theirs / ours, "1", "higher", rel_tol=0.4),
    ]


def _view(random: np.random.Generator, x: float) -> MatchImage:
    width, height = 320, 240
    world_from_cam = np.eye(4)
    world_from_cam[0, 3] = x
    lens = CameraIntrinsics(256.0, 256.0, width / 2, height / 2, width, height)
    grey = random.uniform(0, 255, (height, width)).astype(np.float32)
    return MatchImage(
        Camera(lens, world_from_cam), cv2.GaussianBlur(grey, (5, 5), 1), np.ones(grey.shape, bool)
    )


def _torch_sweep(view: MatchImage, partners: list[MatchImage], planes: np.ndarray) -> torch.Tensor:
    """NCC of all planes with eager torch: grid_sample and avg_pool2d, best half of the partners."""
    height, width = view.grey.shape
    own = torch.from_numpy(view.grey)[None, None]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], -1).float()

    def mean(image: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(image, WINDOW_PX, 1, WINDOW_PX // 2, count_include_pad=False)

    own_mean = mean(own)
    own_variance = mean(own * own) - own_mean**2
    costs: list[torch.Tensor] = []
    for plane in planes:
        scores: list[torch.Tensor] = []
        for partner in partners:
            linear, offset = pixel_transfer(view.camera, partner.camera)
            moved = pixels @ torch.from_numpy(linear.T).float()
            moved = moved + torch.from_numpy(offset * plane).float()
            at = moved[..., :2] / moved[..., 2:]
            grid = (2 * at + 1) / torch.tensor([width, height]) - 1
            other = functional.grid_sample(
                torch.from_numpy(partner.grey)[None, None], grid[None], align_corners=False
            )
            other_mean = mean(other)
            other_variance = mean(other * other) - other_mean**2
            covariance = mean(own * other) - own_mean * other_mean
            scores.append(covariance / ((own_variance + 2) * (other_variance + 2)).sqrt())
        best = torch.stack(scores).topk((len(partners) + 1) // 2, dim=0).values
        costs.append(1 - best.mean(0))
    return torch.stack(costs)


def _cpu_s(work: Callable[[], object]) -> float:
    """Least CPU time of three runs after one that does not count."""
    work()
    times: list[float] = []
    for _ in range(3):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
