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
    return widened(keys_from_cells(blocks), halo_blocks)


def widened(keys: Int64[np.ndarray, "n"], blocks: int) -> Int64[np.ndarray, "m"]:
    """Returns the keys of blocks and of those within `blocks` of them, ascending."""
    cells = cells_from_keys(keys)
    reach = np.arange(-blocks, blocks + 1)
    steps = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    found = np.empty(0, np.int64)
    for step in steps:
        found = np.union1d(found, keys_from_cells(cells + step))
    return found


def blocks_at(
    points_in_world: Float64[np.ndarray, "n 3"], voxel_m: float
) -> Int64[np.ndarray, "n"]:
    """Returns the keys of the blocks that points lie in."""
    blocks = np.floor(points_in_world / (BLOCK_VOXELS * voxel_m)).astype(np.int64)
    return keys_from_cells(blocks)


def in_region(
    points_in_world: Float64[np.ndarray, "n 3"], keys: Int64[np.ndarray, "k"], voxel_m: float
) -> Bool[np.ndarray, "n"]:
    """Returns which points lie in blocks of a region."""
    return np.isin(blocks_at(points_in_world, voxel_m), keys)


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


def neighbours(chunks: Sequence[Chunk], halo_blocks: int) -> list[list[Chunk]]:
    """Returns for each chunk those that share a view with it, or whose halos may meet its own.

    Itself is among them; in the order of `chunks`.
    """
    views = sorted({view for chunk in chunks for view in chunk.views})
    sees = np.array([np.isin(views, chunk.views) for chunk in chunks], np.float32)
    blocks = [np.array(chunk.blocks, np.int64).reshape(-1, 3) for chunk in chunks]
    lower = np.array([part.min(axis=0) for part in blocks]) - halo_blocks
    upper = np.array([part.max(axis=0) for part in blocks]) + halo_blocks
    apart = (lower[:, None] > upper[None] + 1) | (lower[None] > upper[:, None] + 1)
    related = (sees @ sees.T > 0) | ~apart.any(axis=2)
    return [[chunks[other] for other in np.flatnonzero(row).tolist()] for row in related]
