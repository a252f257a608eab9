"""Confidence that keeps its word: of the pixels with confidence c, a share c is right.

Right means within 2% of the truth. A logistic model of what is known about a pixel (Platt scaling),
fitted once to scenes with true depth by `tests.benchmarks.depth_truth --fit`; how well it holds on
others stands in docs/benchmarks.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

COEFFICIENTS = (-0.805, 1.434, 0.412, -1.148, -0.232, -1.216)
"""Of the constant and of the terms."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about the depth of each pixel."""

    support: Float64[np.ndarray, "h w"]
    """Sum of the voices that agree."""
    contradicted: Int32[np.ndarray, "h w"]
    """Views that see through the point."""
    matched: Float32[np.ndarray, "h w"]
    """How well the images match, 0 to 1; low where depth rests on its surroundings."""
    confirmed: Bool[np.ndarray, "h w"]
    """True where others agree enough."""
    edge_on: Bool[np.ndarray, "h w"]
    """True where the surface is seen from its side: more often an edge than a surface."""

    def terms(self) -> Float32[np.ndarray, "h w 5"]:
        """Returns what the model looks at."""
        terms = (
            np.log1p(self.support),
            self.matched,
            np.log1p(self.contradicted),
            ~self.confirmed,
            self.edge_on,
        )
        return np.stack([term.astype(np.float32) for term in terms], axis=-1)


def calibrated(
    terms: Float32[np.ndarray, "*n 5"], coefficients: Sequence[float] = COEFFICIENTS
) -> Float32[np.ndarray, "*n"]:
    """Returns the probability that a depth is right, 0 to 1."""
    constant, *weights = (np.float32(value) for value in coefficients)
    score = constant + terms @ np.array(weights, np.float32)
    return (1 / (1 + np.exp(-score))).astype(np.float32)
