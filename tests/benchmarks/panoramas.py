"""What panoramas give and cost, by `worldloom panorama`.

usage: python -m tests.benchmarks.panoramas several --panoramas 4 --height 256 --resolution 160
       python -m tests.benchmarks.panoramas depth --height 1024 --resolution 320
       python -m tests.benchmarks.panoramas worldstereo DATA/worldstereo/subway --every 4

`several`: panoramas of the synthetic room, from an ellipse of 0.9 x 0.8 m; F-score at 2, 5
and 10 cm. `depth`: one panorama of the room with its exact depth; how well the mesh shows its
views. `worldstereo`: a recorded scene without a truth; its metrics, and how much of the sphere the
mesh covers, seen from where the crops of the panorama are. With CPU and wall seconds and the
memory of the process; one JSON object. A folder that holds a finished scene already takes no time.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.benchmarks.process import watch
from worldloom.export import load_scene
from worldloom.metrics import ScoreSettings, score_against_mesh
from worldloom.panorama import pixel_rays
from worldloom.render import RayCaster
from worldloom.scene import ReconstructedScene
from worldloom.synthetic import SceneSpec, build_scene, render_panorama

UPRIGHT = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Panorama axes (y down) in the world of the synthetic room (y up)."""
LIMITS_M = (0.02, 0.05, 0.1)
_SPHERE_PX = 256


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("several", "depth", "worldstereo"))
    parser.add_argument("scene", type=Path, nargs="?", help="of worldstereo")
    parser.add_argument("--panoramas", type=int, default=4)
    parser.add_argument("--height", type=int, default=256, help="of a panorama, pixels")
    parser.add_argument("--sampling", default="cube")
    parser.add_argument("--resolution", type=int, default=640)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/panoramas"))
    options = parser.parse_args()
    out = options.out / "scene"
    inputs = ["--resolution", str(options.resolution), "--out", str(out)]
    if options.kind == "worldstereo":
        inputs += [str(options.scene), "--every", str(options.every)]
    else:
        inputs += _rendered(options, options.out / "input")
    usage = watch(
        [sys.executable, "-m", "cluster", "panorama", *inputs, "--workers", str(options.workers)]
    )
    if usage.returncode:
        sys.exit(f"worldloom panorama ended with {usage.returncode}")
    scene = load_scene(out)
    row: dict[str, Any] = {
        "wall_s": round(usage.wall_s, 1),
        "cpu_s": round(usage.cpu_s, 1),
        "peak_mib": round(usage.peak_process_mib),
        "views": len(scene.cameras),
        "faces": len(scene.mesh.faces),
        "points": len(scene.point_cloud.points_in_world),
        "metrics": scene.metadata["metrics"],
        "sphere_covered": _covered(scene),
        "report_mib": round((out / "report.html").stat().st_size / 2**20, 1),
    }
    if options.kind == "several":
        row["fscore"] = _scores(scene)
    print(json.dumps(row, indent=1, default=str))


def _rendered(options: argparse.Namespace, folder: Path) -> list[str]:
    """Writes panoramas of the room; returns how the command takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    room = build_scene(SceneSpec(frames=1, supersampling=2))
    count = options.panoramas if options.kind == "several" else 1
    frames = []
    for number in range(count):
        angle, turn = 2 * np.pi * number / count, np.radians(70.0 * number)
        spin = np.eye(4)
        spin[:3, :3] = cv2.Rodrigues(np.array([0.0, turn, 0.0]))[0]
        pose = UPRIGHT @ spin
        pose[:3, 3] = (0.9 * np.cos(angle), 1.45 + 0.1 * (number % 2), 0.8 * np.sin(angle))
        rendered = render_panorama(room, pose, options.height)
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / name), cv2.cvtColor(rendered.image, cv2.COLOR_RGB2BGR))
        matrix = (pose @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist()
        frames.append({"file_path": name, "transform_matrix": matrix})
        np.save(folder / "depth.npy", rendered.distance)
    poses = {"camera_model": "EQUIRECTANGULAR", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(poses))
    if options.kind == "depth":
        return [str(folder / "000.png"), "--depth", str(folder / "depth.npy")]
    return [str(folder), "--sampling", options.sampling]


def _scores(scene: ReconstructedScene) -> dict[str, float]:
    truth = build_scene(SceneSpec(frames=1)).mesh
    return {
        f"{limit} m": round(
            score_against_mesh(
                scene.mesh, truth, scene.cameras.cameras, ScoreSettings((limit,), 0.03, 0.2)
            ).fscore,
            3,
        )
        for limit in LIMITS_M
    }


def _covered(scene: ReconstructedScene) -> float:
    """Share of the sphere that shows the mesh, from the place at which most cameras stand."""
    centres = np.round(scene.cameras.centres_in_world, 6)
    places, counts = np.unique(centres, axis=0, return_counts=True)
    origin = places[counts.argmax()]
    rays = pixel_rays(2 * _SPHERE_PX, _SPHERE_PX)
    weight = np.sqrt(1 - rays[..., 1] ** 2).ravel()
    caster = RayCaster(scene.mesh.vertices_in_world - origin, scene.mesh.faces)
    flat = rays.reshape(-1, 3)
    hit = caster.cast(np.zeros_like(flat), flat).face >= 0
    return round(float((hit * weight).sum() / weight.sum()), 4)


if __name__ == "__main__":
    main()
