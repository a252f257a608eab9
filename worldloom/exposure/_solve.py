"""The gains with which the views agree best on the colours of the cells that they share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

from worldloom.exposure._samples import Samples
from worldloom.response import (
    LEVEL_STEPS,
    Response,
    ViewExposure,
    correction_curves,
    level_slope,
    log_exposure,
)

_ROUNDS = 10
_HUBER = 1.345
"""Deviations beyond which a residual counts less: 95% efficiency (Huber, 1964)."""
_FINEST_LEVELS = 0.5
"""Deviation of colours that agree: that of rounding."""
_MID_GREY = 127.5
_MAX_STEPS = 1000
"""Of conjugate gradients in a round; the next one goes on from there. What may be left is the
slowest drift over chains of a thousand views and more."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Gains, and how well the views agree with them."""

    response: Response
    log_gains: Float64[np.ndarray, "views 3"]
    """Natural logarithms; the mean over the views that are joined by shared cells is 0."""
    spread_levels: float
    """Mean distance of a colour from the mean of its cell, gains undone, levels of 255."""


def solve_gains(samples: Samples, views: int, response: Response, prior: float) -> Solution:
    """Finds the gain of every view and channel.

    Log exposures y of cell c in view v are modelled as y = x_c + g_v. The x_c are eliminated; the
    g_v minimise the squares of the residuals in levels, robustly (iteratively reweighted; one
    weight a sample for all channels, since highlights and wrong depth spoil all of them), plus
    `prior` times their own squares. The prior also fixes what colours cannot tell: the sum of the
    g_v over views that are joined by shared cells is 0. Time and memory grow with the samples,
    times the views of a cell.

    Args:
        samples: Cells that at least two views share.
        views: Number of views; those without samples get 0.
        response: Tone curve.
        prior: Weight of a gain of 1, in samples of mid grey.
    """
    gains = np.zeros((views, 3))
    if not len(samples):
        return Solution(response, gains, 0.0)
    starts = np.flatnonzero(np.diff(samples.cells, prepend=-1))
    levels = samples.colors.astype(np.float64)
    measured = log_exposure(levels, response)
    means = np.add.reduceat(levels, starts) / np.diff(starts, append=len(samples))[:, None]
    # From the mean of the cell, not from the sample: noise must not weigh itself.
    slopes = level_slope(means, response)[samples.cells]
    mid_slope = float(level_slope(np.array([_MID_GREY]), response)[0])
    sensitivity = samples.weights[:, None] * (slopes / mid_slope) ** 2
    trust = np.ones(len(samples))
    for _ in range(_ROUNDS):
        residuals = np.empty_like(measured)
        for channel in range(3):
            problem = _Problem(samples, starts, sensitivity[:, channel] * trust)
            gains[:, channel] = problem.solve(measured[:, channel], gains[:, channel], prior)
            rest = measured[:, channel] - gains[samples.views, channel]
            residuals[:, channel] = problem.centred(rest) * slopes[:, channel]
        size = np.sqrt((residuals**2).mean(axis=1))
        scale = max(1.4826 * float(np.median(size)), _FINEST_LEVELS)
        trust = np.minimum(1.0, _HUBER * scale / np.maximum(size, _FINEST_LEVELS))
    return Solution(response, gains, spread_levels(samples, _exposures(gains, response)))


def spread_levels(samples: Samples, exposures: list[ViewExposure]) -> float:
    """Returns the mean distance of a colour from the mean of its cell, levels of 255.

    Args:
        samples: Cells that at least two views share.
        exposures: Of every view, by position; undone first.
    """
    if not len(samples):
        return 0.0
    curves = np.stack([correction_curves(exposure) for exposure in exposures]) / LEVEL_STEPS
    levels = curves[samples.views[:, None], np.arange(3), samples.colors]
    starts = np.flatnonzero(np.diff(samples.cells, prepend=-1))
    means = np.add.reduceat(levels, starts) / np.diff(starts, append=len(samples))[:, None]
    return float(np.abs(levels - means[samples.cells]).mean())


def _exposures(gains: Float64[np.ndarray, "views 3"], response: Response) -> list[ViewExposure]:
    return [
        ViewExposure(view, response, (red, green, blue))
        for view, (red, green, blue) in enumerate(np.exp(gains).tolist())
    ]


@dataclass(frozen=True, eq=False)
class _Problem:
    """Weighted least squares of one channel."""

    samples: Samples
    starts: Int64[np.ndarray, "cells"]
    """First sample of each cell."""
    weights: Float64[np.ndarray, "n"]

    @cached_property
    def _of_cell(self) -> Float64[np.ndarray, "cells"]:
        return np.add.reduceat(self.weights, self.starts)

    def centred(self, values: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        """Values without the weighted mean of their cell."""
        means = np.add.reduceat(self.weights * values, self.starts) / self._of_cell
        return values - means[self.samples.cells]

    def solve(
        self,
        measured: Float64[np.ndarray, "n"],
        start: Float64[np.ndarray, "views"],
        prior: float,
    ) -> Float64[np.ndarray, "views"]:
        """Log gains; `start` must sum to 0 over joined views, as all solutions do."""
        cells, views = self.samples.cells, self.samples.views
        shape = (len(self.starts), len(start))
        roots = self.weights / np.sqrt(self._of_cell)[cells]
        links = csr_array((roots, (cells, views)), shape)
        own = np.bincount(views, self.weights, len(start)) + prior
        normal = diags_array(own) - links.T @ links
        pull = np.bincount(views, self.weights * self.centred(measured), len(start))
        found, _ = cg(normal.tocsr(), pull, start, rtol=1e-8, maxiter=_MAX_STEPS)
        return np.asarray(found)
