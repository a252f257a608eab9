"""Runs of a synthetic scene through the real pipeline, and the timelines that they leave."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from worldloom.synthetic import SceneSpec, build_scene, write_scene
from worldloom.timeline import TIMELINE_FILE, TimelineRecord, read_timeline

SPEC = SceneSpec(path="laps", frames=24, width_px=320, height_px=240)
RESOLUTION_PX = 320


@dataclass(frozen=True)
class SceneRun:
    """One run."""

    frames: int
    workers: int
    timeline: TimelineRecord
    again: TimelineRecord | None
    """Of a second run, which finds all work finished; None where there was none."""


def run_scene(folder: Path, frames: int, workers: int, *, again: bool = False) -> SceneRun:
    """Reconstructs a scene on local Ray, in a store of its own.

    Args:
        folder: For input and output, which are made anew.
        frames: Length of the video.
        workers: Ray workers of each role.
        again: Runs a second time too.
    """
    source = folder / f"input{frames}"
    if not source.exists():
        spec = SceneSpec(SPEC.layout, SPEC.path, frames, SPEC.width_px, SPEC.height_px)
        write_scene(build_scene(spec), source, every_depth=frames)
    out = folder / f"out{frames}-{workers}"
    command = [
        *(sys.executable, "-m", "cluster", "reconstruct", str(source / "video.mp4")),
        *("--trajectory", str(source / "camera.json"), "--out", str(out)),
        *("--resolution", str(RESOLUTION_PX), "--runner", "ray", "--workers", str(workers)),
    ]
    # Ray's driver has to be on one core's worth of threads too, or it takes part in the work.
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    shutil.rmtree(out, ignore_errors=True)
    timelines: list[TimelineRecord] = []
    for _ in range(1 + again):
        subprocess.run(command, env=env, check=True, capture_output=True)
        timelines.append(read_timeline(out / TIMELINE_FILE))
    return SceneRun(frames, workers, timelines[0], timelines[1] if again else None)
