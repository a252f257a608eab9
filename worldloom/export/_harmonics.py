"""Colour by direction: the spherical harmonics of 3DGS, and how they turn with the world."""

import numpy as np
from jaxtyping import Float, Float32, Float64

SH_DC = 0.28209479177387814
"""Value of the harmonic of degree 0, 1 / (2 sqrt(pi))."""


def harmonics(directions: Float[np.ndarray, "n 3"], degree: int) -> Float64[np.ndarray, "n k"]:
    """Returns the values of the real spherical harmonics up to a degree.

    Order and signs are those of 3DGS (Kerbl et al. 2023): by degree, then by order from -l to l,
    with the Condon-Shortley phase.

    Args:
        directions: Unit vectors, from the camera to the Gaussian.
        degree: 0 to 3.
    """
    x, y, z = directions.astype(np.float64).T
    xx, yy, zz = x * x, y * y, z * z
    first, second, third = np.sqrt(3 / np.pi) / 2, np.sqrt(15 / np.pi) / 2, np.sqrt(5 / np.pi) / 4
    sides, middle, cross = (
        np.sqrt(35 / (2 * np.pi)),
        np.sqrt(21 / (2 * np.pi)),
        np.sqrt(105 / np.pi),
    )
    values = (
        np.full_like(x, SH_DC),
        -first * y,
        first * z,
        -first * x,
        second * x * y,
        -second * y * z,
        third * (2 * zz - xx - yy),
        -second * x * z,
        second / 2 * (xx - yy),
        -sides / 4 * y * (3 * xx - yy),
        cross / 2 * x * y * z,
        -middle / 4 * y * (4 * zz - xx - yy),
        np.sqrt(7 / np.pi) / 4 * z * (2 * zz - 3 * xx - 3 * yy),
        -middle / 4 * x * (4 * zz - xx - yy),
        cross / 4 * z * (xx - yy),
        -sides / 4 * x * (xx - 3 * yy),
    )
    return np.stack(values[: (degree + 1) ** 2], axis=-1)


def turned_harmonics(
    sh: Float32[np.ndarray, "n k 3"], turn: Float64[np.ndarray, "3 3"]
) -> Float32[np.ndarray, "n k 3"]:
    """Returns the coefficients of the same colours in a world that was turned.

    A turn maps the harmonics of a degree to themselves, so a matrix a degree does it. It is found
    from values in some directions: what the turned colour shows towards d, the first one shows
    towards the direction that d came from.

    Args:
        sh: Coefficients, as in `Splats`.
        turn: Rotation `new_from_old`.
    """
    degree = int(np.sqrt(sh.shape[1])) - 1
    directions = _directions()
    now, before = harmonics(directions, degree), harmonics(directions @ turn, degree)
    turned = sh.copy()
    for order in range(1, degree + 1):
        band = slice(order**2, (order + 1) ** 2)
        matrix = np.linalg.lstsq(now[:, band], before[:, band], rcond=None)[0]
        turned[:, band] = np.einsum("ij,njc->nic", matrix, sh[:, band])
    return turned


def _directions() -> Float64[np.ndarray, "n 3"]:
    """Unit vectors spread evenly over the sphere (the spiral of Vogel 1979)."""
    index = np.arange(64) + 0.5
    z = 1 - 2 * index / 64
    angle = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)
