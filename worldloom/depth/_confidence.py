"""Confidence that keeps its word: of the pixels with confidence c, a share c is right.

Right means within 2% of the truth. A logistic model of what is known about a pixel (Platt scaling),
fitted once to scenes with true depth by `tests.benchmarks.depth_truth --fit`; how well it holds on
others stands in docs/benchmarks.md.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int32

COEFFICIENTS = (-0.368, 1.173, 0.655, -1.883)
"""Of the constant and of the terms."""


def evidence_terms(
    support: Float64[np.ndarray, "h w"],
    contradicted: Int32[np.ndarray, "h w"],
    matched: Float32[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w 3"]:
    """Returns what the model looks at.

    Args:
        support: Sum of the voices that agree.
        contradicted: Views that see through the point.
        matched: How well the images match, 0 to 1; low where depth rests on its surroundings.

    Returns:
        log(1 + support), the match, log(1 + contradictions).
    """
    terms = (np.log1p(support), matched, np.log1p(contradicted))
    return np.stack(terms, axis=-1).astype(np.float32)


def calibrated(terms: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Returns the probability that a depth is right, 0 to 1."""
    constant, *weights = (np.float32(value) for value in COEFFICIENTS)
    score = constant + terms @ np.array(weights, np.float32)
    return (1 / (1 + np.exp(-score))).astype(np.float32)
