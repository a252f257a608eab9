"""Rotations: 3x3 matrices, quaternions, Euler angles; and what is not a rotation.

Euler angles are those of a camera with OpenCV axes (+x right, +y down, +z forward):
`world_from_cam = Ry(yaw) @ Rx(pitch) @ Rz(roll)`, each about its axis by the right hand. A positive
yaw turns the view to the right, a positive pitch lifts it, a positive roll turns the camera
clockwise as its operator sees it.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from worldloom.cameras._origin import Origin

ROTATION_TOLERANCE = 5e-3
"""Largest entry of `R.T @ R - 1` (and of `|q| - 1`) taken for rounding, as of 3 decimals in a file;
what is left of it is removed by the nearest rotation."""

_EXACT = 1e-12


@dataclass(frozen=True)
class EulerDeg:
    """Euler angles of `world_from_cam`, degrees: `Ry(yaw) @ Rx(pitch) @ Rz(roll)`."""

    roll: float | int = 0.0
    """About the viewing axis, clockwise for the operator; -180 to 180."""
    pitch: float | int = 0.0
    """Up; -90 to 90."""
    yaw: float | int = 0.0
    """To the right; -180 to 180."""


def rotation_fault(matrix: Float64[np.ndarray, "3 3"]) -> str | None:
    """Returns why a matrix is no proper rotation, with the remedy; None for a rotation."""
    if not np.isfinite(matrix).all():
        return "the rotation is not finite; remove the frame or estimate its pose again"
    gram = matrix.T @ matrix
    determinant = float(np.linalg.det(matrix))
    if np.abs(gram - np.eye(3)).max() <= ROTATION_TOLERANCE:
        if determinant > 0:
            return None
        return (
            f"the rotation is a reflection (determinant {determinant:.3f}); the file mixes left- "
            "and right-handed axes: negate one axis of the camera or of the world"
        )
    scale = math.sqrt(float(np.trace(gram)) / 3)
    if scale > 0 and np.abs(gram / scale**2 - np.eye(3)).max() <= ROTATION_TOLERANCE:
        return (
            f"the rotation holds a scale of {scale:.6g}; divide the 3x3 part by it (and give the "
            "translation in world units)"
        )
    return (
        f"the 3x3 part is not a rotation (determinant {determinant:.4g}, R.T @ R differs from 1 by "
        f"{np.abs(gram - np.eye(3)).max():.3g}); check the layout and the convention of the file"
    )


def proper_rotation(
    matrix: Float64[np.ndarray, "3 3"], origin: Origin
) -> Float64[np.ndarray, "3 3"]:
    """Returns the rotation nearest to a matrix that is one but for rounding.

    Nearest in the Frobenius norm, by SVD (Schoenemann 1966); a matrix that is orthonormal to
    1e-12 is returned as it is.

    Raises:
        TrajectoryError: the matrix is no rotation; the message says what it looks like.
    """
    fault = rotation_fault(matrix)
    if fault is not None:
        raise origin.error(fault)
    if np.abs(matrix.T @ matrix - np.eye(3)).max() <= _EXACT:
        return matrix
    u, _, vt = np.linalg.svd(matrix)
    return u @ vt


def matrix_from_quaternion(
    quaternion_wxyz: Float64[np.ndarray, "4"], origin: Origin
) -> Float64[np.ndarray, "3 3"]:
    """Returns the rotation of a unit quaternion (w, x, y, z).

    Raises:
        TrajectoryError: the quaternion is not finite or its length is not 1.
    """
    if not np.isfinite(quaternion_wxyz).all():
        raise origin.error(
            f"quaternion {quaternion_wxyz.tolist()} is not finite; "
            "remove the frame or estimate its pose again"
        )
    # math.hypot neither overflows nor underflows, as the sum of squares of numpy's norm does.
    length = math.hypot(*quaternion_wxyz)
    if abs(length - 1) > ROTATION_TOLERANCE:
        raise origin.error(
            f"quaternion {quaternion_wxyz.tolist()} has length {length:.6g}, not 1; "
            "check the order of the columns, or normalise it"
        )
    rotation = Rotation.from_quat(quaternion_wxyz, scalar_first=True)
    return np.asarray(rotation.as_matrix(), np.float64)


def quaternion_from_matrix(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "4"]:
    """Returns the unit quaternion (w, x, y, z) of a rotation, with w >= 0."""
    rotation = Rotation.from_matrix(matrix)
    return np.asarray(rotation.as_quat(canonical=True, scalar_first=True), np.float64)


def matrix_from_euler(euler: EulerDeg, origin: Origin) -> Float64[np.ndarray, "3 3"]:
    """Returns `Ry(yaw) @ Rx(pitch) @ Rz(roll)`.

    Raises:
        TrajectoryError: an angle is not finite.
    """
    if not all(map(math.isfinite, (euler.roll, euler.pitch, euler.yaw))):
        raise origin.error(f"Euler angles are not finite: {euler}; give degrees")
    rotation = Rotation.from_euler("YXZ", [euler.yaw, euler.pitch, euler.roll], degrees=True)
    return np.asarray(rotation.as_matrix(), np.float64)


def euler_from_matrix(matrix: Float64[np.ndarray, "3 3"]) -> EulerDeg:
    """Returns the Euler angles of a rotation; looking straight up or down, all of it is roll.

    Yaw comes first and is undone before the others are read, so that the three reproduce the
    rotation to rounding however close to the pole it is.
    """
    on_the_pole = math.hypot(matrix[0, 2], matrix[2, 2]) < _EXACT
    yaw = 0.0 if on_the_pole else math.atan2(matrix[0, 2], matrix[2, 2])
    without_yaw = np.asarray(Rotation.from_euler("Y", -yaw).as_matrix()) @ matrix
    roll = math.atan2(-without_yaw[0, 1], without_yaw[0, 0])
    pitch = math.atan2(-without_yaw[1, 2], without_yaw[2, 2])
    return EulerDeg(math.degrees(roll), math.degrees(pitch), math.degrees(yaw))
