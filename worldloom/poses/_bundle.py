"""What an adjustment is about: poses, points, the features that show them, and prior belief."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial.transform import Rotation

from worldloom.poses._kernels import errors_px


@dataclass(frozen=True, eq=False)
class Observations:
    """Features that show the same points, sorted by point and view."""

    view: Int64[np.ndarray, "o"]
    point: Int64[np.ndarray, "o"]
    """Dense from 0."""
    pixel: Float64[np.ndarray, "o 2"]

    @property
    def start(self) -> Int64[np.ndarray, "s"]:
        """First observation of each point, and the number of observations."""
        count = int(self.point[-1]) + 1 if len(self.point) else 0
        return np.searchsorted(self.point, np.arange(count + 1)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Bundle:
    """Poses and points of an adjustment."""

    rotation: Float64[np.ndarray, "v 3 3"]
    """Camera from world."""
    centre: Float64[np.ndarray, "v 3"]
    """World."""
    lens: Float64[np.ndarray, "v 4"]
    """fx, fy, cx, cy, in the pixels of the observations."""
    points: Float64[np.ndarray, "p 3"]
    """World."""

    def errors_px(self, seen: Observations) -> Float64[np.ndarray, "o"]:
        """Returns reprojection errors; infinite where a point is behind its camera."""
        return errors_px(
            self.rotation, self.centre, self.lens, self.points, seen.view, seen.point, seen.pixel
        )


@dataclass(frozen=True, eq=False)
class Belief:
    """Poses believed beforehand, and how firmly: a normal distribution about each."""

    rotation: Float64[np.ndarray, "v 3 3"]
    """Camera from world."""
    centre: Float64[np.ndarray, "v 3"]
    rotation_sigma: float
    """About each axis, radians."""
    centre_sigma: float
    """Along each axis, world unit."""
    feature_px: float
    """Deviation of a feature, which the other two are weighed against."""

    @property
    def precision(self) -> Float64[np.ndarray, "6"]:
        """Weights of turn and move beside an error of one pixel."""
        turn, move = self.feature_px / self.rotation_sigma, self.feature_px / self.centre_sigma
        return np.repeat([turn**2, move**2], 3)

    def departure(self, bundle: Bundle) -> Float64[np.ndarray, "v 6"]:
        """Returns the turn (camera) and the move (world) of each view away from the belief."""
        turn = bundle.rotation @ self.rotation.transpose(0, 2, 1)
        return np.hstack([Rotation.from_matrix(turn).as_rotvec(), bundle.centre - self.centre])
