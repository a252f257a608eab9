"""Reconstructs one video in this process and on Ray, and compares every byte."""

import argparse
import hashlib
from functools import partial
from pathlib import Path

from cluster.ray_runner import RayRunner
from worldloom import InlineRunner, ReconstructionConfig, reconstruct_files
from worldloom.synthetic import SceneSpec, build_scene, write_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/same"))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    source = options.out / "input"
    spec = SceneSpec(layout="corner", frames=options.frames, width_px=128, height_px=96)
    write_scene(build_scene(spec), source)
    runners = {
        "inline": partial(InlineRunner, workers=options.workers),
        "ray": partial(RayRunner, workers=options.workers),
    }
    digests: dict[str, str] = {}
    for name, runner in runners.items():
        folder = options.out / name
        reconstruct_files(
            [source / "video.mp4"],
            folder,
            ReconstructionConfig(resolution=options.resolution),
            trajectories=[source / "camera.json"],
            runner=runner,
        )
        content = b"".join((folder / file).read_bytes() for file in ("mesh.ply", "point_cloud.ply"))
        digests[name] = hashlib.sha256(content).hexdigest()
        print(f"{name:6} {digests[name]}")
    if len(set(digests.values())) != 1:
        raise SystemExit("the results differ")
    print("the same bytes")


if __name__ == "__main__":
    main()
