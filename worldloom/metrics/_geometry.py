"""Precision, recall and F-score of a geometry against measured depth or a true mesh.

After Knapitsch et al., "Tanks and Temples", 2017, section 5, with one difference: a predicted point
counts only where some view can judge it, so unseen space neither helps nor hurts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.spatial import KDTree

from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.metrics._sampling import surface_points, thinned
from worldloom.render import MeshRenderer
from worldloom.scene import Mesh, PointCloud

_NEAREST = 1e-6


@dataclass(frozen=True)
class ScoreSettings:
    """How two geometries are compared; lengths in the world unit."""

    thresholds: tuple[float, ...]
    """Distances that count as agreement, the one that matters most first."""
    voxel: float
    """Spacing of compared points; smaller is finer and slower."""
    margin: float
    """A predicted point this far behind the measured surface is still judged; farther: unseen."""
    stride: int = 2
    """Every n-th pixel of a depth map becomes a true point."""

    def __post_init__(self) -> None:
        lengths = (*self.thresholds, self.voxel, self.margin)
        if not self.thresholds or not all(0 < value < np.inf for value in lengths):
            raise ConfigError(
                f"thresholds, voxel and margin must be positive lengths: {self}", field="thresholds"
            )
        if self.stride < 1:
            raise ConfigError(f"stride must be at least 1: {self.stride}", field="stride")

    @classmethod
    def of_diagonal(cls, diagonal: float) -> "ScoreSettings":
        """Returns settings for a scene of a size: agreement at 1 %, 0.5 % and 2 % of the diagonal.

        Args:
            diagonal: Diagonal of the bounding box of the truth, see `truth_diagonal`.
        """
        return cls(
            thresholds=(0.01 * diagonal, 0.005 * diagonal, 0.02 * diagonal),
            voxel=0.0025 * diagonal,
            margin=0.02 * diagonal,
        )


@dataclass(frozen=True)
class ThresholdScore:
    """Agreement within one distance."""

    threshold: float
    precision: float
    """Share of judged predicted points with a true point within the distance."""
    recall: float
    """Share of true points with a judged predicted point within the distance."""

    @property
    def fscore(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True)
class GeometryScore:
    """Agreement of a geometry with the truth."""

    at: tuple[ThresholdScore, ...]
    """One a threshold, in the order of the settings."""
    accuracy_mean: float | None
    """Mean distance from a predicted to the nearest true point; None where none is judged."""
    accuracy_median: float | None
    completeness_mean: float | None
    """Mean distance from a true to the nearest predicted point; None where none is judged."""
    completeness_median: float | None
    judged_points: int
    truth_points: int

    @property
    def precision(self) -> float:
        """Precision at the first threshold."""
        return self.at[0].precision

    @property
    def recall(self) -> float:
        """Recall at the first threshold."""
        return self.at[0].recall

    @property
    def fscore(self) -> float:
        """F-score at the first threshold."""
        return self.at[0].fscore


def score_against_depth(
    prediction: Mesh | PointCloud,
    cameras: Sequence[Camera],
    depths: Sequence[Float32[np.ndarray, "_ _"]],
    settings: ScoreSettings | None = None,
) -> GeometryScore:
    """Scores a geometry against true depth maps of the same world.

    Args:
        prediction: Mesh, sampled by area, or cloud.
        cameras: Cameras at the size of the depth maps.
        depths: True depth along +z, world unit; 0 = unknown.
        settings: Distances; None for those of `ScoreSettings.of_diagonal` of this truth.

    Raises:
        ConfigError: no depth is known, or the numbers of cameras and depth maps differ.
    """
    if settings is None:
        settings = ScoreSettings.of_diagonal(truth_diagonal(cameras, depths))
    truth = thinned(_truth_points(cameras, depths, settings.stride), settings.voxel)
    points = surface_points(prediction, settings.voxel)
    judged = visible(points, cameras, depths, settings.margin)
    return _score(points[judged], truth, settings)


def score_against_mesh(
    prediction: Mesh | PointCloud,
    truth: Mesh,
    cameras: Sequence[Camera] = (),
    settings: ScoreSettings | None = None,
) -> GeometryScore:
    """Scores a geometry against a true mesh.

    Args:
        prediction: Mesh, sampled by area, or cloud.
        truth: True surface.
        cameras: Views; where given, only what they see of the truth is asked for, and only
            predicted points that they can judge count. Without them everything counts.
        settings: Distances; None for those of the diagonal of the true mesh.

    Raises:
        ConfigError: the truth has no faces, or none that a camera sees.
    """
    if not len(truth.faces):
        raise ConfigError("the true mesh has no faces; nothing can be scored", field="truth")
    if settings is None:
        used = truth.vertices_in_world[np.unique(truth.faces)]
        settings = ScoreSettings.of_diagonal(float(np.linalg.norm(np.ptp(used, axis=0))))
    wanted = surface_points(truth, settings.voxel)
    points = surface_points(prediction, settings.voxel)
    if cameras:
        renderer = MeshRenderer(truth)
        depths = [renderer.depth(camera) for camera in cameras]
        wanted = wanted[visible(wanted, cameras, depths, settings.voxel)]
        points = points[visible(points, cameras, depths, settings.margin)]
    if not len(wanted):
        raise ConfigError("no camera sees the true mesh; nothing can be scored", field="cameras")
    return _score(points, wanted, settings)


def truth_diagonal(
    cameras: Sequence[Camera], depths: Sequence[Float32[np.ndarray, "_ _"]]
) -> float:
    """Returns the diagonal of the axis-aligned box around all true depth, world unit.

    Raises:
        ConfigError: no depth is known, or the numbers of cameras and depth maps differ.
    """
    points = _truth_points(cameras, depths, stride=2)
    return float(np.linalg.norm(np.ptp(points, axis=0)))


def visible(
    points_in_world: Float64[np.ndarray, "n 3"],
    cameras: Iterable[Camera],
    depths: Iterable[Float32[np.ndarray, "_ _"]],
    margin: float,
) -> Bool[np.ndarray, "n"]:
    """Returns which points some view sees: in front of its depth, or at most `margin` behind.

    Args:
        points_in_world: Points.
        cameras: Cameras at the size of the depth maps.
        depths: Depth along +z; 0 = unknown, which sees nothing.
        margin: World unit.
    """
    seen = np.zeros(len(points_in_world), bool)
    for camera, depth in zip(cameras, depths, strict=True):
        pixels, z = camera.project(points_in_world)
        height, width = depth.shape
        inside = (z > _NEAREST) & (pixels >= 0).all(axis=1) & (pixels < (width, height)).all(axis=1)
        column, row = pixels[inside].astype(np.int64).T
        measured = depth[row, column]
        seen[inside] |= (measured > 0) & (z[inside] < measured + margin)
    return seen


def _truth_points(
    cameras: Sequence[Camera], depths: Sequence[Float32[np.ndarray, "_ _"]], stride: int
) -> Float64[np.ndarray, "n 3"]:
    if len(cameras) != len(depths):
        raise ConfigError(
            f"{len(cameras)} cameras but {len(depths)} depth maps; give one of each a view",
            field="depths",
        )
    parts: list[np.ndarray] = []
    for camera, depth in zip(cameras, depths, strict=True):
        row, column = np.nonzero(depth[::stride, ::stride] > 0)
        row, column = row * stride, column * stride
        parts.append(camera.unproject(np.stack([column, row], axis=-1) + 0.5, depth[row, column]))
    points = np.concatenate(parts) if parts else np.zeros((0, 3))
    if not len(points):
        raise ConfigError("no depth is known in any view; nothing can be scored", field="depths")
    return points


def _score(
    points: Float64[np.ndarray, "n 3"], truth: Float64[np.ndarray, "m 3"], settings: ScoreSettings
) -> GeometryScore:
    if not len(points):
        nothing = tuple(ThresholdScore(value, 0.0, 0.0) for value in settings.thresholds)
        return GeometryScore(nothing, None, None, None, None, 0, len(truth))
    to_truth = KDTree(truth).query(points, workers=-1)[0]
    to_points = KDTree(points).query(truth, workers=-1)[0]
    return GeometryScore(
        at=tuple(
            ThresholdScore(
                value, float((to_truth < value).mean()), float((to_points < value).mean())
            )
            for value in settings.thresholds
        ),
        accuracy_mean=float(to_truth.mean()),
        accuracy_median=float(np.median(to_truth)),
        completeness_mean=float(to_points.mean()),
        completeness_median=float(np.median(to_points)),
        judged_points=len(points),
        truth_points=len(truth),
    )
