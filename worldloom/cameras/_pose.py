"""The pose of a camera, in whichever form its author knows the rotation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Num

from worldloom.cameras._origin import Origin
from worldloom.cameras._rotation import (
    EulerDeg,
    euler_from_matrix,
    matrix_from_euler,
    matrix_from_quaternion,
    proper_rotation,
    quaternion_from_matrix,
)

Number: TypeAlias = float | int
RotationLike: TypeAlias = (
    EulerDeg
    | Mapping[str, Number]
    | Num[np.ndarray, "..."]
    | Sequence[Number]
    | Sequence[Sequence[Number]]
)
"""Euler angles in degrees, a quaternion (w, x, y, z), or a 3x3 matrix."""


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Position and rotation of a camera in the world; OpenCV axes, `world_from_cam`.

    Whatever form the rotation comes in, `rotation_matrix`, `quaternion_wxyz` and `euler_deg` give
    it back in each of them. Euler angles mean `Ry(yaw) @ Rx(pitch) @ Rz(roll)` about the axes of
    the camera (+x right, +y down, +z forward): positive yaw looks right, positive pitch looks up,
    positive roll turns the camera clockwise for its operator. With zero angles its axes are those
    of the world.

    Raises:
        TrajectoryError: the position or the rotation is not finite, or the rotation is none.
    """

    position: Num[np.ndarray, "..."] | Sequence[Number]
    """Centre of projection in the world, 3 numbers, world unit."""
    rotation: RotationLike = (1.0, 0.0, 0.0, 0.0)
    """Rotation `world_from_cam`: unit quaternion (w, x, y, z); `EulerDeg` or a mapping with roll,
    pitch and yaw, degrees; or 3x3 matrix."""
    frame_index: int = 0
    """Frame number in the source."""
    fov_deg: Number | None = None
    """Horizontal field of view, degrees; None leaves it to the intrinsics."""

    def __post_init__(self) -> None:
        origin = Origin("camera pose", self.frame_index)
        position = _numbers(self.position, "position", origin)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise origin.error(
                f"the position must be 3 finite numbers, got {position.tolist()}; "
                "remove the frame or estimate its pose again"
            )
        if self.frame_index < 0:
            raise origin.error("frame numbers start at 0; count from there")
        if self.fov_deg is not None and not 0 < self.fov_deg < 180:
            raise origin.error(f"the field of view must be within 0 and 180°, got {self.fov_deg}")
        matrix = _matrix_from(self.rotation, origin)
        position.setflags(write=False)
        matrix.setflags(write=False)
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "rotation", matrix)

    @classmethod
    def from_matrix(
        cls,
        world_from_cam: Float64[np.ndarray, "4 4"],
        frame_index: int = 0,
        fov_deg: Number | None = None,
    ) -> "CameraPose":
        """Returns the pose of a rigid 4x4 transform from camera to world."""
        return cls(world_from_cam[:3, 3], world_from_cam[:3, :3], frame_index, fov_deg)

    @property
    def position_in_world(self) -> Float64[np.ndarray, "3"]:
        """Centre of projection, world unit."""
        return np.asarray(self.position, np.float64)

    @property
    def rotation_matrix(self) -> Float64[np.ndarray, "3 3"]:
        """Rotation from camera to world."""
        return np.asarray(self.rotation, np.float64)

    @property
    def quaternion_wxyz(self) -> Float64[np.ndarray, "4"]:
        """Rotation from camera to world as a unit quaternion with w >= 0."""
        return quaternion_from_matrix(self.rotation_matrix)

    @property
    def euler_deg(self) -> EulerDeg:
        """Rotation from camera to world as Euler angles, degrees."""
        return euler_from_matrix(self.rotation_matrix)

    @property
    def world_from_cam(self) -> Float64[np.ndarray, "4 4"]:
        """Rigid transform from camera to world."""
        transform = np.eye(4)
        transform[:3, :3] = self.rotation_matrix
        transform[:3, 3] = self.position_in_world
        return transform


def _numbers(value: object, what: str, origin: Origin) -> Float64[np.ndarray, "..."]:
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise origin.error(f"the {what} must be numbers, got {value!r}") from error


def _matrix_from(rotation: RotationLike, origin: Origin) -> Float64[np.ndarray, "3 3"]:
    if isinstance(rotation, EulerDeg):
        return matrix_from_euler(rotation, origin)
    if isinstance(rotation, Mapping):
        return matrix_from_euler(_euler_from_mapping(rotation, origin), origin)
    array = _numbers(rotation, "rotation", origin)
    if array.shape == (4,):
        return matrix_from_quaternion(array, origin)
    if array.shape == (3, 3):
        return proper_rotation(array, origin)
    raise origin.error(
        f"a rotation of shape {array.shape} is ambiguous; give a quaternion (w, x, y, z), "
        "a 3x3 matrix, or Euler degrees by name: {roll, pitch, yaw}"
    )


def _euler_from_mapping(angles: Mapping[str, Number], origin: Origin) -> EulerDeg:
    if set(angles) != {"roll", "pitch", "yaw"}:
        raise origin.error(
            f"Euler angles need exactly roll, pitch and yaw (degrees), got {sorted(angles)}"
        )
    roll, pitch, yaw = (angles[name] for name in ("roll", "pitch", "yaw"))
    for angle in (roll, pitch, yaw):
        if isinstance(angle, str) or not math.isfinite(angle):
            raise origin.error(f"Euler angles must be finite numbers (degrees), got {angle!r}")
    return EulerDeg(float(roll), float(pitch), float(yaw))
