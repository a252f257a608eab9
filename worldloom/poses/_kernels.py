"""The compiled kernels of the bundle adjustment: normal equations, and the points taken out.

Sums run over points, and over the observations of each, in the order of the arrays, on one thread:
the same input gives the same bits.
"""

import numba
import numpy as np

_BEHIND = 1e-6
"""Depth, as a share of the distance from the camera, below which a point is not before it."""
_BEHIND_PX = 100.0
"""Error that such a point counts with, pixels; it pulls at nothing."""


@numba.njit(cache=True, nogil=True)
def _residual(
    rotation: np.ndarray, centre: np.ndarray, lens: np.ndarray, point: np.ndarray, pixel: np.ndarray
) -> tuple[bool, np.ndarray, np.ndarray]:
    """Returns whether the point lies before the camera, its place in the camera, its error."""
    in_cam = np.zeros(3)
    for i in range(3):
        for j in range(3):
            in_cam[i] += rotation[i, j] * (point[j] - centre[j])
    error = np.zeros(2)
    distance = np.sqrt(in_cam[0] ** 2 + in_cam[1] ** 2 + in_cam[2] ** 2)
    if not in_cam[2] > _BEHIND * distance:
        return False, in_cam, error
    error[0] = lens[0] * in_cam[0] / in_cam[2] + lens[2] - pixel[0]
    error[1] = lens[1] * in_cam[1] / in_cam[2] + lens[3] - pixel[1]
    return True, in_cam, error


@numba.njit(cache=True, nogil=True)
def _slopes(
    rotation: np.ndarray,
    lens: np.ndarray,
    at: np.ndarray,
    by_view: np.ndarray,
    by_point: np.ndarray,
) -> None:
    """Fills in the derivatives of the pixel by the view (2 6) and by the point (2 3)."""
    for row in range(2):
        slope = lens[row] / at[2]
        fall = -slope * at[row] / at[2]
        for j in range(3):
            by_point[row, j] = slope * rotation[row, j] + fall * rotation[2, j]
            by_view[row, 3 + j] = -by_point[row, j]
        # The pixel by the place in the camera is (x, y, fall); a turn moves that by turn x place.
        x = slope if row == 0 else 0.0
        y = slope if row == 1 else 0.0
        by_view[row, 0] = at[1] * fall - at[2] * y
        by_view[row, 1] = at[2] * x - at[0] * fall
        by_view[row, 2] = at[0] * y - at[1] * x


@numba.njit(cache=True, nogil=True)
def errors_px(
    rotation: np.ndarray,
    centre: np.ndarray,
    lens: np.ndarray,
    points: np.ndarray,
    view: np.ndarray,
    point: np.ndarray,
    pixel: np.ndarray,
) -> np.ndarray:
    """Returns the reprojection error of each observation, pixels; infinite behind the camera."""
    found = np.empty(len(view))
    for k in range(len(view)):
        v = view[k]
        before, _, error = _residual(rotation[v], centre[v], lens[v], points[point[k]], pixel[k])
        found[k] = np.sqrt(error[0] ** 2 + error[1] ** 2) if before else np.inf
    return found


@numba.njit(cache=True, nogil=True)
def robust_cost(errors: np.ndarray, huber_px: float) -> float:
    """Returns the sum of Huber's function over the errors, square pixels."""
    cost = 0.0
    for error in errors:
        capped = min(error, _BEHIND_PX * huber_px)
        if capped <= huber_px:
            cost += 0.5 * capped * capped
        else:
            cost += huber_px * (capped - 0.5 * huber_px)
    return cost


@numba.njit(cache=True, nogil=True)
def normal_equations(
    rotation: np.ndarray,
    centre: np.ndarray,
    lens: np.ndarray,
    points: np.ndarray,
    view: np.ndarray,
    point: np.ndarray,
    pixel: np.ndarray,
    huber_px: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the blocks of the Gauss-Newton equations with Huber's weights.

    The unknowns of a view are a turn `exp(turn) @ rotation` in the camera and a move of its centre
    in the world; those of a point are its move.

    Returns:
        Blocks of views (v 6 6), right side of views (v 6), blocks of points (p 3 3), right side of
        points (p 3), and the mixed block of each observation (o 6 3).
    """
    of_view = np.zeros((len(rotation), 6, 6))
    side_view = np.zeros((len(rotation), 6))
    of_point = np.zeros((len(points), 3, 3))
    side_point = np.zeros((len(points), 3))
    mixed = np.zeros((len(view), 6, 3))
    by_view = np.zeros((2, 6))
    by_point = np.zeros((2, 3))
    for k in range(len(view)):
        v, p = view[k], point[k]
        before, at, error = _residual(rotation[v], centre[v], lens[v], points[p], pixel[k])
        if not before:
            continue
        size = np.sqrt(error[0] ** 2 + error[1] ** 2)
        weight = 1.0 if size <= huber_px else huber_px / size
        _slopes(rotation[v], lens[v], at, by_view, by_point)
        for row in range(2):
            for i in range(6):
                scaled = weight * by_view[row, i]
                side_view[v, i] -= scaled * error[row]
                for j in range(6):
                    of_view[v, i, j] += scaled * by_view[row, j]
                for j in range(3):
                    mixed[k, i, j] += scaled * by_point[row, j]
            for i in range(3):
                scaled = weight * by_point[row, i]
                side_point[p, i] -= scaled * error[row]
                for j in range(3):
                    of_point[p, i, j] += scaled * by_point[row, j]
    return of_view, side_view, of_point, side_point, mixed


@numba.njit(cache=True, nogil=True)
def reduce_points(
    inverse_point: np.ndarray,
    side_point: np.ndarray,
    mixed: np.ndarray,
    view: np.ndarray,
    start: np.ndarray,
    row_start: np.ndarray,
    column: np.ndarray,
    blocks: np.ndarray,
    side_view: np.ndarray,
) -> None:
    """Takes the points out of the equations of the views (Schur complement), in place.

    Args:
        inverse_point: Inverse damped blocks of the points (p 3 3).
        side_point: Right side of the points (p 3).
        mixed: Mixed block of each observation (o 6 3).
        view: View of each observation (o).
        start: First observation of each point, and the number of observations (p + 1).
        row_start: First block of each view in `column`, as in block-sparse rows (v + 1).
        column: View that each block leads to, sorted in each row (b).
        blocks: The blocks (b 6 6); changed.
        side_view: Right side of the views (v 6); changed.
    """
    scaled = np.zeros((6, 3))
    for p in range(len(start) - 1):
        for k in range(start[p], start[p + 1]):
            v = view[k]
            for i in range(6):
                for j in range(3):
                    scaled[i, j] = (
                        mixed[k, i, 0] * inverse_point[p, 0, j]
                        + mixed[k, i, 1] * inverse_point[p, 1, j]
                        + mixed[k, i, 2] * inverse_point[p, 2, j]
                    )
                    side_view[v, i] -= scaled[i, j] * side_point[p, j]
            first, last = row_start[v], row_start[v + 1]
            for other in range(start[p], start[p + 1]):
                b = first + np.searchsorted(column[first:last], view[other])
                for i in range(6):
                    for j in range(6):
                        blocks[b, i, j] -= (
                            scaled[i, 0] * mixed[other, j, 0]
                            + scaled[i, 1] * mixed[other, j, 1]
                            + scaled[i, 2] * mixed[other, j, 2]
                        )


@numba.njit(cache=True, nogil=True)
def point_moves(
    inverse_point: np.ndarray,
    side_point: np.ndarray,
    mixed: np.ndarray,
    view: np.ndarray,
    point: np.ndarray,
    view_moves: np.ndarray,
) -> np.ndarray:
    """Returns the moves of the points (p 3) that go with those of the views (v 6)."""
    side = side_point.copy()
    for k in range(len(view)):
        for j in range(3):
            for i in range(6):
                side[point[k], j] -= mixed[k, i, j] * view_moves[view[k], i]
    moves = np.zeros_like(side)
    for p in range(len(side)):
        for i in range(3):
            for j in range(3):
                moves[p, i] += inverse_point[p, i, j] * side[p, j]
    return moves
