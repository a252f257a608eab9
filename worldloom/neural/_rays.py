"""Rays that learn: pixels that see the surface of a chunk, as their depth map says."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8

from worldloom.bench import Bench
from worldloom.render import RayCaster, camera_rays, face_normals
from worldloom.response import corrected
from worldloom.scene import DepthMap
from worldloom.surface import FuseChunkWork, Volume, polygons, vertices_in_world

_GRAZING = 0.15
"""Cosine of a ray with the surface below which it is left out."""


@dataclass(frozen=True, eq=False)
class RaySet:
    """Rays of many views; depths and distances in voxels, places as in `Seed`."""

    origin: Float32[np.ndarray, "v 3"]
    """Centre of projection of each view."""
    view: Int32[np.ndarray, "n"]
    """Which of the views."""
    direction: Float32[np.ndarray, "n 3"]
    """Length 1 along +z of the view, so that lengths are depths."""
    surface: Float32[np.ndarray, "n"]
    """Depth at which the ray meets the fused surface."""
    reach: Float32[np.ndarray, "n"]
    """How far before and behind that the ray is sampled."""
    color: UInt8[np.ndarray, "n 3"]
    """What the view shows there, sRGB, its exposure undone."""
    depth: Float32[np.ndarray, "n"]
    """Of the depth map."""
    confidence: Float32[np.ndarray, "n"]
    normal: Float32[np.ndarray, "n 3"]
    """Of the depth map, world; 0 = unknown."""

    def __len__(self) -> int:
        return len(self.view)

    def select(self, kept: np.ndarray) -> "RaySet":
        """Returns some of the rays."""
        return RaySet(
            self.origin,
            self.view[kept],
            self.direction[kept],
            self.surface[kept],
            self.reach[kept],
            self.color[kept],
            self.depth[kept],
            self.confidence[kept],
            self.normal[kept],
        )


def chunk_rays(
    bench: Bench,
    work: FuseChunkWork,
    volume: Volume,
    low: Int64[np.ndarray, "3"],
    image_scale: float,
    most: int,
) -> RaySet:
    """Returns the rays that meet the fused surface of a chunk where their depth map has it too.

    So pixels without data, and pixels that see something else before the chunk, say nothing.

    Args:
        bench: Where depth maps and images are.
        work: The chunk and its views.
        volume: Its blocks alone, all views integrated.
        low: Corner that places count from, voxels.
        image_scale: Side of the images relative to the depth maps.
        most: Rays at most; of more an even choice is taken.
    """
    mesh = polygons(volume, work.min_views)
    points = vertices_in_world(mesh.edge_keys, mesh.shares, work.voxel_m)
    middle = points.mean(axis=0) if len(points) else np.zeros(3)
    caster = RayCaster(points - middle, mesh.faces)
    normals = face_normals(points, mesh.faces)
    parts = [
        _of_view(bench, work, number, caster, middle, normals, image_scale)
        for number in range(len(work.views) if len(points) else 0)
    ]
    origins = [ref.camera.centre_in_world / work.voxel_m - low for ref in work.views]
    origin = np.array(origins, np.float32).reshape(-1, 3)
    if not parts:
        return RaySet(origin, *_nothing())
    joined = [np.concatenate([part[k] for part in parts]) for k in range(len(parts[0]))]
    rays = RaySet(origin, *joined)
    if len(rays) <= most:
        return rays
    return rays.select(np.linspace(0, len(rays) - 1, most).astype(np.int64))


def _of_view(
    bench: Bench,
    work: FuseChunkWork,
    number: int,
    caster: RayCaster,
    middle: np.ndarray,
    normals: np.ndarray,
    image_scale: float,
) -> tuple[np.ndarray, ...]:
    ref = work.views[number]
    longer = round(image_scale * max(ref.width_px, ref.height_px))
    width, height = ref.frame.size_within(longer)
    camera = ref.frame.camera.resized(width, height)
    directions = camera_rays(camera)
    origin = camera.centre_in_world - middle
    hits = caster.cast(np.broadcast_to(origin, directions.shape), directions)
    depth_map = bench.depth_map(ref).trusted(work.min_confidence)
    row, column = _nearest(depth_map, width, height)
    depth = depth_map.depth[row, column].reshape(-1)
    lengths = np.linalg.norm(directions, axis=1)
    cosine = np.abs((normals[np.maximum(hits.face, 0)] * directions).sum(axis=1)) / lengths
    close = np.abs(hits.distance - depth) * lengths * cosine < work.truncation_m
    kept = np.flatnonzero((hits.face >= 0) & (depth > 0) & close & (cosine > _GRAZING))
    image = bench.image(ref.frame, width, height)
    exposure = work.exposures[number]
    levels = image if exposure is None else np.clip(corrected(image, exposure), 0, 255)
    voxel = np.float32(work.voxel_m)
    reach = work.truncation_m / np.maximum(cosine, 0.3) / lengths
    return (
        np.full(len(kept), number, np.int32),
        directions[kept],
        hits.distance[kept] / voxel,
        (reach[kept] / voxel).astype(np.float32),
        np.rint(levels).astype(np.uint8).reshape(-1, 3)[kept],
        depth[kept] / voxel,
        depth_map.confidence[row, column].reshape(-1)[kept],
        depth_map.normal_in_world[row, column].reshape(-1, 3)[kept],
    )


def _nearest(depth_map: DepthMap, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a depth map under those of a larger image."""
    rows, columns = depth_map.depth.shape
    row = ((np.arange(height) + 0.5) * rows / height).astype(np.int64)
    column = ((np.arange(width) + 0.5) * columns / width).astype(np.int64)
    return np.broadcast_arrays(row[:, None], column[None, :])  # pyright: ignore[reportReturnType]


def _nothing() -> tuple[np.ndarray, ...]:
    none = np.zeros(0, np.float32)
    vectors = np.zeros((0, 3), np.float32)
    return (
        *(np.zeros(0, np.int32), vectors, none, none, np.zeros((0, 3), np.uint8)),
        *(none, none, vectors),
    )
