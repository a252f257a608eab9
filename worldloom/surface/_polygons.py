"""Marching cubes on the blocks of a volume."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from worldloom.lattice import cells_from_keys, key_from_cell
from worldloom.memory import BLOCK_VOXELS
from worldloom.surface._cases import CORNERS, cube_cases
from worldloom.surface._kernels import SAMPLES
from worldloom.surface._volume import Volume

_CLOSEST = 1.0 / 1024
"""Vertices keep this distance, in voxels, from the samples, so that no face degenerates."""


@dataclass(frozen=True, eq=False)
class BlockMesh:
    """Faces of some blocks, block after block; blocks that touch repeat their shared vertices.

    A vertex lies on an edge of the lattice, between a sample and the next one along an axis. Its
    key and position are the same in every block that has it.
    """

    edge_keys: Int64[np.ndarray, "v"]
    """4 times the Morton key of the lower sample, plus the axis of the edge."""
    shares: Float32[np.ndarray, "v"]
    """Position on the edge, between 0 and 1."""
    vertex_counts: Int64[np.ndarray, "n"]
    """Vertices of each block."""
    faces: Int32[np.ndarray, "f 3"]
    face_counts: Int64[np.ndarray, "n"]
    """Faces of each block."""


def vertices_in_world(
    edge_keys: Int64[np.ndarray, "v"], shares: Float32[np.ndarray, "v"], voxel_m: float
) -> Float64[np.ndarray, "v 3"]:
    """Returns the positions of vertices."""
    points = cells_from_keys(edge_keys >> 2).astype(np.float64)
    points[np.arange(len(points)), edge_keys & 3] += shares
    return points * voxel_m


def polygons(volume: Volume, min_views: int) -> BlockMesh:
    """Extracts the zero level of a volume.

    Args:
        volume: All views integrated.
        min_views: Cubes are drawn where every sample is near the surface of some view, and on
            average of at least this many. (Samples behind a curved surface are seen by fewer
            views than those before it; to ask for `min_views` at each one tears holes.)
    """
    cases = cube_cases()
    return BlockMesh(
        *_extract(
            cells_from_keys(volume.block_keys) * BLOCK_VOXELS,
            volume.distances,
            volume.weights,
            volume.seen,
            min_views,
            cases.faces,
            cases.edge_origins,
            cases.edge_axes,
        )
    )


@numba.njit(cache=True, nogil=True)
def _grown(array: np.ndarray, used: int, more: int) -> np.ndarray:
    if used + more <= len(array):
        return array
    larger = np.empty(2 * (used + more), array.dtype)
    larger[:used] = array[:used]
    return larger


@numba.njit(cache=True, nogil=True)
def _inside_mask(
    distances: np.ndarray, weights: np.ndarray, seen: np.ndarray, i: int, j: int, k: int, views: int
) -> int:
    """Bit mask of the corners behind the surface; 0 where a corner or the whole is not known."""
    mask, total = 0, 0
    for corner in range(8):
        x, y, z = i + CORNERS[corner, 0], j + CORNERS[corner, 1], k + CORNERS[corner, 2]
        if seen[x, y, z] == 0 or weights[x, y, z] <= 0.0:
            return 0
        total += seen[x, y, z]
        if distances[x, y, z] < 0.0:
            mask |= 1 << corner
    return mask if total >= 8 * views else 0


@numba.njit(cache=True, nogil=True)
def _crossing(first: float, first_weight: float, second: float, second_weight: float) -> float:
    low, high = np.float64(first) / first_weight, np.float64(second) / second_weight
    return min(max(low / (low - high), _CLOSEST), 1.0 - _CLOSEST)


@numba.njit(cache=True, nogil=True)
def _extract(
    origins: np.ndarray,
    distances: np.ndarray,
    weights: np.ndarray,
    seen: np.ndarray,
    min_views: int,
    cases: np.ndarray,
    edge_origins: np.ndarray,
    edge_axes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    keys, shares = np.empty(4096, np.int64), np.empty(4096, np.float32)
    corners = np.empty(3 * 4096, np.int32)
    vertex_counts = np.zeros(len(origins), np.int64)
    face_counts = np.zeros(len(origins), np.int64)
    vertices = used = 0
    indices = np.empty((SAMPLES, SAMPLES, SAMPLES, 3), np.int32)
    for block in range(len(origins)):
        values, sums, views = distances[block], weights[block], seen[block]
        if values.min() >= 0.0:
            continue
        indices[:] = -1
        first_vertex, first_corner = vertices, used
        for i in range(BLOCK_VOXELS):
            for j in range(BLOCK_VOXELS):
                for k in range(BLOCK_VOXELS):
                    mask = _inside_mask(values, sums, views, i, j, k, min_views)
                    if mask == 0 or mask == 255:
                        continue
                    keys = _grown(keys, vertices, 12)
                    shares = _grown(shares, vertices, 12)
                    corners = _grown(corners, used, 15)
                    for edge in cases[mask]:
                        if edge < 0:
                            break
                        x, y, z = i + edge_origins[edge, 0], j + edge_origins[edge, 1], 0
                        z = k + edge_origins[edge, 2]
                        axis = edge_axes[edge]
                        if indices[x, y, z, axis] < 0:
                            indices[x, y, z, axis] = vertices
                            sample = key_from_cell(
                                origins[block, 0] + x, origins[block, 1] + y, origins[block, 2] + z
                            )
                            keys[vertices] = (sample << 2) | axis
                            end = (x + (axis == 0), y + (axis == 1), z + (axis == 2))
                            shares[vertices] = _crossing(
                                values[x, y, z], sums[x, y, z], values[end], sums[end]
                            )
                            vertices += 1
                        corners[used] = indices[x, y, z, axis]
                        used += 1
        vertex_counts[block] = vertices - first_vertex
        face_counts[block] = (used - first_corner) // 3
    faces = corners[:used].copy().reshape(-1, 3)
    return keys[:vertices].copy(), shares[:vertices].copy(), vertex_counts, faces, face_counts
