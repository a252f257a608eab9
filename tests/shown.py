"""A small finished scene with its store, for tests of report and viewer: the truth, exported."""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from tests.corner import corner_frames
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import CameraTrajectory
from worldloom.depth import CHECK, CheckResult
from worldloom.display import view_records
from worldloom.export import InputRecord, Manifest, ViewRecord, export_scene, software_versions
from worldloom.lattice import keys_from_cells
from worldloom.memory import FUSE_SHARD, FusedShard, GeometricMemory, write_fused
from worldloom.scene import (
    DepthRef,
    Frame,
    Mesh,
    PointCloud,
    ReconstructedScene,
    Splats,
    Texture,
    UnwrappedMesh,
)
from worldloom.stage import Failure, StageReport
from worldloom.store import artifact_key
from worldloom.surface import FUSE_CHUNK, ChunkFaces
from worldloom.synthetic import SceneSpec, build_scene

SPEC = SceneSpec(layout="corner", frames=4, width_px=96, height_px=72)
CELL_M = 0.05
VOXEL_M = 0.025
FAILURE = Failure("refine", "view 2 (corner/2)", "StoreError", "the disk is full", 1)


def put_view(bench: Bench, frame: Frame, depth: np.ndarray) -> CheckResult:
    """Puts a checked depth map into a store, its result not yet."""
    height, width = depth.shape
    key = artifact_key(CHECK.name, CHECK.version, (frame.view_id, width))
    known = depth > 0
    normal = np.zeros((*depth.shape, 3), np.float32)
    bench.write_arrays(
        key,
        "depth.npz",
        depth=depth.astype(np.float32),
        confidence=known.astype(np.float32),
        normal_in_world=normal,
    )
    low, median, high = np.percentile(depth[known], [1, 50, 99]).tolist()
    share = known.mean().item()
    return CheckResult(DepthRef(frame, key, width, height), share, low, median, high, 0.001)


def put_shard(bench: Bench, result: CheckResult, image: np.ndarray, cell_m: float) -> FusedShard:
    """Puts all that one view sees into a store as a fused shard, its result not yet."""
    depth_map = bench.depth_map(result.depth)
    memory = GeometricMemory.from_depth(depth_map, image, cell_m).fused([])
    first, end = int(memory.cells[0]), int(memory.cells[-1]) + 1
    key = artifact_key(FUSE_SHARD.name, FUSE_SHARD.version, (result.depth.frame.view_id, cell_m))
    bench.store.write(key, "fused.parquet", write_fused(memory))
    return FusedShard(first, end, key, cell_m, cells=len(memory), rows=len(memory))


def put_chunks(bench: Bench) -> None:
    """Puts two chunks of 2 x 2 x 2 blocks side by side along x into a store."""
    for number in range(2):
        blocks = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        keys = np.sort(keys_from_cells(blocks + np.array([2 * number, 0, 0])))
        key = artifact_key(FUSE_CHUNK.name, FUSE_CHUNK.version, number)
        bench.write_arrays(key, "faces.npz", block_keys=keys)
        bench.store.commit(key, ChunkFaces(number, key, 0, 0, number, number))


def show_folder(folder: Path, splats: Splats | None = None, **changes: Any) -> ReconstructedScene:
    """Writes a scene folder with its store.

    Args:
        folder: Where to.
        splats: Gaussians of the scene.
        **changes: Fields of the manifest that differ from the usual ones.
    """
    bench = Bench(BenchConfig(str(folder.resolve() / "artifacts")))
    frames, depths = corner_frames(bench, SPEC)
    results = [put_view(bench, frame, depth) for frame, depth in zip(frames, depths, strict=True)]
    for result in results:
        bench.store.commit(result.depth.artifact, result)
    image = bench.image(frames[0], SPEC.width_px, SPEC.height_px)
    shard = put_shard(bench, results[0], image, CELL_M)
    bench.store.commit(shard.artifact, shard)
    put_chunks(bench)
    scene = dataclasses.replace(shown_scene(frames), splats=splats)
    manifest = dataclasses.replace(
        _manifest(frames, [result.depth for result in results]), **changes
    )
    preview = np.tile(image, (2, 2, 1))
    written = export_scene(scene, folder, manifest, preview)
    return dataclasses.replace(scene, metadata=_plain(written))


def shown_scene(frames: list[Frame]) -> ReconstructedScene:
    """The truth as a scene."""
    mesh = build_scene(SPEC).mesh
    assert mesh.colors is not None
    count = len(mesh.vertices_in_world)
    cloud = PointCloud(
        mesh.vertices_in_world,
        np.zeros((count, 3), np.float32),
        mesh.colors,
        np.ones(count, np.float32),
        np.full(count, 2, np.int32),
    )
    cameras = CameraTrajectory(
        tuple(frame.camera for frame in frames),
        tuple(frame.view_id for frame in frames),
        tuple(frame.name for frame in frames),
    )
    return ReconstructedScene(mesh, cloud, cameras)


def textured(scene: ReconstructedScene, pages: int = 2) -> ReconstructedScene:
    """The scene with an atlas: every face has a triangle of the colours of its corners."""
    mesh = scene.mesh
    assert mesh.colors is not None
    faces = mesh.faces[: len(mesh.faces) // 2 * 2]
    side = int(np.ceil(np.sqrt(len(faces) / pages)))
    number = np.arange(len(faces))
    page = (number % pages).astype(np.int32)
    cell = number // pages
    corner = np.stack([cell % side, cell // side], axis=-1) / side
    inset = np.array([[0.1, 0.1], [0.8, 0.1], [0.1, 0.8]]) / side
    uv = (corner[:, None] + inset).astype(np.float32)
    images: list[np.ndarray] = []
    for k in range(pages):
        small = np.zeros((side, side, 3), np.uint8)
        chosen = page == k
        mean = mesh.colors[faces[chosen]].mean(axis=1)
        small[side - 1 - cell[chosen] // side, cell[chosen] % side] = mean
        images.append(cv2.resize(small, (4 * side, 4 * side), interpolation=cv2.INTER_NEAREST))
    covered = tuple(np.ones(image.shape[:2], bool) for image in images)
    return dataclasses.replace(
        scene,
        unwrapped=UnwrappedMesh(Mesh(mesh.vertices_in_world, faces, mesh.colors), uv, page),
        textures={"albedo": Texture("albedo", tuple(images), covered)},
    )


def _manifest(frames: list[Frame], depth: list[DepthRef]) -> Manifest:
    views = [
        {
            "view_id": frame.view_id,
            "name": frame.name,
            "near": 1.0,
            "far": 6.5,
            "residual_px": 0.25 * frame.view_id,
            "reprojection_residual_px": None,
            "partners": [other.view_id for other in frames if other is not frame],
            "angles_deg": [],
            "kept_share": 0.5 + 0.1 * frame.view_id,
            "learned": None,
            "gain_rgb": [1.0, 1.1, 0.9],
            "correction": None,
        }
        for frame in frames
    ]
    return Manifest(
        parameters={"method": "mvs", "resolution": 96, "sweep": {"window_px": 7}},
        views=tuple(
            ViewRecord(f.view_id, f.name, f.trajectory, f.index, SPEC.width_px, SPEC.height_px)
            for f in frames
        ),
        inputs=(InputRecord("/home/someone/corner.mp4", "corner", None, 4, 4),),
        timings=(StageReport("depth", 12.5, 4, 1, 0), StageReport("refine", 61.0, 4, 0, 0)),
        metrics={"completeness": 0.75, "input_psnr_db": 27.5, "holdout_ssim": None},
        evidence={
            "voxel_m": VOXEL_M,
            "cloud_spacing_m": CELL_M,
            "models": [],
            "views": views,
            "stored_views": view_records(depth),
        },
        software=software_versions(),
        created="2025-01-02T03:04:05+00:00",
    )


def _plain(manifest: Manifest) -> dict[str, Any]:
    return msgspec.to_builtins(manifest)


def surface_splats(mesh: Mesh) -> Splats:
    """Round Gaussians on the vertices of a mesh, in their colours, without a direction."""
    assert mesh.colors is not None
    count = len(mesh.vertices_in_world)
    base = (mesh.colors.astype(np.float32) / 255 - 0.5) / np.float32(0.28209479)
    return Splats(
        mesh.vertices_in_world.astype(np.float32),
        np.full((count, 3), 0.08, np.float32),
        np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        np.full(count, 0.9, np.float32),
        base[:, None],
    )
