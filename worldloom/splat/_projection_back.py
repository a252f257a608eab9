"""Kernels: gradients by a view back to the Gaussians in it; the other way of `_projection`."""

import numba
import numpy as np

from worldloom.splat._basis import basis_of, basis_slopes_of
from worldloom.splat._projection import View, footprint_of, turn_of


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project_back(  # noqa: C901, a kernel is one loop nest
    first: int,
    step: int,
    view: View,
    means: np.ndarray,
    rotations: np.ndarray,
    scales: np.ndarray,
    sh: np.ndarray,
    degree: int,
    projected: np.ndarray,
    rows: np.ndarray,
    slopes: np.ndarray,
    means_slope: np.ndarray,
    rotations_slope: np.ndarray,
    scales_slope: np.ndarray,
    opacities_slope: np.ndarray,
    sh_slope: np.ndarray,
) -> None:
    """Carries the gradients of what `project` wrote back to the Gaussians `rows` [m].

    `slopes` [m 10] are those of the first ten columns of `projected`.
    """
    cam = view.cam_from_world
    turn, spread, turn_slope = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    b, b_slope, p = np.empty((2, 3)), np.empty((2, 3)), np.empty(3)
    spread_slope, basis, basis_slopes = np.empty((3, 3)), np.empty(16), np.empty((16, 3))
    p_slope, toward = np.empty(3), np.empty(3)
    edge_x, edge_y = 0.15 * view.width_px, 0.15 * view.height_px
    bands = (degree + 1) * (degree + 1)
    for row in range(first, len(rows), step):
        n = rows[row]
        s = slopes[row]
        for i in range(3):
            p[i] = (
                cam[i, 0] * means[n, 0]
                + cam[i, 1] * means[n, 1]
                + cam[i, 2] * means[n, 2]
                + cam[i, 3]
            )
        length = turn_of(rotations[n], turn)
        footprint_of(view, p, turn, scales[n], spread, b)
        opacities_slope[row] = s[5]
        # V_cov = -K V K, for the inverse K of the covariance.
        a, o, c = (
            np.float64(projected[n, 2]),
            np.float64(projected[n, 3]),
            np.float64(projected[n, 4]),
        )
        va, vo, vc = np.float64(s[2]), 0.5 * np.float64(s[3]), np.float64(s[4])
        pa, pb = a * va + o * vo, a * vo + o * vc
        pc, pd = o * va + c * vo, o * vo + c * vc
        v00, v01, v11 = -(pa * a + pb * o), -(pa * o + pb * c), -(pc * o + pd * c)
        for j in range(3):
            b_slope[0, j] = 2.0 * (v00 * b[0, j] + v01 * b[1, j])
            b_slope[1, j] = 2.0 * (v01 * b[0, j] + v11 * b[1, j])
        z = p[2]
        low_x, high_x = -(view.cx + edge_x) / view.fx, (view.width_px - view.cx + edge_x) / view.fx
        low_y, high_y = -(view.cy + edge_y) / view.fy, (view.height_px - view.cy + edge_y) / view.fy
        ux, uy = min(max(p[0] / z, low_x), high_x), min(max(p[1] / z, low_y), high_y)
        ux_slope, uy_slope, z_slope = 0.0, 0.0, 0.0
        for j in range(3):
            tx, ty = view.fx / z * b_slope[0, j], view.fy / z * b_slope[1, j]
            spread_slope[0, j], spread_slope[1, j] = tx, ty
            spread_slope[2, j] = -ux * tx - uy * ty
            ux_slope -= tx * spread[2, j]
            uy_slope -= ty * spread[2, j]
            z_slope -= (b_slope[0, j] * b[0, j] + b_slope[1, j] * b[1, j]) / z
        p_slope[0] = np.float64(s[0]) * view.fx / z
        p_slope[1] = np.float64(s[1]) * view.fy / z
        z_slope -= (p_slope[0] * p[0] + p_slope[1] * p[1]) / z
        if low_x < p[0] / z < high_x:
            p_slope[0] += ux_slope / z
            z_slope -= ux_slope * p[0] / (z * z)
        if low_y < p[1] / z < high_y:
            p_slope[1] += uy_slope / z
            z_slope -= uy_slope * p[1] / (z * z)
        p_slope[2] = z_slope + np.float64(s[9])
        for j in range(3):
            scale_slope = 0.0
            for i in range(3):
                total = 0.0
                for k in range(3):
                    total += cam[k, i] * spread_slope[k, j]
                scale_slope += total * turn[i, j]
                turn_slope[i, j] = total * scales[n, j]
            scales_slope[row, j] = scale_slope
        _turn_back(rotations[n], length, turn_slope, rotations_slope[row])
        dx, dy, dz = (
            means[n, 0] - view.centre_in_world[0],
            means[n, 1] - view.centre_in_world[1],
            means[n, 2] - view.centre_in_world[2],
        )
        far = np.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy, dz = dx / far, dy / far, dz / far
        basis_of(dx, dy, dz, degree, basis)
        basis_slopes_of(dx, dy, dz, degree, basis_slopes)
        toward[:] = 0.0
        for channel in range(3):
            if projected[n, 6 + channel] <= 0.0:
                sh_slope[row, :, channel] = 0
                continue
            slope = np.float64(s[6 + channel])
            for k in range(bands, sh.shape[1]):
                sh_slope[row, k, channel] = 0
            for k in range(bands):
                sh_slope[row, k, channel] = slope * basis[k]
                for i in range(3):
                    toward[i] += slope * sh[n, k, channel] * basis_slopes[k, i]
        radial = toward[0] * dx + toward[1] * dy + toward[2] * dz
        means_slope[row, 0] = (toward[0] - radial * dx) / far
        means_slope[row, 1] = (toward[1] - radial * dy) / far
        means_slope[row, 2] = (toward[2] - radial * dz) / far
        for i in range(3):
            means_slope[row, i] += (
                cam[0, i] * p_slope[0] + cam[1, i] * p_slope[1] + cam[2, i] * p_slope[2]
            )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turn_back(rotation: np.ndarray, length: float, v: np.ndarray, out: np.ndarray) -> None:
    """Gradient by the quaternion from that by its matrix, through the normalisation."""
    w, x, y, z = (
        rotation[0] / length,
        rotation[1] / length,
        rotation[2] / length,
        rotation[3] / length,
    )
    vw = 2 * (x * (v[2, 1] - v[1, 2]) + y * (v[0, 2] - v[2, 0]) + z * (v[1, 0] - v[0, 1]))
    vx = 2 * (
        -2 * x * (v[1, 1] + v[2, 2])
        + y * (v[0, 1] + v[1, 0])
        + z * (v[0, 2] + v[2, 0])
        + w * (v[2, 1] - v[1, 2])
    )
    vy = 2 * (
        x * (v[0, 1] + v[1, 0])
        - 2 * y * (v[0, 0] + v[2, 2])
        + z * (v[1, 2] + v[2, 1])
        + w * (v[0, 2] - v[2, 0])
    )
    vz = 2 * (
        x * (v[0, 2] + v[2, 0])
        + y * (v[1, 2] + v[2, 1])
        - 2 * z * (v[0, 0] + v[1, 1])
        + w * (v[1, 0] - v[0, 1])
    )
    along = vw * w + vx * x + vy * y + vz * z
    out[0], out[1] = (vw - along * w) / length, (vx - along * x) / length
    out[2], out[3] = (vy - along * y) / length, (vz - along * z) / length
