"""A scene that no worker holds: four halls of 400 frames each, in one world.

usage: python -m tests.benchmarks.halls [--width 240] [--frames 400] [--out DIR]

Renders four furnished rooms side by side, each with a clip of its own, and reconstructs them as one
scene on local Ray: in chunks of bounded size, then, on the same store, in one chunk. Prints the
chunks, the largest process of each run, the seams, and F-scores against the true surface.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.process import Usage, watch
from worldloom.cameras import Camera, load_trajectory, save_trajectory
from worldloom.export import load_scene
from worldloom.metrics import ScoreSettings, score_against_mesh
from worldloom.scene import Mesh
from worldloom.synthetic import SceneSpec, build_scene, write_scene

CAMERA_FILE = "camera.json"
HALLS = 4
PITCH_M = 8.0
"""Distance from hall to hall along x; each is 7 m long."""
ONE_CHUNK = 1_000_000
_JUDGED_EVERY = 20
_SETTINGS = ScoreSettings(thresholds=(0.05, 0.02, 0.10), voxel=0.02, margin=0.10)


@dataclass(frozen=True)
class Halls:
    """The input, and the truth."""

    folders: tuple[Path, ...]
    truth: Mesh
    cameras: tuple[Camera, ...]
    """Some of the cameras, by which the truth is judged."""


def build(folder: Path, frames: int, width_px: int) -> Halls:
    """Renders the clips, where they are not there yet, and puts their cameras into one world."""
    folders: list[Path] = []
    meshes: list[Mesh] = []
    cameras: list[Camera] = []
    for hall in range(HALLS):
        spec = SceneSpec(
            path="laps",
            frames=frames,
            frames_per_lap=min(frames, 200),
            width_px=width_px,
            height_px=width_px * 3 // 4,
            supersampling=1,
            seed=hall,
        )
        scene = build_scene(spec)
        target = folder / f"hall{hall}"
        offset = np.array([PITCH_M * hall, 0.0, 0.0])
        moved = replace(
            scene.trajectory,
            cameras=tuple(_moved(camera, offset) for camera in scene.trajectory.cameras),
        )
        if not (target / "done").exists():
            write_scene(scene, target, every_depth=frames)
            save_trajectory(moved, target / CAMERA_FILE)
            (target / "done").touch()
        folders.append(target)
        meshes.append(replace(scene.mesh, vertices_in_world=scene.mesh.vertices_in_world + offset))
        cameras += load_trajectory(target / CAMERA_FILE).cameras[::_JUDGED_EVERY]
    return Halls(tuple(folders), _joined(meshes), tuple(cameras))


def _moved(camera: Camera, offset: np.ndarray) -> Camera:
    world_from_cam = camera.world_from_cam.copy()
    world_from_cam[:3, 3] += offset
    return replace(camera, world_from_cam=world_from_cam)


def _joined(meshes: Sequence[Mesh]) -> Mesh:
    counts = np.cumsum([0, *(len(mesh.vertices_in_world) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices_in_world for mesh in meshes]),
        np.concatenate(
            [mesh.faces + np.int32(first) for mesh, first in zip(meshes, counts, strict=False)]
        ),
    )


def reconstruct(halls: Halls, out: Path, width_px: int, chunk_blocks: int) -> Usage:
    """Reconstructs the halls as one scene; finished work of an earlier run is found."""
    command = [sys.executable, "-m", "cluster", "reconstruct"]
    command += [str(folder / "video.mp4") for folder in halls.folders]
    command += ["--trajectory", *(str(folder / CAMERA_FILE) for folder in halls.folders)]
    command += ["--out", str(out), "--store", str((out.parent / "artifacts").resolve())]
    command += ["--resolution", str(width_px), "--runner", "ray", "--workers", "2"]
    command += ["--surface.chunk-blocks", str(chunk_blocks), "--no-textures", "--no-report"]
    usage = watch(command)
    if usage.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {usage.returncode}")
    return usage


def told(halls: Halls, out: Path, usage: Usage) -> dict[str, Any]:
    """Returns what is known of a run."""
    manifest = json.loads((out / "scene.json").read_text())
    seams = manifest["evidence"]["seams"]
    voxel_m = manifest["evidence"]["voxel_m"]
    chunks = {stage["stage"]: stage["items"] for stage in manifest["timings"]}
    score = score_against_mesh(load_scene(out).mesh, halls.truth, halls.cameras, _SETTINGS)
    return {
        "chunks": chunks["fuse-chunk"],
        "views": len(manifest["views"]),
        "wall_s": round(usage.wall_s),
        "cpu_s": round(usage.cpu_s),
        "peak_process_mib": round(usage.peak_process_mib),
        "peak_process": usage.peak_process,
        "voxel_m": round(voxel_m, 4),
        "seams": len(seams),
        "widest_gap_voxels": max((seam["gap_m"] / voxel_m for seam in seams), default=0.0),
        "color_step": max((seam["color_step"] for seam in seams), default=0),
        "one_sided_share": sum(seam["one_sided_vertices"] for seam in seams)
        / max(1, sum(seam["shared_vertices"] for seam in seams)),
        "fscore": {f"{100 * at.threshold:.0f} cm": round(at.fscore, 4) for at in score.at},
        "mesh": hashlib.sha256((out / "mesh.ply").read_bytes()).hexdigest()[:16],
    }


def main() -> int:
    """Measures and prints; 1 where the two meshes differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--frames", type=int, default=400, help="of each hall")
    parser.add_argument("--chunk-blocks", type=int, default=768)
    parser.add_argument("--out", type=Path, help="keep input, scenes and artifacts here")
    options = parser.parse_args()
    meshes: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="worldloom-halls-") as name:
        root = options.out or Path(name)
        halls = build(root / "input", options.frames, options.width)
        for case, blocks in (("chunks", options.chunk_blocks), ("one chunk", ONE_CHUNK)):
            out = root / case.replace(" ", "-")
            usage = reconstruct(halls, out, options.width, blocks)
            found = told(halls, out, usage)
            meshes.add(found["mesh"])
            print(json.dumps({"case": case} | found), flush=True)
    return 0 if len(meshes) == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
