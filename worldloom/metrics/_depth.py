"""Depth maps against true depth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class DepthScore:
    """Agreement of depth maps with the truth, by relative error |estimate - truth| / truth."""

    within_1_percent: float
    """Share of compared pixels."""
    within_2_percent: float
    within_5_percent: float
    within_10_percent: float
    density: float
    """Share of pixels with true depth that have an estimate."""
    median_error: float | None
    """Median relative error; None where nothing is compared."""
    compared_pixels: int


def score_depth(
    estimate: Float32[np.ndarray, "..."], truth: Float32[np.ndarray, "..."]
) -> DepthScore:
    """Scores estimated depth; stack several maps to score them as one.

    Args:
        estimate: Depth along +z; 0 = unknown.
        truth: True depth of the same pixels; 0 = unknown.

    Raises:
        ConfigError: the shapes differ, or no true depth is known.
    """
    if estimate.shape != truth.shape:
        raise ConfigError(
            f"depth of shape {estimate.shape} cannot be compared with {truth.shape}; resize the "
            "cameras first",
            field="estimate",
        )
    known = truth > 0
    if not known.any():
        raise ConfigError("no true depth is known; nothing can be scored", field="truth")
    both = known & (estimate > 0)
    error = np.abs(estimate[both].astype(np.float64) - truth[both]) / truth[both]
    shares = [float((error < limit).mean()) if len(error) else 0.0 for limit in _LIMITS]
    return DepthScore(
        *shares,
        density=float(both.sum() / known.sum()),
        median_error=float(np.median(error)) if len(error) else None,
        compared_pixels=len(error),
    )


_LIMITS = (0.01, 0.02, 0.05, 0.10)
