"""The way up in a world that does not say which it is."""

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import CameraTrajectory

_SNAP_COSINE = np.cos(np.radians(25.0))
_LEVEL_SHARE = 0.2


def up_in_world(cameras: CameraTrajectory) -> Float64[np.ndarray, "3"]:
    """Returns the upward direction that the cameras suggest, of length 1.

    People hold cameras level: the mean of their upward axes, and the axis of the world next to it
    where that is within 25 degrees, since worlds have their axes along the walls.

    Args:
        cameras: At least one; where they look every way up, the y axis of OpenCV decides (-y).
    """
    mean = -cameras.world_from_cams[:, :3, 1].mean(axis=0)
    length = float(np.linalg.norm(mean))
    if not length > _LEVEL_SHARE:
        return np.array([0.0, -1.0, 0.0])
    mean /= length
    axis = int(np.abs(mean).argmax())
    if abs(mean[axis]) < _SNAP_COSINE:
        return mean
    up = np.zeros(3)
    up[axis] = np.sign(mean[axis])
    return up
