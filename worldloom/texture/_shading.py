"""Colours of texels, summed view by view."""

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from worldloom.cameras import Camera
from worldloom.texture._blend import ViewWeights
from worldloom.texture._look_kernels import bilinear
from worldloom.texture._texels import Texels

_MOST_SAMPLES = 4


class TexelColors:
    """Sums of the colours of texels.

    Args:
        texels: What is coloured.
        corners_in_world: Corners of the faces of the part.
        corners_px: The same on the page, texels.
    """

    def __init__(
        self,
        texels: Texels,
        corners_in_world: Float64[np.ndarray, "f 3 3"],
        corners_px: Float64[np.ndarray, "f 3 2"],
    ) -> None:
        self._texels = texels
        self._corners = corners_in_world
        self._steps = _steps_of_texels(corners_px)
        self._sums = np.zeros((len(texels), 3), np.float32)

    def add_view(
        self, camera: Camera, image: Float32[np.ndarray, "h w 3"], weights: ViewWeights
    ) -> None:
        """Adds what a view shows; where its pixels are finer than texels, the mean over them.

        Args:
            camera: At the size of the image.
            image: sRGB levels, exposure undone.
            weights: Of the view at the corners of the faces.
        """
        lens = camera.intrinsics
        _add_view(
            self._texels.face,
            self._texels.barycentric,
            self._corners,
            self._steps,
            weights.weight,
            weights.offset,
            np.ascontiguousarray(camera.cam_from_world[:3]),
            np.array([lens.fx, lens.fy, lens.cx, lens.cy]),
            image,
            self._sums,
        )

    def add_vertices(self, colors: Float32[np.ndarray, "f 3 3"], weights: ViewWeights) -> None:
        """Adds colours of the corners of faces, where no view shows them."""
        _add_vertices(
            self._texels.face,
            self._texels.barycentric,
            colors,
            weights.weight,
            weights.offset,
            self._sums,
        )

    def colors(self) -> UInt8[np.ndarray, "n 3"]:
        """Returns the colours, sRGB."""
        return np.clip(np.rint(self._sums), 0, 255).astype(np.uint8)

    def levels(self) -> Float32[np.ndarray, "n 3"]:
        """Returns the colours as levels, not rounded; may go beyond 0 to 255."""
        return self._sums


def _steps_of_texels(corners_px: Float64[np.ndarray, "f 3 2"]) -> Float64[np.ndarray, "f 2 2"]:
    """Change of the second and third barycentric weight per texel along x and y."""
    u, w = corners_px[:, 1] - corners_px[:, 0], corners_px[:, 2] - corners_px[:, 0]
    area = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
    steps = np.stack(
        [
            np.stack([w[:, 1], -w[:, 0]], axis=1),
            np.stack([-u[:, 1], u[:, 0]], axis=1),
        ],
        axis=1,
    )
    safe = np.where(area == 0, 1, area)
    return np.where((area == 0)[:, None, None], 0, steps / safe[:, None, None])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inner(b0: float, b1: float, b2: float, out: np.ndarray) -> None:
    """Nearest barycentric weights that are not negative, for mixing corners."""
    out[0], out[1], out[2] = max(b0, 0.0), max(b1, 0.0), max(b2, 0.0)
    total = out[0] + out[1] + out[2]
    for k in range(3):
        out[k] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _projected(
    b1: float, b2: float, corners: np.ndarray, pose: np.ndarray, lens: np.ndarray, out: np.ndarray
) -> None:
    """Pixel position of a point of a face, and its depth."""
    b0 = 1.0 - b1 - b2
    x = b0 * corners[0, 0] + b1 * corners[1, 0] + b2 * corners[2, 0]
    y = b0 * corners[0, 1] + b1 * corners[1, 1] + b2 * corners[2, 1]
    z = b0 * corners[0, 2] + b1 * corners[1, 2] + b2 * corners[2, 2]
    deep = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
    right = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
    down = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
    out[0] = lens[0] * right / deep + lens[2]
    out[1] = lens[1] * down / deep + lens[3]
    out[2] = deep


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _samples_of_faces(
    corners: np.ndarray, steps: np.ndarray, weight: np.ndarray, pose: np.ndarray, lens: np.ndarray
) -> np.ndarray:
    """Samples along a texel of each face, so that no pixel is passed over; 0 where not needed."""
    samples = np.zeros(len(corners), np.int64)
    at, along, across = np.empty(3), np.empty(3), np.empty(3)
    third = 1.0 / 3.0
    for f in range(len(corners)):
        if weight[f].max() <= 0.0:
            continue
        _projected(third, third, corners[f], pose, lens, at)
        d = steps[f]
        _projected(third + d[0, 0], third + d[1, 0], corners[f], pose, lens, along)
        _projected(third + d[0, 1], third + d[1, 1], corners[f], pose, lens, across)
        longest = max(
            np.hypot(along[0] - at[0], along[1] - at[1]),
            np.hypot(across[0] - at[0], across[1] - at[1]),
        )
        samples[f] = 1
        if longest > 1.25:
            samples[f] = int(min(np.ceil(longest), float(_MOST_SAMPLES)))
    return samples


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_view(
    face: np.ndarray,
    barycentric: np.ndarray,
    corners: np.ndarray,
    steps: np.ndarray,
    weight: np.ndarray,
    offset: np.ndarray,
    pose: np.ndarray,
    lens: np.ndarray,
    image: np.ndarray,
    sums: np.ndarray,
) -> None:
    samples = _samples_of_faces(corners, steps, weight, pose, lens)
    mix, pixel, value, mean = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for n in range(len(face)):
        f = face[n]
        count = samples[f]
        if count == 0:
            continue
        b1, b2 = np.float64(barycentric[n, 1]), np.float64(barycentric[n, 2])
        _inner(1.0 - b1 - b2, b1, b2, mix)
        share = mix[0] * weight[f, 0] + mix[1] * weight[f, 1] + mix[2] * weight[f, 2]
        if share <= 0.0:
            continue
        mean[:] = 0.0
        d = steps[f]
        for i in range(count):
            for j in range(count):
                dx, dy = (i + 0.5) / count - 0.5, (j + 0.5) / count - 0.5
                c1 = b1 + d[0, 0] * dx + d[0, 1] * dy
                c2 = b2 + d[1, 0] * dx + d[1, 1] * dy
                _projected(c1, c2, corners[f], pose, lens, pixel)
                bilinear(image, pixel[0], pixel[1], value)
                for c in range(3):
                    mean[c] += value[c] / (count * count)
        for c in range(3):
            shift = 0.0
            for k in range(3):
                shift += mix[k] * weight[f, k] * offset[f, k, c]
            sums[n, c] += share * mean[c] + shift


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_vertices(
    face: np.ndarray,
    barycentric: np.ndarray,
    colors: np.ndarray,
    weight: np.ndarray,
    offset: np.ndarray,
    sums: np.ndarray,
) -> None:
    mix = np.empty(3)
    for n in range(len(face)):
        f = face[n]
        if weight[f].max() <= 0.0:
            continue
        _inner(barycentric[n, 0], barycentric[n, 1], barycentric[n, 2], mix)
        share = mix[0] * weight[f, 0] + mix[1] * weight[f, 1] + mix[2] * weight[f, 2]
        for c in range(3):
            shown, shift = 0.0, 0.0
            for k in range(3):
                shown += mix[k] * colors[f, k, c]
                shift += mix[k] * weight[f, k] * offset[f, k, c]
            sums[n, c] += share * shown + shift


def page_corners(uv: Float32[np.ndarray, "f 3 2"], side_px: int) -> Float64[np.ndarray, "f 3 2"]:
    """Returns texture coordinates as places on the page, texels, rows from below."""
    return uv.astype(np.float64) * side_px


def corner_values(
    values: Float32[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float32[np.ndarray, "f 3 3"]:
    """Returns values of vertices at the corners of faces."""
    return np.ascontiguousarray(values[faces])
