"""How large the errors of features and of given poses are, judged from an adjustment."""

import numpy as np
from jaxtyping import Bool, Float64

from worldloom.poses._bundle import Belief, Bundle, Observations
from worldloom.poses._least_squares import shrinkage

_MEDIAN_OF_RAYLEIGH = 1.1774
"""Median length of errors in two directions, over their deviation in each."""
_LEAST_DOUBT = 0.02
"""Least share of the believed deviation of given poses that the evidence may reduce it to."""
_ENOUGH_VIEWS = 8
"""Views from which on the deviation of given poses is estimated."""
_LEAST_PX = 0.01
"""Least deviation of features that is believed: no detector is more exact."""


def deviation_px(errors: Float64[np.ndarray, "n"]) -> float:
    """Returns the deviation in each direction of errors of which few are wrong matches."""
    return float(np.median(errors)) / _MEDIAN_OF_RAYLEIGH


def feature_deviation_px(bundle: Bundle, seen: Observations) -> float:
    """Returns the deviation of features, given that points and poses follow them in part."""
    measured = 2 * len(seen.view)
    free = measured - bundle.points.size - 6 * len(bundle.rotation)
    share = max(free / measured, 0.1)
    return max(deviation_px(bundle.errors_px(seen)), _LEAST_PX) / float(np.sqrt(share))


def doubt_of_poses(
    bundle: Bundle,
    seen: Observations,
    belief: Belief,
    refined: Bool[np.ndarray, "v"],
    *,
    feature_px: float,
    huber_px: float,
) -> float:
    """Returns the deviation of the given poses over the believed one, by the method of moments.

    What features decide departs from the given poses by the error of these and by that of the
    features. With `P` as in `Shrinkage` and departures `u` in units of the believed deviations,
    `E|u|^2 = doubt^2 tr (1 - P)^2 + noise^2 tr (P - P^2)`, where `noise` is the deviation of
    features over the believed one.

    Args:
        bundle: Adjusted poses and points.
        seen: Features.
        belief: What the adjustment believed.
        refined: Views that count.
        feature_px: Deviation of the features.
        huber_px: Error from which on an observation counted less.
    """
    if refined.sum() < _ENOUGH_VIEWS:
        return 1.0
    found = shrinkage(bundle, seen, belief, huber_px)
    away = belief.departure(bundle)[refined] * np.sqrt(belief.precision) / belief.feature_px
    noise = feature_px / belief.feature_px
    by_features = noise**2 * (found.trace - found.trace_of_square)
    decided = found.unknowns - 2 * found.trace + found.trace_of_square
    share = (float((away**2).sum()) - by_features) / max(decided, 1.0)
    return float(np.clip(np.sqrt(max(share, 0.0)), _LEAST_DOUBT, 1.0))
