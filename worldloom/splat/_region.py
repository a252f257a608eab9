"""Regions: which Gaussians and which pixels are the business of a chunk."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from scipy.spatial import KDTree

from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.memory import BLOCK_VOXELS
from worldloom.scene import Chunk, DepthMap


def region_keys(chunk: Chunk, halo_blocks: int) -> Int64[np.ndarray, "n"]:
    """Returns the keys of the blocks within `halo_blocks` of those of a chunk, ascending."""
    blocks = np.array(chunk.blocks, np.int64).reshape(-1, 3)
    reach = np.arange(-halo_blocks, halo_blocks + 1)
    steps = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    keys = np.empty(0, np.int64)
    for step in steps:
        keys = np.union1d(keys, keys_from_cells(blocks + step))
    return keys


def in_region(
    points_in_world: Float64[np.ndarray, "n 3"], keys: Int64[np.ndarray, "k"], voxel_m: float
) -> Bool[np.ndarray, "n"]:
    """Returns which points lie in blocks of a region."""
    blocks = np.floor(points_in_world / (BLOCK_VOXELS * voxel_m)).astype(np.int64)
    return np.isin(keys_from_cells(blocks), keys)


def pixels_in_region(
    depth_map: DepthMap, keys: Int64[np.ndarray, "k"], voxel_m: float
) -> Bool[np.ndarray, "h w"]:
    """Returns which pixels show something in a region; those without depth do not count."""
    camera, depth = depth_map.camera, depth_map.depth
    known = depth > 0
    y, x = np.nonzero(known)
    rays = (
        np.stack([x + 0.5, y + 0.5, np.ones(len(x))], axis=1)
        @ np.linalg.inv(camera.pixel_from_cam).T
    )
    points = rays * depth[known][:, None] @ camera.world_from_cam[:3, :3].T
    inside = np.zeros(depth.shape, bool)
    inside[known] = in_region(points + camera.centre_in_world, keys, voxel_m)
    return inside


def owners(
    points_in_world: Float64[np.ndarray, "n 3"], chunks: Sequence[Chunk], voxel_m: float
) -> Int32[np.ndarray, "n"]:
    """Returns the position in `chunks` of the owner of each point: whose block is the nearest.

    Every point of space has exactly one owner, also far from all blocks.
    """
    centres = [np.array(chunk.blocks, np.float64).reshape(-1, 3) + 0.5 for chunk in chunks]
    numbers = np.repeat(np.arange(len(chunks), dtype=np.int32), [len(part) for part in centres])
    tree = KDTree(np.concatenate(centres))
    _, nearest = tree.query(points_in_world / (BLOCK_VOXELS * voxel_m), p=np.inf)
    return numbers[nearest]


def blocks_of(keys: Int64[np.ndarray, "n"]) -> tuple[tuple[int, int, int], ...]:
    """Returns the coordinates of blocks, sorted."""
    return tuple((x, y, z) for x, y, z in sorted(cells_from_keys(keys).tolist()))
