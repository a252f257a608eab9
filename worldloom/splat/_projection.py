"""Kernels: Gaussians into a view (EWA splatting).

Zwicker et al., "EWA volume splatting", 2001; colours by spherical harmonics. Conventions are those
of gsplat 1.5: 0.3 pixels^2 are added to the covariance, a Gaussian ends where its alpha is below
1/255, the Jacobian is taken no further outside of the image than 15% of its size, colours are cut
at 0.

Scalars are of 64 bits here; this is a small part of the time.
"""

from typing import NamedTuple

import numba
import numpy as np

from worldloom.splat._basis import basis_of

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
def turn_of(rotation: np.ndarray, out: np.ndarray) -> float:
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
def footprint_of(
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
        turn_of(rotations[n], turn)
        footprint_of(view, p, turn, scales[n], spread, b)
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
        basis_of(dx / length, dy / length, dz / length, degree, basis)
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
