"""Which way is up: in the world of the input, and in the file that is written."""

import logging
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float64

from worldloom.cameras import CameraTrajectory
from worldloom.errors import ConfigError

logger = logging.getLogger(__name__)

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
Up = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
Axes = Literal["format", "world", "y-up", "z-up"]
_CLEAR = 0.5
_AXES: dict[str, Axis] = {axis: axis for axis in get_args(Axis)}


@dataclass(frozen=True, eq=False)
class Placement:
    """How the world of the input lies in a file."""

    turn: Float64[np.ndarray, "3 3"]
    """Rotation `file_from_world`; the unit matrix where the world is kept."""
    up: Literal["y", "z"] = "y"
    """The axis of the file that points up, where the format can say so."""
    unit_m: float = 1.0
    """Length of the unit of the world, metres."""

    @property
    def is_turned(self) -> bool:
        """True where the file has other axes than the world."""
        return not np.array_equal(self.turn, np.eye(3))

    def turned(self, vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Returns vectors of the world in the axes of the file, in the type that they have."""
        if not self.is_turned:
            return vectors
        return (vectors @ self.turn.T).astype(vectors.dtype, copy=False)


def placement(
    cameras: CameraTrajectory,
    up: str,
    axes: str,
    convention: Literal["y", "declared", "world"],
    unit_m: float = 1.0,
) -> Placement:
    """Decides how the world of a scene is laid into a file.

    Args:
        cameras: Cameras of the scene, from which `auto` finds what is up.
        up: Axis of the world that points up.
        axes: `format` follows the convention of the format, `world` keeps the axes of the world,
            `y-up` and `z-up` turn the world so that this axis points up.
        convention: What the format's readers expect: `y`: +y is up; `declared`: y or z, and the
            file says which; `world`: nothing, so that the world is kept.
        unit_m: Length of the unit of the world, metres.

    Raises:
        ConfigError: there is no such axis, or the unit is no length.
    """
    found = up_axis(cameras) if up == "auto" else _AXES.get(up)
    if found is None and up != "auto":
        raise ConfigError(f"up is {up!r}; give one of {', '.join(get_args(Up))}", field="up")
    if axes not in get_args(Axes):
        raise ConfigError(
            f"axes is {axes!r}; give one of {', '.join(get_args(Axes))}", field="axes"
        )
    if not 0 < unit_m < np.inf:
        raise ConfigError(
            f"unit_m is {unit_m}; give the length of the unit in metres, 1 or another above 0",
            field="unit_m",
        )
    declared: Literal["y", "z"] = "z" if found == "z" else "y"
    if axes == "world" or (axes == "format" and convention == "world"):
        return Placement(np.eye(3), declared, unit_m)
    if axes == "format":
        target: Literal["y", "z"] = declared if convention == "declared" else "y"
    else:
        target = "y" if axes == "y-up" else "z"
    return Placement(np.eye(3) if found is None else turn(found, target), target, unit_m)


def up_axis(cameras: CameraTrajectory) -> Axis | None:
    """Returns the axis of the world that points up, as those who held the cameras saw it.

    People and robots hold cameras upright, so the mean of what is up in the images is up in the
    world; it is snapped to the nearest axis.

    Args:
        cameras: OpenCV axes: -y of a camera is up in its image.

    Returns:
        The axis; None where the cameras do not agree (the mean is shorter than 0.5 along every
        axis), with a warning.
    """
    mean = -np.mean([camera.world_from_cam[:3, 1] for camera in cameras], axis=0)
    index = int(np.argmax(np.abs(mean)))
    if abs(mean[index]) < _CLEAR:
        logger.warning(
            "the cameras do not tell which way is up, so the axes of the world are kept; give up="
        )
        return None
    axes: tuple[Axis, ...] = ("x", "y", "z") if mean[index] > 0 else ("-x", "-y", "-z")
    return axes[index]


def turn(up: Axis, to: Literal["y", "z"]) -> Float64[np.ndarray, "3 3"]:
    """Returns the rotation by quarter turns about one axis that brings `up` to +`to`."""
    direction, target = _unit(up), _unit(to)
    axis = np.cross(direction, target)
    if not axis.any():
        # Along the same line: nothing to do, or half a turn about x.
        return np.eye(3) if direction @ target > 0 else np.diag([1.0, -1.0, -1.0])
    cross = np.array(
        [[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]], np.float64
    )
    # Rodrigues' formula at a right angle.
    return np.eye(3) + cross + cross @ cross


def _unit(axis: Axis) -> Float64[np.ndarray, "3"]:
    unit = np.zeros(3)
    unit["xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return unit
