"""Faces in a view, compiled: their pose, and what the image shows on them."""

from typing import NamedTuple

import cv2
import numba
import numpy as np
from jaxtyping import Float32

NOISE_GRADIENT = 6.0
"""Grey levels a pixel that noise alone makes: plain faces are judged by their size."""
_MOST_STEPS = 8
_PIXELS_A_STEP = 1.5


class Posed(NamedTuple):
    """How all faces lie before a camera."""

    area_px: np.ndarray
    """Square pixels; 0 where the face is not wholly in the image, or the surface looks away."""
    cosine: np.ndarray
    """Of the angle between the line of sight and the normal."""
    reflected: np.ndarray
    """Unit direction in which the line of sight is reflected."""


class Sampled(NamedTuple):
    """What an image shows on some faces."""

    usable: np.ndarray
    """False where the mask or the depth of the view objects."""
    color: np.ndarray
    gradient: np.ndarray
    """Mean gradient, with what noise makes added, grey levels a pixel."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def posed(
    vertices: np.ndarray,
    faces: np.ndarray,
    pixels: np.ndarray,
    depth: np.ndarray,
    centre: np.ndarray,
    size_px: np.ndarray,
    around: np.ndarray,
    min_cosine: float,
    least_cosine: float,
) -> Posed:
    """Poses all faces before a camera.

    Args:
        vertices: v 3, world.
        faces: f 3.
        pixels: v 2, projections of the vertices.
        depth: v, along +z.
        centre: Of the camera, world.
        size_px: Width and height of the image.
        around: f 3, unit normals of the surface around each face.
        min_cosine: Faces that are seen flatter are left out, unless the surface around them is not.
        least_cosine: Faces that are seen flatter are left out in any case.
    """
    count = len(faces)
    area = np.zeros(count, np.float32)
    cosine = np.zeros(count, np.float32)
    reflected = np.zeros((count, 3), np.float32)
    for f in range(count):
        inside = True
        for k in range(3):
            v = faces[f, k]
            if not (
                depth[v] > 1e-9
                and 0.5 <= pixels[v, 0] <= size_px[0] - 0.5
                and 0.5 <= pixels[v, 1] <= size_px[1] - 0.5
            ):
                inside = False
        if not inside:
            continue
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        u, w = b - a, c - a
        nx = u[1] * w[2] - u[2] * w[1]
        ny = u[2] * w[0] - u[0] * w[2]
        nz = u[0] * w[1] - u[1] * w[0]
        sight = centre - (a + b + c) / 3.0
        length = np.sqrt(nx * nx + ny * ny + nz * nz) * np.sqrt((sight * sight).sum())
        if length <= 0.0:
            continue
        dot = nx * sight[0] + ny * sight[1] + nz * sight[2]
        distance = np.sqrt((sight * sight).sum())
        if dot / length < min_cosine:
            turned = 0.0
            for c in range(3):
                turned += around[f, c] * sight[c]
            if dot / length < least_cosine or turned < min_cosine * distance:
                continue
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        area[f] = 0.5 * abs(
            (pixels[j, 0] - pixels[i, 0]) * (pixels[k, 1] - pixels[i, 1])
            - (pixels[j, 1] - pixels[i, 1]) * (pixels[k, 0] - pixels[i, 0])
        )
        cosine[f] = dot / length
        square = nx * nx + ny * ny + nz * nz
        reflected[f, 0] = (2.0 * dot * nx / square - sight[0]) / distance
        reflected[f, 1] = (2.0 * dot * ny / square - sight[1]) / distance
        reflected[f, 2] = (2.0 * dot * nz / square - sight[2]) / distance
    return Posed(area, cosine, reflected)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bilinear(image: np.ndarray, x: float, y: float, out: np.ndarray) -> None:
    """Samples an image between pixel centres, which lie at halves; edges are repeated.

    Args:
        image: h w c.
        x: Column, pixels.
        y: Row, pixels.
        out: c, overwritten.
    """
    height, width, channels = image.shape
    left = min(max(x - 0.5, 0.0), width - 1.0)
    top = min(max(y - 0.5, 0.0), height - 1.0)
    i, j = int(left), int(top)
    i1, j1 = min(i + 1, width - 1), min(j + 1, height - 1)
    fx, fy = left - i, top - j
    for c in range(channels):
        upper = image[j, i, c] * (1.0 - fx) + image[j, i1, c] * fx
        lower = image[j1, i, c] * (1.0 - fx) + image[j1, i1, c] * fx
        out[c] = upper * (1.0 - fy) + lower * fy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample_points(corners: np.ndarray, z: np.ndarray, steps: int) -> np.ndarray:
    """Middles of the steps^2 parts of a face in the image: x, y and depth, true to perspective."""
    points = np.empty((steps * steps, 3))
    n = 0
    for i in range(steps):
        for j in range(2 * (steps - i) - 1):
            # Upward parts have even j, downward ones odd.
            third = 1.0 / 3.0 if j % 2 == 0 else 2.0 / 3.0
            b1 = (i + third) / steps
            b2 = (j // 2 + third) / steps
            b0 = 1.0 - b1 - b2
            points[n, 0] = b0 * corners[0, 0] + b1 * corners[1, 0] + b2 * corners[2, 0]
            points[n, 1] = b0 * corners[0, 1] + b1 * corners[1, 1] + b2 * corners[2, 1]
            points[n, 2] = 1.0 / (b0 / z[0] + b1 / z[1] + b2 / z[2])
            n += 1
    return points


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sampled(
    face: np.ndarray,
    faces: np.ndarray,
    pixels: np.ndarray,
    depth: np.ndarray,
    area_px: np.ndarray,
    image: np.ndarray,
    gradient: np.ndarray,
    mask: np.ndarray,
    own_depth: np.ndarray,
    tolerance: float,
) -> Sampled:
    """Samples an image on faces.

    Args:
        face: n, indices of the faces.
        faces: f 3.
        pixels: v 2, projections of the vertices.
        depth: v.
        area_px: f, square pixels.
        image: h w 3.
        gradient: h w.
        mask: h w, True = data.
        own_depth: Depth map of the view at any size; 0 = unknown.
        tolerance: Share of the depth by which it may differ.
    """
    count = len(face)
    usable = np.zeros(count, np.bool_)
    color = np.zeros((count, 3), np.float32)
    detail = np.zeros(count, np.float32)
    corners, z, value = np.empty((3, 2)), np.empty(3), np.empty(3)
    height, width = mask.shape
    scale_x, scale_y = own_depth.shape[1] / width, own_depth.shape[0] / height
    for n in range(count):
        for k in range(3):
            v = faces[face[n], k]
            corners[k, 0], corners[k, 1], z[k] = pixels[v, 0], pixels[v, 1], depth[v]
        wanted = np.ceil(np.sqrt(area_px[face[n]]) / _PIXELS_A_STEP)
        steps = int(min(max(wanted, 1.0), _MOST_STEPS))
        points = _sample_points(corners, z, steps)
        known, against, data = 0, 0, True
        for p in range(len(points)):
            x, y = points[p, 0], points[p, 1]
            i, j = min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)
            data &= mask[j, i]
            own = own_depth[int(j * scale_y), int(i * scale_x)]
            if own > 0.0:
                known += 1
                against += abs(own - points[p, 2]) > tolerance * points[p, 2]
            bilinear(image, x, y, value)
            for c in range(3):
                color[n, c] += value[c] / len(points)
            detail[n] += gradient[j, i] / len(points)
        detail[n] += NOISE_GRADIENT
        usable[n] = data and 2 * against <= known
    return Sampled(usable, color, detail)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sampled_pixels(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Samples an image at n 2 pixel positions."""
    colors = np.empty((len(pixels), 3))
    for n in range(len(pixels)):
        bilinear(image, pixels[n, 0], pixels[n, 1], colors[n])
    return colors


def gradient_of(image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Returns the length of the gradient of grey, levels a pixel (Scharr's operator)."""
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    across = cv2.Scharr(grey, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(grey, cv2.CV_32F, 0, 1, scale=1 / 32)
    return np.sqrt(across**2 + down**2)
