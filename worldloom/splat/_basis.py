"""Kernels: real spherical harmonics of degree 0 to 3, and their slopes.

In the basis and the order of Sloan, "Efficient spherical harmonic evaluation", JCGT 2013.
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def basis_of(x: float, y: float, z: float, degree: int, out: np.ndarray) -> None:
    """Fills the values [k] of the basis in a direction of length 1."""
    out[0] = 0.2820947917738781
    if degree < 1:
        return
    out[1] = -0.48860251190292 * y
    out[2] = 0.48860251190292 * z
    out[3] = -0.48860251190292 * x
    if degree < 2:
        return
    out[4] = 1.0925484305920792 * x * y
    out[5] = -1.092548430592079 * y * z
    out[6] = 0.9461746957575601 * z * z - 0.3153915652525201
    out[7] = -1.092548430592079 * x * z
    out[8] = 0.5462742152960395 * (x * x - y * y)
    if degree < 3:
        return
    ring = -2.285228997322329 * z * z + 0.4570457994644658
    out[9] = -0.5900435899266435 * (3.0 * x * x * y - y * y * y)
    out[10] = 2.890611442640554 * x * y * z
    out[11] = ring * y
    out[12] = z * (1.865881662950577 * z * z - 1.119528997770346)
    out[13] = ring * x
    out[14] = 1.445305721320277 * z * (x * x - y * y)
    out[15] = -0.5900435899266435 * (x * x * x - 3.0 * x * y * y)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def basis_slopes_of(x: float, y: float, z: float, degree: int, out: np.ndarray) -> None:
    """Derivatives [k 3] of the basis by the direction."""
    out[:] = 0.0
    if degree < 1:
        return
    out[1, 1], out[2, 2], out[3, 0] = -0.48860251190292, 0.48860251190292, -0.48860251190292
    if degree < 2:
        return
    out[4, 0], out[4, 1] = 1.0925484305920792 * y, 1.0925484305920792 * x
    out[5, 1], out[5, 2] = -1.092548430592079 * z, -1.092548430592079 * y
    out[6, 2] = 2.0 * 0.9461746957575601 * z
    out[7, 0], out[7, 2] = -1.092548430592079 * z, -1.092548430592079 * x
    out[8, 0], out[8, 1] = 1.092548430592079 * x, -1.092548430592079 * y
    if degree < 3:
        return
    ring = -2.285228997322329 * z * z + 0.4570457994644658
    ring_z = -4.570457994644658 * z
    out[9, 0] = -0.5900435899266435 * 6.0 * x * y
    out[9, 1] = -0.5900435899266435 * 3.0 * (x * x - y * y)
    out[10, 0] = 2.890611442640554 * y * z
    out[10, 1] = 2.890611442640554 * x * z
    out[10, 2] = 2.890611442640554 * x * y
    out[11, 1], out[11, 2] = ring, ring_z * y
    out[12, 2] = 3.0 * 1.865881662950577 * z * z - 1.119528997770346
    out[13, 0], out[13, 2] = ring, ring_z * x
    out[14, 0] = 2.890611442640554 * x * z
    out[14, 1] = -2.890611442640554 * y * z
    out[14, 2] = 1.445305721320277 * (x * x - y * y)
    out[15, 0] = -0.5900435899266435 * 3.0 * (x * x - y * y)
    out[15, 1] = 0.5900435899266435 * 6.0 * x * y
