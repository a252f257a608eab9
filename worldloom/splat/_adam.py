"""Adam on the Gaussians that a view shows."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-15
"""Of Adam (Kingma and Ba 2015), with the epsilon of 3DGS: gradients of an image are small."""


@dataclass(eq=False)
class Moments:
    """First and second moments of a parameter, one row a Gaussian."""

    first: Float32[np.ndarray, "n c"]
    second: Float32[np.ndarray, "n c"]

    def select(self, rows: np.ndarray, fresh: np.ndarray) -> "Moments":
        """Returns the moments of rows of which some begin anew."""
        first, second = self.first[rows], self.second[rows]
        first[fresh], second[fresh] = 0, 0
        return Moments(first, second)


def no_moments(count: int, columns: int) -> Moments:
    """Returns the moments before the first step."""
    return Moments(np.zeros((count, columns), np.float32), np.zeros((count, columns), np.float32))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def adam(
    first: int,
    step: int,
    values: np.ndarray,
    rows: np.ndarray,
    slopes: np.ndarray,
    rates: np.ndarray,
    moment: np.ndarray,
    square: np.ndarray,
    updates: np.ndarray,
) -> None:
    """Moves the Gaussians `rows` [m]; the others keep their moments.

    `values`, `moment`, `square` are [n c], `slopes` [m c], `rates` [c]; `updates` [n] counts the
    steps of each Gaussian, this one included.
    """
    b1, b2 = np.float32(BETA_1), np.float32(BETA_2)
    one, epsilon = np.float32(1), np.float32(EPSILON)
    for row in range(first, len(rows), step):
        n = rows[row]
        count = np.float64(updates[n])
        correct_1 = np.float32(1.0 / (1.0 - BETA_1**count))
        correct_2 = np.float32(1.0 / (1.0 - BETA_2**count))
        for c in range(values.shape[1]):
            slope = slopes[row, c]
            m = b1 * moment[n, c] + (one - b1) * slope
            v = b2 * square[n, c] + (one - b2) * slope * slope
            moment[n, c], square[n, c] = m, v
            values[n, c] -= rates[c] * m * correct_1 / (np.sqrt(v * correct_2) + epsilon)
