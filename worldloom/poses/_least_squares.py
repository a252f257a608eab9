"""Bundle adjustment: poses and points that explain the features, near poses believed beforehand.

Levenberg-Marquardt on the reduced camera system (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000, section 6), solved by conjugate gradients (Agarwal et al., "Bundle adjustment in
the large", 2010), with Huber's weights. Time and memory grow linearly with the observations.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import bsr_matrix, csr_matrix
from scipy.sparse.linalg import cg
from scipy.spatial.transform import Rotation

from worldloom.poses._bundle import Belief, Bundle, Observations
from worldloom.poses._kernels import normal_equations, point_moves, reduce_points, robust_cost

_SETTLED = 1e-6
"""Fall of the cost, as a share, below which an adjustment ends: slow modes such as the bend of a
long path hardly show in it."""
_PROBES = 16


@dataclass(frozen=True, eq=False)
class _Equations:
    """Normal equations of a bundle, belief included."""

    of_view: np.ndarray
    side_view: np.ndarray
    of_point: np.ndarray
    side_point: np.ndarray
    mixed: np.ndarray


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Which views share points, as block-sparse rows."""

    row_start: np.ndarray
    column: np.ndarray
    diagonal: np.ndarray
    """Position of the block of each view with itself."""


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Equations of the views alone."""

    system: bsr_matrix
    near: bsr_matrix
    """Its inverse, roughly."""
    side: np.ndarray
    inverse_point: np.ndarray

    def solved(self, side: np.ndarray) -> np.ndarray:
        """Returns the unknowns of the views for a right side."""
        return np.asarray(cg(self.system, side, rtol=1e-8, maxiter=500, M=self.near)[0])


@dataclass(frozen=True)
class Shrinkage:
    """How far the belief, and not the features, decides the poses.

    `P` is the covariance after the adjustment, in units of the believed deviations.
    """

    trace: float
    """Of `P` over the views with features: from 0 (features decide) to the number of unknowns."""
    trace_of_square: float
    unknowns: int


def adjust_bundle(
    bundle: Bundle, seen: Observations, belief: Belief, *, huber_px: float, max_iterations: int
) -> Bundle:
    """Returns the poses and points of least cost.

    Args:
        bundle: Where to start.
        seen: Features.
        belief: Poses believed beforehand.
        huber_px: Error from which on an observation counts less.
        max_iterations: Steps, at most.
    """
    start = seen.start
    pattern = _pattern(seen, len(bundle.rotation))
    damping, cost = 1e-3, _cost(bundle, seen, belief, huber_px)
    equations = _linearised(bundle, seen, belief, huber_px)
    for _ in range(max_iterations):
        tried = _moved(bundle, *_step(equations, seen, start, pattern, damping))
        tried_cost = _cost(tried, seen, belief, huber_px)
        if not tried_cost < cost:
            damping *= 10
            if damping > 1e6:
                break
            continue
        settled = cost - tried_cost < _SETTLED * cost
        bundle, cost, damping = tried, tried_cost, max(damping / 10, 1e-9)
        if settled:
            break
        equations = _linearised(bundle, seen, belief, huber_px)
    return bundle


def shrinkage(bundle: Bundle, seen: Observations, belief: Belief, huber_px: float) -> Shrinkage:
    """Estimates how far the belief decides the poses.

    By random probes with a fixed seed (Hutchinson, "A stochastic estimator of the trace of the
    influence matrix", 1990), as the covariance itself is too large to be had.
    """
    equations = _linearised(bundle, seen, belief, huber_px)
    pattern = _pattern(seen, len(bundle.rotation))
    reduced = _reduced(equations, seen, seen.start, pattern, 0.0)
    # Probes live in units of the believed deviations.
    unit = np.tile(np.sqrt(belief.precision), len(bundle.rotation))
    free = np.repeat(np.bincount(seen.view, minlength=len(bundle.rotation)) > 0, 6)
    random = np.random.default_rng(0)
    traces = np.zeros(2)
    for _ in range(_PROBES):
        probe = random.choice((-1.0, 1.0), len(unit)) * free
        answer = unit * reduced.solved(unit * probe)
        traces += np.array([probe @ answer, answer @ answer]) / _PROBES
    return Shrinkage(float(traces[0]), float(traces[1]), int(free.sum()))


def _cost(bundle: Bundle, seen: Observations, belief: Belief, huber_px: float) -> float:
    away = belief.departure(bundle) ** 2 @ belief.precision
    return float(robust_cost(bundle.errors_px(seen), huber_px)) + 0.5 * float(away.sum())


def _linearised(bundle: Bundle, seen: Observations, belief: Belief, huber_px: float) -> _Equations:
    of_view, side_view, of_point, side_point, mixed = normal_equations(
        bundle.rotation,
        bundle.centre,
        bundle.lens,
        bundle.points,
        seen.view,
        seen.point,
        seen.pixel,
        huber_px,
    )
    of_view += np.diag(belief.precision)
    side_view -= belief.precision * belief.departure(bundle)
    return _Equations(of_view, side_view, of_point, side_point, mixed)


def _pattern(seen: Observations, views: int) -> _Pattern:
    ones = np.ones(len(seen.view), np.int32)
    sees = csr_matrix((ones, (seen.view, seen.point)), (views, int(seen.point.max()) + 1))
    shared = csr_matrix(sees @ sees.T + csr_matrix(np.eye(views, dtype=np.int32)))
    shared.sort_indices()
    row = np.repeat(np.arange(views), np.diff(shared.indptr))
    diagonal = np.flatnonzero(row == shared.indices)
    return _Pattern(shared.indptr.astype(np.int64), shared.indices.astype(np.int64), diagonal)


def _step(
    equations: _Equations,
    seen: Observations,
    start: np.ndarray,
    pattern: _Pattern,
    damping: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Moves of views (v 6) and points (p 3)."""
    reduced = _reduced(equations, seen, start, pattern, damping)
    view_moves = reduced.solved(reduced.side.ravel()).reshape(-1, 6)
    moves = point_moves(
        reduced.inverse_point,
        equations.side_point,
        equations.mixed,
        seen.view,
        seen.point,
        view_moves,
    )
    return view_moves, moves


def _reduced(
    equations: _Equations,
    seen: Observations,
    start: np.ndarray,
    pattern: _Pattern,
    damping: float,
) -> _Reduced:
    inverse_point = np.linalg.inv(_damped(equations.of_point, damping))
    blocks = np.zeros((len(pattern.column), 6, 6))
    blocks[pattern.diagonal] = _damped(equations.of_view, damping)
    side = equations.side_view.copy()
    reduce_points(
        inverse_point,
        equations.side_point,
        equations.mixed,
        seen.view,
        start,
        pattern.row_start,
        pattern.column,
        blocks,
        side,
    )
    system = bsr_matrix((blocks, pattern.column, pattern.row_start))
    inverse = np.linalg.inv(blocks[pattern.diagonal])
    every = np.arange(len(inverse) + 1)
    near = bsr_matrix((inverse, every[:-1], every))
    return _Reduced(system, near, side, inverse_point)


def _damped(blocks: np.ndarray, damping: float) -> np.ndarray:
    """Blocks with a larger diagonal (Marquardt 1963), never singular."""
    size = blocks.shape[-1]
    diagonal = np.einsum("nii->ni", blocks)
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    return blocks + (damping * diagonal + floor)[:, :, None] * np.eye(size)


def _moved(bundle: Bundle, view_moves: np.ndarray, moves: np.ndarray) -> Bundle:
    turn = Rotation.from_rotvec(view_moves[:, :3]).as_matrix()
    return replace(
        bundle,
        rotation=turn @ bundle.rotation,
        centre=bundle.centre + view_moves[:, 3:],
        points=bundle.points + moves,
    )
