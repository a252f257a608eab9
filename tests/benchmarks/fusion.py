"""The same depth maps fused by us and by Open3D's VoxelBlockGrid, scored by the same judge.

usage: python -m tests.benchmarks.fusion DATA/atrium/traj0 --every 2 --judge evaluate.py

Reconstructs the scene once, then fuses its depth maps with the voxel and the truncation of that
reconstruction: with ours (planning, fusion, marching cubes, merge), and with VoxelBlockGrid on the
confirmed depth (fusion and marching cubes; each view enters once, colours left out). Each fusion
runs in a process of its own. Prints one JSON line each: CPU-seconds, largest resident memory beyond
what the process held before, faces, F-scores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tests.stage_run import StageRun
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.export import write_mesh
from worldloom.ingest import IngestLimits, ingest, open_sources
from worldloom.inline import InlineRunner
from worldloom.memory import CONTRIBUTE, contribute_work
from worldloom.merge import load_mesh, merge_chunks
from worldloom.pipeline import reconstruct
from worldloom.reconstruction import Reconstruction
from worldloom.scene import DepthMap, DepthRef, Frame, Mesh
from worldloom.stage import execute
from worldloom.surface import FUSE_CHUNK, plan_chunks
from worldloom.texture import TextureConfig

Fusion = Callable[[Bench, Sequence[DepthRef], float, float], Mesh]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--store", type=Path, help="keep the artifacts here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = str((options.store or Path(folder)).resolve())
        made = _reconstructed(options.scene, options.every, root)
        for name, fuse in (("worldloom", _ours), ("VoxelBlockGrid", _voxel_block_grid)):
            mesh_file = Path(folder) / f"{name}.ply"
            row = _measured(fuse, root, made, mesh_file)
            print(json.dumps({"fusion": name, **row, **_scores(options, mesh_file)}), flush=True)


def _reconstructed(scene: Path, every: int, root: str) -> Reconstruction:
    runner = InlineRunner(BenchConfig(root, 1024), 2)
    frames = ingest(
        open_sources([scene], [], limits=IngestLimits(), missing_images="skip"),
        runner.bench.store,
        every=every,
        limits=IngestLimits(),
        on_progress=lambda _: None,
        workers=2,
    )
    config = ReconstructionConfig(texture=TextureConfig(textures=False))
    return reconstruct(frames, config, runner, runner.bench, lambda _: None)


def _measured(fuse: Fusion, root: str, made: Reconstruction, out: Path) -> dict[str, object]:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (fuse, root, made.depth, made.voxel_m, made.truncation_m, out))


def _run(
    fuse: Fusion,
    root: str,
    depth: Sequence[DepthRef],
    voxel_m: float,
    truncation_m: float,
    out: Path,
) -> dict[str, object]:
    bench = Bench(BenchConfig(root, 1024))
    for ref in depth:
        bench.depth_map(ref)  # both start with the maps in memory
    fuse(bench, depth[:2], voxel_m, truncation_m)  # compiled, imported, allocated
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = _peak_mib(), time.process_time()
    mesh = fuse(bench, depth, voxel_m, truncation_m)
    cpu_s = time.process_time() - start
    write_mesh(mesh, out)
    return {
        "cpu_s": round(cpu_s, 1),
        "more_mib": round(_peak_mib() - before),
        "faces": len(mesh.faces),
    }


class _FreshBench(Bench):
    """Reads depth and images from another bench; its own store knows nothing finished."""

    def __init__(self, folder: str, source: Bench) -> None:
        super().__init__(BenchConfig(folder, 1024))
        self._source = source

    def depth_map(self, ref: DepthRef) -> DepthMap:
        return self._source.depth_map(ref)

    def image(self, frame: Frame, width_px: int, height_px: int) -> np.ndarray:
        return self._source.image(frame, width_px, height_px)


def _ours(bench: Bench, depth: Sequence[DepthRef], voxel_m: float, truncation_m: float) -> Mesh:
    config = ReconstructionConfig()
    with tempfile.TemporaryDirectory() as folder:
        fresh = _FreshBench(folder, bench)
        margin = truncation_m / 2 / voxel_m
        contributions = [
            execute(
                CONTRIBUTE,
                fresh,
                contribute_work(ref, config.memory, 4 * voxel_m, voxel_m, margin),
            ).value
            for ref in depth
        ]
        written = [item for item in contributions if item is not None]
        refs = {ref.frame.view_id: ref for ref in depth}
        works = plan_chunks(fresh, written, refs, voxel_m, truncation_m, config.surface)
        chunks = [execute(FUSE_CHUNK, fresh, work).value for work in works]
        whole = [chunk for chunk in chunks if chunk is not None]
        faces = config.surface.min_component_faces
        merged = merge_chunks(StageRun(fresh), fresh, whole, (), voxel_m, faces)
        return load_mesh(fresh, merged.mesh)


def _voxel_block_grid(
    bench: Bench, depth: Sequence[DepthRef], voxel_m: float, truncation_m: float
) -> Mesh:
    import open3d as o3d

    core = o3d.core
    config = ReconstructionConfig().surface
    grid = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(core.float32, core.float32),
        attr_channels=((1), (1)),
        voxel_size=voxel_m,
        block_resolution=16,
        block_count=20_000,
        device=core.Device("CPU:0"),
    )
    for ref in depth:
        kept = bench.depth_map(ref).trusted(config.min_confidence)
        # Open3D puts the centre of the top-left pixel at (0, 0).
        matrix = kept.camera.pixel_from_cam.copy()
        matrix[:2, 2] -= 0.5
        image = o3d.t.geometry.Image(np.ascontiguousarray(kept.depth))
        intrinsic, extrinsic = core.Tensor(matrix), core.Tensor(kept.camera.cam_from_world)
        far_m = float(kept.depth.max()) + truncation_m
        multiple = truncation_m / voxel_m
        blocks = grid.compute_unique_block_coordinates(
            image, intrinsic, extrinsic, 1.0, far_m, multiple
        )
        grid.integrate(blocks, image, intrinsic, extrinsic, 1.0, far_m, multiple)
    # A sample counts where its weight, one a view, is above the threshold.
    threshold = config.views_needed(len(depth)) - 0.5
    found = grid.extract_triangle_mesh(weight_threshold=threshold)
    return Mesh(
        found.vertex.positions.numpy().astype(np.float64),
        found.triangle.indices.numpy().astype(np.int32),
    )


def _peak_mib() -> float:
    """Largest resident memory of this process; `getrusage` starts with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _scores(options: argparse.Namespace, mesh_file: Path) -> dict[str, float]:
    verdict = subprocess.run(
        [sys.executable, str(options.judge), str(mesh_file), str(options.scene)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(verdict.stdout)
    return {f"fscore_{key}": found[key]["fscore"] for key in ("0.02m", "0.05m", "0.1m")}


if __name__ == "__main__":
    main()
