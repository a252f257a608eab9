"""The gauge: what images cannot tell (place, orientation and scale of it all) stays as given."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial.transform import Rotation

from worldloom.poses._bundle import Belief, Bundle, Observations


@dataclass(frozen=True, eq=False)
class Corrections:
    """How far poses are from the given ones."""

    angle_rad: Float64[np.ndarray, "v"]
    distance: Float64[np.ndarray, "v"]
    """World unit."""


def corrections(bundle: Bundle, given: Belief) -> Corrections:
    """Returns how far each view is from its given pose."""
    away = given.departure(bundle)
    return Corrections(np.linalg.norm(away[:, :3], axis=1), np.linalg.norm(away[:, 3:], axis=1))


def with_given_gauge(
    bundle: Bundle,
    given: Belief,
    seen: Observations,
    group_of_view: Int64[np.ndarray, "v"],
    judged: Bool[np.ndarray, "v"],
) -> Bundle:
    """Returns the bundle moved as a whole so that it lies on the given poses.

    Over the judged views of each group the mean turn and the mean move away from the given poses
    become zero, and so does the mean stretch. Reprojections stay as they are.

    Args:
        bundle: Poses and points.
        given: Poses that define the gauge.
        seen: Features, which say to which group a point belongs.
        group_of_view: Views that share points, directly or over others, have the same number.
        judged: Views that count.
    """
    rotation, centre = bundle.rotation.copy(), bundle.centre.copy()
    points = bundle.points.copy()
    group_of_point = np.full(len(points), -1)
    group_of_point[seen.point] = group_of_view[seen.view]
    for group in np.unique(group_of_view[judged]):
        members = group_of_view == group
        chosen = members & judged
        turn = _mean_turn(given.rotation[chosen], rotation[chosen])
        middle, given_middle = centre[chosen].mean(axis=0), given.centre[chosen].mean(axis=0)
        spread = (centre[chosen] - middle) @ turn.T
        scale = _scale(spread, given.centre[chosen] - given_middle)
        rotation[members] = rotation[members] @ turn.T
        centre[members] = scale * (centre[members] - middle) @ turn.T + given_middle
        inside = group_of_point == group
        points[inside] = scale * (points[inside] - middle) @ turn.T + given_middle
    return replace(bundle, rotation=rotation, centre=centre, points=points)


def _mean_turn(
    given_rotation: Float64[np.ndarray, "n 3 3"], rotation: Float64[np.ndarray, "n 3 3"]
) -> Float64[np.ndarray, "3 3"]:
    """The turn of the world after which the turns away from the given rotations average to zero.

    Both are cam_from_world; the fixed point of the Karcher mean (Moakher 2002).
    """
    apart = given_rotation.transpose(0, 2, 1) @ rotation
    turn = np.eye(3)
    for _ in range(20):
        # What is left of each, given_from_refined, after the turn so far.
        mean = Rotation.from_matrix(turn @ apart.transpose(0, 2, 1)).as_rotvec().mean(axis=0)
        turn = Rotation.from_rotvec(-mean).as_matrix() @ turn
        if np.linalg.norm(mean) < 1e-14:
            break
    return turn


def _scale(spread: Float64[np.ndarray, "n 3"], given_spread: Float64[np.ndarray, "n 3"]) -> float:
    """The factor that takes the spread of the centres to the given one, by least squares."""
    size, common = float((spread**2).sum()), float((spread * given_spread).sum())
    # Centres in one place have no scale, and opposed ones no meaning.
    return common / size if size > 0 and common > 0.25 * size else 1.0
