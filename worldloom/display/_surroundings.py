"""Where a scene lies, and from where to look at it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import CameraTrajectory
from worldloom.display._upright import up_in_world
from worldloom.scene import Mesh

_OVERVIEW_ELEVATION_DEG = 38.0
_BOX_PERCENTILES = (2, 98)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Where a scene lies and from where to look at all of it."""

    up: Float64[np.ndarray, "3"]
    centre: Float64[np.ndarray, "3"]
    """Middle of the box that holds nearly all of it, world."""
    radius: float
    """Half the diagonal of that box, world unit; above 0."""
    outwards: Float64[np.ndarray, "3"]
    """Unit direction from the middle to a place above and outside, world."""


def surroundings(mesh: Mesh, cameras: CameraTrajectory) -> Surroundings:
    """Returns the surroundings of a mesh; a few faces far away do not count."""
    up = up_in_world(cameras)
    finite = mesh.vertices_in_world[np.isfinite(mesh.vertices_in_world).all(axis=1)]
    if not len(finite):
        finite = cameras.centres_in_world
    low, high = np.percentile(finite, _BOX_PERCENTILES, axis=0)
    centre = (low + high) / 2
    radius = float(np.linalg.norm(high - low)) / 2 or 1.0
    middle = cameras[len(cameras) // 2]
    back = -middle.forward_in_world + middle.forward_in_world.dot(up) * up
    length = float(np.linalg.norm(back))
    level = back / length if length > 1e-6 else _across(up)
    angle = np.radians(_OVERVIEW_ELEVATION_DEG)
    return Surroundings(up, centre, radius, np.cos(angle) * level + np.sin(angle) * up)


def _across(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    across = np.cross(up, np.eye(3)[int(np.abs(up).argmin())])
    return across / np.linalg.norm(across)
