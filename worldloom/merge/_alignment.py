"""Chunks against the geometric memory: how far off each is, and where it belongs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from worldloom.bench import Bench
from worldloom.memory import FusedShard, load_memory
from worldloom.merge._config import AlignmentConfig
from worldloom.merge._pieces import PIECES_FILE, Pieces
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import vertices_in_world

_MIN_PAIRS = 200
"""Fewer pairs say nothing about a chunk."""
_REACH_VOXELS = 8.0
"""A vertex is compared with the memory no further away than this."""
_TUKEY = 4.685
"""Constant of the biweight for 95% efficiency at the normal distribution (Beaton and Tukey 1974)"""
_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Similarity:
    """A Sim3: `scale * rotation @ x + translation`."""

    scale: float
    rotation: tuple[float, float, float, float]
    """Unit quaternion, wxyz."""
    translation: tuple[float, float, float]

    def apply(self, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 3"]:
        """Returns moved points."""
        return self.scale * (points @ self.matrix().T) + np.array(self.translation)

    def matrix(self) -> Float64[np.ndarray, "3 3"]:
        """Returns the rotation as a matrix."""
        return np.asarray(Rotation.from_quat(self.rotation, scalar_first=True).as_matrix())


@dataclass(frozen=True)
class AlignWork:
    """A chunk, and the memory around it."""

    pieces: Pieces
    shards: tuple[FusedShard, ...]
    voxel_m: float
    """Side of a voxel, world unit."""
    config: AlignmentConfig

    @property
    def subject(self) -> str:
        """For people."""
        return f"chunk {self.pieces.chunk_id}"


@dataclass(frozen=True)
class ChunkAlignment:
    """How a chunk lies in the memory."""

    chunk_id: int
    pairs: int
    """Vertices compared with a cell of the memory."""
    residual_m: float | None
    """Median distance of vertices from the planes of their cells, world unit; None without
    enough pairs."""
    world_from_chunk: Similarity | None
    """How to move it; None: it stays."""
    aligned_residual_m: float | None
    """The same distance after the move; None where it stays."""


def _align(bench: Bench, _key: ArtifactKey, work: AlignWork) -> ChunkAlignment:
    arrays = bench.arrays(work.pieces.artifact, PIECES_FILE)
    step = max(1, -(-work.pieces.vertices // work.config.samples))
    points = vertices_in_world(arrays["edge_keys"][::step], arrays["shares"][::step], work.voxel_m)
    nothing = ChunkAlignment(work.pieces.chunk_id, 0, None, None, None)
    if not len(points) or not work.shards:
        return nothing
    reach_m = _REACH_VOXELS * work.voxel_m
    memory = load_memory(bench, work.shards)
    memory = memory.in_box(points.min(axis=0) - reach_m, points.max(axis=0) + reach_m)
    cloud = memory.cloud(2)
    known = np.asarray((cloud.normals_in_world != 0).any(axis=1))
    target = _Target(
        cloud.points_in_world[known], cloud.normals_in_world[known].astype(np.float64), reach_m
    )
    before = target.distances(points)
    if len(before) < _MIN_PAIRS:
        return nothing
    residual_m = float(np.median(np.abs(before)))
    stays = ChunkAlignment(work.pieces.chunk_id, len(before), residual_m, None, None)
    if not work.config.move or residual_m <= work.config.tolerance_voxels * work.voxel_m:
        return stays
    moved = align_points(points, target)
    after_m = float(np.median(np.abs(target.distances(moved.apply(points)))))
    if after_m > work.config.gain * residual_m:
        return stays
    return ChunkAlignment(work.pieces.chunk_id, len(before), residual_m, moved, after_m)


class _Target:
    """Planes of the memory, to be found by place."""

    def __init__(
        self,
        points: Float64[np.ndarray, "m 3"],
        normals: Float64[np.ndarray, "m 3"],
        reach_m: float,
    ) -> None:
        self._points, self._normals, self._reach_m = points, normals, reach_m
        self._tree = KDTree(points) if len(points) else None

    def pairs(self, points: Float64[np.ndarray, "n 3"]) -> tuple[np.ndarray, ...]:
        """Returns rows of points with a cell within reach, and places and normals of the cells."""
        if self._tree is None:
            return np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3))
        distance, nearest = self._tree.query(points, distance_upper_bound=self._reach_m)
        rows = np.flatnonzero(np.isfinite(distance))
        nearest = np.asarray(nearest)
        return rows, self._points[nearest[rows]], self._normals[nearest[rows]]

    def distances(self, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "k"]:
        """Returns signed distances of points from the planes of their nearest cells."""
        rows, places, normals = self.pairs(points)
        return ((points[rows] - places) * normals).sum(axis=1)


def align_points(
    points: Float64[np.ndarray, "n 3"], target: _Target, iterations: int = 20
) -> Similarity:
    """Finds the similarity that brings points onto the planes of a memory.

    Point-to-plane distances (Chen and Medioni 1992) with scale, by Gauss-Newton with Tukey's
    biweight. Directions that the planes do not hold (along a single wall) stay as they are.

    Args:
        points: Points of a chunk, world unit.
        target: The planes.
        iterations: At most.
    """
    centre = points.mean(axis=0)
    spread = float(np.linalg.norm(points - centre, axis=1).mean()) or 1.0
    scale, rotation, translation = 1.0, np.eye(3), centre.copy()
    for _ in range(iterations):
        local = (points - centre) @ rotation.T * scale
        rows, places, normals = target.pairs(local + translation)
        if len(rows) < _MIN_PAIRS:
            break
        arms = local[rows]
        residuals = ((arms + translation - places) * normals).sum(axis=1)
        sigma = _MAD * float(np.median(np.abs(residuals))) + 1e-12
        weights = np.clip(1 - (residuals / (_TUKEY * sigma)) ** 2, 0, None) ** 2
        turns = np.cross(arms, normals) / spread
        stretch = (arms * normals).sum(axis=1, keepdims=True) / spread
        jacobian = np.concatenate([turns, normals, stretch], axis=1)
        hessian = jacobian.T @ (jacobian * weights[:, None])
        gradient = jacobian.T @ (weights * residuals)
        values, vectors = np.linalg.eigh(hessian)
        held = values > 1e-3 * values[-1]
        step = -(vectors[:, held] / values[held]) @ (vectors[:, held].T @ gradient)
        rotation = Rotation.from_rotvec(step[:3] / spread).as_matrix() @ rotation
        translation = translation + step[3:6]
        scale *= 1 + float(step[6]) / spread
        if np.abs(step).max() < 1e-6 * spread:
            break
    w, x, y, z = Rotation.from_matrix(rotation).as_quat(scalar_first=True).tolist()
    shift = (translation - scale * rotation @ centre).tolist()
    return Similarity(scale, (w, x, y, z), (shift[0], shift[1], shift[2]))


def moved_points(
    points: Float64[np.ndarray, "n 3"],
    chunks: Int32[np.ndarray, "n"],
    transforms: Mapping[int, Similarity | None],
) -> Float64[np.ndarray, "n 3"]:
    """Returns points where their chunks were moved to."""
    moved = points.copy()
    for chunk in np.unique(chunks).tolist():
        transform = transforms[chunk]
        if transform is not None:
            rows = chunks == chunk
            moved[rows] = transform.apply(points[rows])
    return moved


ALIGN_CHUNK = Stage("align-chunk", 1, Role.MERGER, ChunkAlignment, _align)
"""Compares a chunk with the geometric memory, and finds where it belongs."""
