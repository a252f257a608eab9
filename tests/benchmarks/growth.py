"""Time and memory over the length of a video.

usage: python -m tests.benchmarks.growth [--frames 250 1000] [--runner inline|ray] [--workers 2]

Makes synthetic videos of 160x120 with cameras, reconstructs each by the command line, and prints
the wall time, the ratio of times over the ratio of frames, and the largest process.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.process import Usage, watch
from worldloom.synthetic import SceneSpec, build_scene, write_scene


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--runner", choices=("inline", "ray"), default="ray")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    taken: dict[int, Usage] = {}
    with tempfile.TemporaryDirectory() as folder:
        for frames in sorted(options.frames):
            taken[frames] = _reconstruct(Path(folder), frames, options.runner, options.workers)
            usage = taken[frames]
            print(
                f"{frames} frames: {usage.wall_s:.1f} s, {usage.cpu_s:.1f} CPU-s, largest process "
                f"{usage.peak_process_mib:.0f} MiB ({usage.peak_process})",
                flush=True,
            )
    least, most = min(taken), max(taken)
    if least != most:
        ratio = (taken[most].wall_s / taken[least].wall_s) / (most / least)
        print(f"time ratio / frame ratio from {least} to {most}: {ratio:.2f}")


def _reconstruct(folder: Path, frames: int, runner: str, workers: int) -> Usage:
    spec = SceneSpec(path="laps", frames=frames, width_px=160, height_px=120, supersampling=1)
    source = folder / f"input{frames}"
    write_scene(build_scene(spec), source, every_depth=frames)
    command = [sys.executable, "-m", "cluster", "reconstruct", str(source / "video.mp4")]
    command += ["--trajectory", str(source / "camera.json"), "--out", str(folder / f"out{frames}")]
    command += ["--runner", runner, "--workers", str(workers), "--json"]
    usage = watch(command)
    if usage.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {usage.returncode}")
    return usage


if __name__ == "__main__":
    main()
