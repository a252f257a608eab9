"""Kernels: Gaussians into a view and their gradients back (EWA splatting).

Zwicker et al., "EWA volume splatting", 2001; colours by spherical harmonics in the basis of Sloan,
"Efficient spherical harmonic evaluation", JCGT 2013. Conventions are those of gsplat 1.5: 0.3
pixels^2 are added to the covariance, a Gaussian ends where its alpha is below 1/255, the Jacobian
is taken no further outside of the image than 15% of its size, colours are cut at 0.

Scalars are of 64 bits here; this is a small part of the time.
"""

from typing import NamedTuple

import numba
import numpy as np

BLUR_PX2 = 0.3
"""Added to the projected covariance, pixels^2: the pixel has an extent."""
MIN_ALPHA = 1.0 / 255.0
"""Less is not seen."""
COLUMNS = 16
"""Columns of a projected Gaussian, see `project`; a cache line."""


class View(NamedTuple):
    """A pinhole camera as the kernels take it."""

    cam_from_world: np.ndarray
    """[3 4]."""
    centre_in_world: np.ndarray
    """[3]."""
    fx: float
    fy: float
    cx: float
    cy: float
    width_px: int
    height_px: int
    near_m: float
    """Gaussians whose centre is nearer are left out."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _basis(x: float, y: float, z: float, degree: int, out: np.ndarray) -> None:
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
def _basis_slopes(x: float, y: float, z: float, degree: int, out: np.ndarray) -> None:
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turn(rotation: np.ndarray, out: np.ndarray) -> float:
    """The matrix of a quaternion, made unit first; returns its length."""
    w, x, y, z = rotation[0], rotation[1], rotation[2], rotation[3]
    length = np.sqrt(np.float64(w) * w + np.float64(x) * x + np.float64(y) * y + np.float64(z) * z)
    w, x, y, z = w / length, x / length, y / length, z / length
    out[0, 0], out[0, 1], out[0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    out[1, 0], out[1, 1], out[1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    out[2, 0], out[2, 1], out[2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    return length


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _footprint(
    view: View,
    p: np.ndarray,
    turn: np.ndarray,
    scale: np.ndarray,
    spread: np.ndarray,
    b: np.ndarray,
) -> None:
    """Fills `spread` = R_cam R s [3 3] and `b` = J spread [2 3], at the point p of the camera."""
    cam = view.cam_from_world
    for i in range(3):
        for j in range(3):
            total = 0.0
            for k in range(3):
                total += cam[i, k] * turn[k, j]
            spread[i, j] = total * scale[j]
    edge_x, edge_y = 0.15 * view.width_px, 0.15 * view.height_px
    ux = min(
        max(p[0] / p[2], -(view.cx + edge_x) / view.fx),
        (view.width_px - view.cx + edge_x) / view.fx,
    )
    uy = min(
        max(p[1] / p[2], -(view.cy + edge_y) / view.fy),
        (view.height_px - view.cy + edge_y) / view.fy,
    )
    for j in range(3):
        b[0, j] = view.fx / p[2] * (spread[0, j] - ux * spread[2, j])
        b[1, j] = view.fy / p[2] * (spread[1, j] - uy * spread[2, j])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project(
    first: int,
    step: int,
    view: View,
    means: np.ndarray,
    rotations: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    sh: np.ndarray,
    degree: int,
    projected: np.ndarray,
    boxes: np.ndarray,
) -> None:
    """Projects every `step`-th Gaussian.

    Writes `projected` [n 16]: x, y; the inverse covariance a, b, c (a dx^2 + 2 b dx dy + c dy^2 is
    the squared distance); opacity; r, g, b; depth of the centre; then four of the plane of its two
    longer axes: inverse depth at the centre, its slopes in x and y, and the reach in depth of the
    Gaussian. `boxes` [n 4]: pixels x0, y0, x1, y1 (end excluded) outside of which alpha is below
    `MIN_ALPHA`; empty where it is not seen.
    """
    cam = view.cam_from_world
    turn, spread = np.empty((3, 3)), np.empty((3, 3))
    b, p, basis = np.empty((2, 3)), np.empty(3), np.empty(16)
    bands = (degree + 1) * (degree + 1)
    for n in range(first, len(means), step):
        boxes[n] = 0
        for i in range(3):
            p[i] = (
                cam[i, 0] * means[n, 0]
                + cam[i, 1] * means[n, 1]
                + cam[i, 2] * means[n, 2]
                + cam[i, 3]
            )
        opacity = np.float64(opacities[n])
        if p[2] <= view.near_m or opacity < MIN_ALPHA:
            continue
        x, y = view.fx * p[0] / p[2] + view.cx, view.fy * p[1] / p[2] + view.cy
        _turn(rotations[n], turn)
        _footprint(view, p, turn, scales[n], spread, b)
        xx = b[0, 0] * b[0, 0] + b[0, 1] * b[0, 1] + b[0, 2] * b[0, 2] + BLUR_PX2
        xy = b[0, 0] * b[1, 0] + b[0, 1] * b[1, 1] + b[0, 2] * b[1, 2]
        yy = b[1, 0] * b[1, 0] + b[1, 1] * b[1, 1] + b[1, 2] * b[1, 2] + BLUR_PX2
        determinant = max(xx * yy - xy * xy, 1e-10)
        reach = np.sqrt(2.0 * np.log(opacity / MIN_ALPHA))
        reach_x, reach_y = reach * np.sqrt(xx), reach * np.sqrt(yy)
        x0, x1 = np.ceil(x - reach_x - 0.5), np.floor(x + reach_x - 0.5) + 1.0
        y0, y1 = np.ceil(y - reach_y - 0.5), np.floor(y + reach_y - 0.5) + 1.0
        x0, x1 = max(x0, 0.0), min(x1, np.float64(view.width_px))
        y0, y1 = max(y0, 0.0), min(y1, np.float64(view.height_px))
        if not (x0 < x1 and y0 < y1):
            continue
        boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = int(x0), int(y0), int(x1), int(y1)
        out = projected[n]
        out[0], out[1] = x, y
        out[2], out[3], out[4] = yy / determinant, -xy / determinant, xx / determinant
        out[5], out[9] = opacity, p[2]
        dx, dy, dz = (
            means[n, 0] - view.centre_in_world[0],
            means[n, 1] - view.centre_in_world[1],
            means[n, 2] - view.centre_in_world[2],
        )
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        _basis(dx / length, dy / length, dz / length, degree, basis)
        for channel in range(3):
            color = 0.5
            for k in range(bands):
                color += basis[k] * sh[n, k, channel]
            out[6 + channel] = max(color, 0.0)
        _plane(view, p, turn, scales[n], out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _plane(view: View, p: np.ndarray, turn: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """Inverse depth over the pixels of the plane of a Gaussian, and its reach in depth."""
    cam = view.cam_from_world
    thin = 0
    for axis in range(1, 3):
        if scale[axis] < scale[thin]:
            thin = axis
    nx = cam[0, 0] * turn[0, thin] + cam[0, 1] * turn[1, thin] + cam[0, 2] * turn[2, thin]
    ny = cam[1, 0] * turn[0, thin] + cam[1, 1] * turn[1, thin] + cam[1, 2] * turn[2, thin]
    nz = cam[2, 0] * turn[0, thin] + cam[2, 1] * turn[1, thin] + cam[2, 2] * turn[2, thin]
    along = nx * p[0] + ny * p[1] + nz * p[2]
    distance = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
    out[10] = 1.0 / p[2]
    # Seen edge on, the plane says nothing about depth.
    if abs(along) > 0.05 * distance:
        out[11], out[12] = nx / along / view.fx, ny / along / view.fy
    else:
        out[11], out[12] = 0.0, 0.0
    out[13] = 3.0 * max(scale[0], scale[1], scale[2])
    # The normal, towards the camera, for what renders normals.
    sign = -1.0 if along > 0.0 else 1.0
    out[14], out[15] = sign * nx, sign * ny


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
        length = _turn(rotations[n], turn)
        _footprint(view, p, turn, scales[n], spread, b)
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
        _basis(dx, dy, dz, degree, basis)
        _basis_slopes(dx, dy, dz, degree, basis_slopes)
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
