"""Poses between key poses."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline, Slerp

from worldloom.cameras._origin import Origin
from worldloom.cameras._pose import CameraPose

InterpolationMethod: TypeAlias = Literal["linear", "spline", "bezier"]

_ORIGIN = Origin("key poses")


def interpolate_poses(
    poses: Sequence[CameraPose],
    count: int | None = None,
    *,
    times: Sequence[float | int] | None = None,
    method: InterpolationMethod = "linear",
) -> tuple[CameraPose, ...]:
    """Returns poses on a path through key poses.

    Time runs in frames: a key pose is passed at its frame index. Where all key poses have the same
    index (as the default, 0), they are passed at 0, 1, 2, ... Every method passes through every
    key pose, positions and rotations alike.

    - linear: straight lines, and rotation at constant speed along the shortest arc (Shoemake 1985);
      speed jumps at key poses.
    - spline: twice continuously differentiable: natural cubic spline of the positions, and cubic
      rotation spline with continuous angular acceleration (scipy's `RotationSpline`).
    - bezier: once continuously differentiable, and local: a key pose moves only its neighbours. One
      cubic Bezier curve between two key poses (which are its end points, not control points), with
      Bessel tangents (de Boor 1978, chapter 4), for rotations by de Casteljau's construction on the
      sphere of quaternions (Shoemake 1985).

    Args:
        poses: Key poses; if any has a field of view all must, and it is interpolated linearly.
        count: Number of poses, spread evenly in time from the first key pose to the last.
        times: Or the times themselves, within the span of the key poses.
        method: The kind of path.

    Returns:
        Poses numbered from 0.

    Raises:
        TrajectoryError: no key pose, times outside their span, indices that do not increase, fields
            of view on some poses only, or both or neither of `count` and `times`.
    """
    if not poses:
        raise _ORIGIN.error("there are none; give at least one")
    knots = _knots(poses)
    at = _times(knots, count, times)
    fovs_deg = _fovs_deg(poses, knots, at)
    path, turns = _path(poses, knots, at, method)
    matrices = np.asarray(turns.as_matrix(), np.float64)
    return tuple(
        CameraPose(position, matrix, index, fov_deg)
        for index, (position, matrix, fov_deg) in enumerate(
            zip(path, matrices, fovs_deg, strict=True)
        )
    )


def _path(
    poses: Sequence[CameraPose],
    knots: Float64[np.ndarray, "k"],
    at: Float64[np.ndarray, "n"],
    method: InterpolationMethod,
) -> tuple[Float64[np.ndarray, "n 3"], Rotation]:
    positions = np.stack([pose.position_in_world for pose in poses])
    rotations = Rotation.from_matrix(np.stack([pose.rotation_matrix for pose in poses]))
    if len(poses) == 1:
        return np.repeat(positions, len(at), axis=0), _picked(rotations, np.zeros(len(at), np.intp))
    match method:
        case "linear":
            return _linear(knots, positions, rotations, at)
        case "spline":
            path = CubicSpline(knots, positions, bc_type="natural")(at)
            return path, RotationSpline(knots, rotations)(at)
        case "bezier":
            return _bezier(knots, positions, rotations, at)
        case _:
            raise _ORIGIN.error(f"no method {method!r}; take linear, spline or bezier")


def _knots(poses: Sequence[CameraPose]) -> Float64[np.ndarray, "k"]:
    indices = [pose.frame_index for pose in poses]
    if len(set(indices)) == 1:
        return np.arange(len(poses), dtype=np.float64)
    for before, after in pairwise(indices):
        if after <= before:
            raise _ORIGIN.at(after).error(
                f"frame index {after} follows {before}; let them increase, or leave them all at 0"
            )
    return np.array(indices, np.float64)


def _times(
    knots: Float64[np.ndarray, "k"], count: int | None, times: Sequence[float | int] | None
) -> Float64[np.ndarray, "n"]:
    if (count is None) == (times is None):
        raise _ORIGIN.error("give either count or times")
    if count is not None:
        if count < 1:
            raise _ORIGIN.error(f"cannot make {count} poses; give a count of 1 or more")
        return np.linspace(knots[0], knots[-1], count)
    at = np.array(times, np.float64)
    outside = at[~((at >= knots[0]) & (at <= knots[-1]))]
    if outside.size:
        raise _ORIGIN.error(
            f"time {outside[0]} is outside the span of the key poses, {knots[0]} to {knots[-1]}; "
            "add key poses or leave the time out"
        )
    return at


def _fovs_deg(
    poses: Sequence[CameraPose], knots: Float64[np.ndarray, "k"], at: Float64[np.ndarray, "n"]
) -> list[float | None]:
    given = [pose.fov_deg for pose in poses if pose.fov_deg is not None]
    if not given:
        return [None] * len(at)
    if len(given) != len(poses):
        raise _ORIGIN.error(
            f"{len(given)} of {len(poses)} have a field of view; give it to all or to none"
        )
    return [float(fov) for fov in np.interp(at, knots, given)]


def _linear(
    knots: Float64[np.ndarray, "k"],
    positions: Float64[np.ndarray, "k 3"],
    rotations: Rotation,
    at: Float64[np.ndarray, "n"],
) -> tuple[Float64[np.ndarray, "n 3"], Rotation]:
    path = np.stack([np.interp(at, knots, positions[:, axis]) for axis in range(3)], axis=-1)
    return path, Slerp(knots, rotations)(at)


def _bessel_tangents(
    knots: Float64[np.ndarray, "k"], slopes: Float64[np.ndarray, "k-1 3"]
) -> Float64[np.ndarray, "k 3"]:
    """Returns the slope at each knot of the parabola through it and its neighbours."""
    if len(slopes) == 1:
        return np.repeat(slopes, 2, axis=0)
    steps = np.diff(knots)[:, None]
    inner = (steps[1:] * slopes[:-1] + steps[:-1] * slopes[1:]) / (steps[1:] + steps[:-1])
    first, last = 2 * slopes[0] - inner[0], 2 * slopes[-1] - inner[-1]
    return np.concatenate([first[None], inner, last[None]])


def _bezier(
    knots: Float64[np.ndarray, "k"],
    positions: Float64[np.ndarray, "k 3"],
    rotations: Rotation,
    at: Float64[np.ndarray, "n"],
) -> tuple[Float64[np.ndarray, "n 3"], Rotation]:
    steps = np.diff(knots)[:, None]
    segment = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    share = ((at - knots[segment]) / steps[segment, 0])[:, None]

    tangents = _bessel_tangents(knots, np.diff(positions, axis=0) / steps)
    start, end = positions[segment], positions[segment + 1]
    third = steps[segment] / 3
    leave, arrive = start + tangents[segment] * third, end - tangents[segment + 1] * third
    rest = 1 - share
    path = (
        rest**3 * start
        + 3 * rest**2 * share * leave
        + 3 * rest * share**2 * arrive
        + share**3 * end
    )

    turns = (rotations[:-1].inv() * rotations[1:]).as_rotvec() / steps
    rates = _bessel_tangents(knots, np.asarray(turns, np.float64))
    first, last = _picked(rotations, segment), _picked(rotations, segment + 1)
    controls = [
        first,
        first * Rotation.from_rotvec(rates[segment] * third),
        last * Rotation.from_rotvec(-rates[segment + 1] * third),
        last,
    ]
    while len(controls) > 1:
        controls = [_slerp(a, b, share) for a, b in pairwise(controls)]
    return path, controls[0]


def _picked(rotations: Rotation, indices: Int[np.ndarray, "n"]) -> Rotation:
    return Rotation.from_quat(np.asarray(rotations.as_quat())[indices])


def _slerp(start: Rotation, end: Rotation, share: Float64[np.ndarray, "n 1"]) -> Rotation:
    return start * Rotation.from_rotvec((start.inv() * end).as_rotvec() * share)
