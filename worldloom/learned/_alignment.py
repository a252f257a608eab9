"""Scale and shift that bring a prediction to the depth that is known, or why there are none."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from worldloom.learned._config import AlignmentConfig
from worldloom.learned._estimator import Prediction, Quantity

EXTRAPOLATION = 2.0
"""A prediction counts up to this factor beyond the known depth of the view."""
_HYPOTHESES = 256
_SAMPLES = 4096
_ROUNDS = 20
_TUKEY = 4.685
"""Tukey's constant: 95% efficiency on normal errors (Holland, Welsch 1977)."""


@dataclass(frozen=True)
class Alignment:
    """How a prediction lies to the known depth: `known = scale * predicted + shift`."""

    quantity: Quantity
    """What is aligned, depth or its inverse."""
    known_px: int
    """Pixels with known depth and a prediction."""
    inlier_share: float | None = None
    """Share of them that agrees; None where nothing could be fitted."""
    scale: float | None = None
    shift: float | None = None
    """World unit, or 1 / world unit."""
    refusal: str | None = None
    """Why the prediction is not used; None where it is."""


@dataclass(frozen=True)
class _Line:
    scale: float
    shift: float


@dataclass(frozen=True, eq=False)
class AlignedDepth:
    """A prediction in the unit of the world."""

    alignment: Alignment
    depth: Float32[np.ndarray, "h w"]
    """World unit; 0 = unknown, everywhere where it was refused."""


def align_prediction(
    prediction: Prediction,
    depth: Float32[np.ndarray, "h w"],
    quantity: Quantity,
    config: AlignmentConfig,
) -> AlignedDepth:
    """Aligns a prediction to the depth that is known of its view.

    Lines through pairs of pixels are tried (RANSAC, the pairs are always the same), the one that
    most pixels agree with is refined by iterated re-weighting with Tukey's weights. Errors are
    relative, so near and far count alike. Inverse depth is fitted where the model predicts that, as
    its shift is not one of depth (Ranftl et al., Towards Robust Monocular Depth Estimation, TPAMI
    2022, section 5).

    Args:
        prediction: Of the same size as `depth`.
        depth: Known depth along +z, world unit; 0 = unknown.
        quantity: What the model predicts.
        config: When pixels agree, and when to refuse.
    """
    nothing = np.zeros_like(depth)
    known = (depth > 0) & prediction.known
    alignment = Alignment(quantity, int(known.sum()))
    broken = int((~np.isfinite(prediction.values[prediction.known])).sum())
    if broken:
        refusal = f"{broken} pixels of the prediction are not numbers"
        return AlignedDepth(replace(alignment, refusal=refusal), nothing)
    if alignment.known_px < config.min_known_px:
        refusal = f"depth is known at {alignment.known_px} pixels, {config.min_known_px} are needed"
        return AlignedDepth(replace(alignment, refusal=refusal), nothing)
    predicted = prediction.values[known].astype(np.float64)
    wanted = depth[known].astype(np.float64)
    if quantity == "inverse_depth":
        wanted = 1 / wanted
    line = _best_line(predicted, wanted, config.tolerance)
    if line is None:
        refusal = "no line of rising depth goes through the prediction and the known depth"
        return AlignedDepth(replace(alignment, refusal=refusal), nothing)
    line = _refined(line, predicted, wanted, config.tolerance)
    agrees = _errors(line, predicted, wanted) <= config.tolerance
    alignment = replace(
        alignment, inlier_share=float(agrees.mean()), scale=line.scale, shift=line.shift
    )
    refusal = _refusal(line, predicted, wanted, agrees, config)
    if refusal is not None:
        return AlignedDepth(replace(alignment, refusal=refusal), nothing)
    return AlignedDepth(alignment, _applied(line, prediction, depth, quantity))


def _best_line(
    predicted: Float64[np.ndarray, "n"], wanted: Float64[np.ndarray, "n"], tolerance: float
) -> _Line | None:
    """The line through two pixels that most of an even sample of the pixels agree with."""
    sample = np.linspace(0, len(predicted) - 1, min(len(predicted), _SAMPLES)).astype(np.intp)
    x, y = predicted[sample], wanted[sample]
    first, second = np.random.default_rng(0).integers(0, len(x), (2, _HYPOTHESES))
    run, rise = x[second] - x[first], y[second] - y[first]
    rising = run * rise > 0
    scale = rise[rising] / run[rising]
    shift = y[first[rising]] - scale * x[first[rising]]
    usable = np.isfinite(scale) & np.isfinite(shift)
    scale, shift = scale[usable], shift[usable]
    if not len(scale):
        return None
    error = np.abs(scale[:, None] * x + shift[:, None] - y)
    best = int((error <= tolerance * y).sum(axis=1).argmax())
    return _Line(float(scale[best]), float(shift[best]))


def _refined(
    line: _Line,
    predicted: Float64[np.ndarray, "n"],
    wanted: Float64[np.ndarray, "n"],
    tolerance: float,
) -> _Line:
    """Weighted least squares on the pixels that agree, until it stands."""
    for _ in range(_ROUNDS):
        error = _errors(line, predicted, wanted)
        near = error <= tolerance
        if near.sum() < 2:
            return line
        spread = 1.4826 * float(np.median(error[near]))
        reach = min(tolerance, max(_TUKEY * spread, 1e-6))
        weight = np.where(error < reach, (1 - (error / reach) ** 2) ** 2 / wanted**2, 0)
        moved = _least_squares(predicted, wanted, weight)
        if moved is None:
            return line
        line = moved
    return line


def _least_squares(
    predicted: Float64[np.ndarray, "n"],
    wanted: Float64[np.ndarray, "n"],
    weight: Float64[np.ndarray, "n"],
) -> _Line | None:
    total = weight.sum()
    if not total > 0:
        return None
    x_mean, y_mean = (weight * predicted).sum() / total, (weight * wanted).sum() / total
    x, y = predicted - x_mean, wanted - y_mean
    variance = (weight * x * x).sum()
    scale = (weight * x * y).sum() / variance if variance > 0 else 0.0
    if not (np.isfinite(scale) and scale > 0):
        return None
    return _Line(float(scale), float(y_mean - scale * x_mean))


def _errors(
    line: _Line, predicted: Float64[np.ndarray, "n"], wanted: Float64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n"]:
    return np.abs(line.scale * predicted + line.shift - wanted) / wanted


def _refusal(
    line: _Line,
    predicted: Float64[np.ndarray, "n"],
    wanted: Float64[np.ndarray, "n"],
    agrees: Bool[np.ndarray, "n"],
    config: AlignmentConfig,
) -> str | None:
    if agrees.mean() < config.min_inlier_share:
        return (
            f"{agrees.mean():.0%} of the known depth agrees with the prediction, "
            f"{config.min_inlier_share:.0%} is needed"
        )
    fitted = line.scale * predicted[agrees]
    low, high = np.percentile(fitted, [5, 95])
    if high - low < config.tolerance * float(np.median(wanted[agrees])):
        # Any scale would fit, and depth beyond what is known hangs on it.
        return "the known depth is too flat to tell the scale of the prediction"
    return None


def _applied(
    line: _Line, prediction: Prediction, depth: Float32[np.ndarray, "h w"], quantity: Quantity
) -> Float32[np.ndarray, "h w"]:
    """The prediction as depth, no farther from what is known than it can be trusted."""
    values = line.scale * np.where(prediction.known, prediction.values, 0).astype(np.float64)
    values += line.shift
    positive = prediction.known & (values > 0)
    aligned = np.where(positive, values, 1)
    aligned = 1 / aligned if quantity == "inverse_depth" else aligned
    nearest, farthest = np.percentile(depth[depth > 0], [1, 99])
    trusted = (aligned >= nearest / EXTRAPOLATION) & (aligned <= farthest * EXTRAPOLATION)
    return np.where(positive & trusted, aligned, 0).astype(np.float32)
