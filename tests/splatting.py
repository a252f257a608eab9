"""A handful of Gaussians, and a slow, plain reference that renders them in torch."""

from dataclasses import replace

import cv2
import numpy as np
import torch

from tests.analytic import SphereInBox, colors_of
from tests.stored import made, store_depth
from worldloom.bench import Bench
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.memory import (
    CONTRIBUTE,
    FUSE_SHARD,
    MemoryConfig,
    contribute_work,
    plan_shards,
    points_from_depth,
)
from worldloom.response import ViewExposure
from worldloom.scene import DepthMap, DepthRef, Splats
from worldloom.splat import (
    TRAIN,
    SplatConfig,
    SplatRenderer,
    TrainedChunk,
    TrainWork,
    continued,
    neighbours,
    validation_places,
)
from worldloom.splat._rasterizer import Scene
from worldloom.surface import SurfaceConfig, plan_chunks

VOXEL_M, CELL_M = 0.04, 0.08


def some_camera(width: int = 44, height: int = 36) -> Camera:
    turn = np.eye(4)
    angle = 0.2
    turn[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    turn[:3, 3] = (0.3, -0.1, -0.2)
    return Camera(CameraIntrinsics(40.0, 42.0, 21.3, 17.6, width, height), turn)


def some_scene(n: int = 400, degree: int = 3, seed: int = 0, most_m: float = 0.5) -> Scene:
    """Gaussians of all shapes in front of `some_camera`, some beside it and some behind it."""
    rng = np.random.default_rng(seed)
    means = rng.uniform([-2.5, -2, -0.5], [3, 2, 5], (n, 3))
    return Scene(
        means.astype(np.float32),
        rng.normal(size=(n, 4)).astype(np.float32),
        np.exp(rng.uniform(np.log(0.05), np.log(most_m), (n, 3))).astype(np.float32),
        rng.uniform(0.02, 1.0, n).astype(np.float32),
        rng.normal(0, 0.3, (n, (degree + 1) ** 2, 3)).astype(np.float32),
    )


def blended(
    xy: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    order: torch.Tensor,
    width: int,
    height: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every Gaussian at every pixel, front to back: features [h w c] and alpha [h w]."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=xy.dtype) + 0.5,
        torch.arange(width, dtype=xy.dtype) + 0.5,
        indexing="ij",
    )
    light = torch.ones(height, width, dtype=xy.dtype)
    open_ = torch.ones(height, width, dtype=torch.bool)
    total = torch.zeros(height, width, features.shape[1], dtype=xy.dtype)
    for n in order.tolist():
        dx, dy = x - xy[n, 0], y - xy[n, 1]
        a, b, c = conics[n]
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = torch.clamp_max(opacities[n] * torch.exp(-sigma), 0.999)
        seen = open_ & (alpha >= 1 / 255)
        after = light * (1 - alpha)
        open_ = open_ & ~(seen & (after <= 1e-4))
        seen = seen & open_
        total = total + torch.where(seen, alpha * light, 0.0)[..., None] * features[n]
        light = torch.where(seen, after, light)
    return total, 1 - light


def store_room(bench: Bench, cameras: list[Camera], lost_px: int = 0) -> list[DepthRef]:
    """Views of the sphere in its box, with exact depth, but for what is near its outline."""
    maps = [SphereInBox().depth_map(i, camera) for i, camera in enumerate(cameras)]
    kept = [without_outlines(depth_map, lost_px) for depth_map in maps]
    return [store_depth(bench, depth_map, room_image(depth_map.camera)) for depth_map in kept]


def without_outlines(depth_map: DepthMap, lost_px: int) -> DepthMap:
    """Depth that is not known within some pixels of a step in it, as where views do not agree."""
    depth = depth_map.depth
    window = np.ones((2 * lost_px + 1, 2 * lost_px + 1), np.uint8)
    step = cv2.dilate(depth, np.ones((3, 3))) > 1.2 * depth
    known = cv2.dilate(step.astype(np.uint8), window) == 0 if lost_px else np.ones_like(step)
    return replace(depth_map, depth=np.where(known, depth, 0), confidence=known.astype(np.float32))


def in_rounds(bench: Bench, works: list[TrainWork], rounds: int = 2) -> list[TrainedChunk]:
    """Chunks of one scene, trained as the driver has it done."""
    beside = neighbours([work.chunk for work in works], works[0].config.halo_blocks)
    latest: dict[int, TrainedChunk] = {}
    for number in range(1, rounds + 1):
        until = works[0].config.steps * number // rounds
        ready = [continued(w, near, latest, until) for w, near in zip(works, beside, strict=True)]
        latest = {work.chunk.chunk_id: made(TRAIN, bench, work) for work in ready}
    return list(latest.values())


def room_image(camera: Camera) -> np.ndarray:
    """What a camera sees of the room, with edges as soft as pixels make them."""
    lens = camera.intrinsics
    fine = camera.resized(4 * lens.width_px, 4 * lens.height_px)
    depth_map = SphereInBox().depth_map(0, fine)
    points = points_from_depth(depth_map).points_in_world
    # Stripes finer than the seeds, so that there is something to learn.
    stripes = np.prod(np.sin(points * (19.0, 23.0, 17.0) + 1), axis=1)
    shade = (0.75 + 0.5 * stripes).reshape(*depth_map.depth.shape, 1)
    colors = np.clip(colors_of(depth_map) * shade, 0, 255).astype(np.uint8)
    return cv2.resize(colors, (lens.width_px, lens.height_px), interpolation=cv2.INTER_AREA)


def train_works(
    bench: Bench,
    refs: list[DepthRef],
    config: SplatConfig,
    *,
    chunk_blocks: int = 10_000,
    cell_m: float = CELL_M,
    exposures: tuple[ViewExposure | None, ...] | None = None,
) -> list[TrainWork]:
    """The chunks to be trained from views of a room."""
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, cell_m, VOXEL_M, 4.0)) for ref in refs
    ]
    shards = tuple(made(FUSE_SHARD, bench, work) for work in plan_shards(contributions, memory))
    plan = plan_chunks(
        *(bench, contributions, {ref.frame.view_id: ref for ref in refs}, VOXEL_M, 3 * VOXEL_M),
        SurfaceConfig(chunk_blocks=chunk_blocks),
    )
    by_id = {ref.frame.view_id: ref for ref in refs}
    views = sorted({view for work in plan for view in work.chunk.views})
    validation = tuple(views[place] for place in validation_places(len(views), config))
    return [
        TrainWork(
            work.chunk,
            len(plan) == 1,
            VOXEL_M,
            tuple(by_id[view] for view in work.chunk.views),
            exposures or (None,) * len(work.chunk.views),
            shards,
            1,
            None,
            "cpu",
            config,
            validation,
            config.steps,
        )
        for work in plan
    ]


def psnr_db(splats: Splats, camera: Camera, mask: np.ndarray | None = None) -> float:
    """Of splats in a view of the room that nothing was made from."""
    truth = room_image(camera).astype(np.float64)
    square = (SplatRenderer(splats, 1).render(camera).image - truth) ** 2
    return float(10 * np.log10(255**2 / square[mask if mask is not None else slice(None)].mean()))
