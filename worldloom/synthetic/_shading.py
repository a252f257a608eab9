"""Colour of ray hits: mip-mapped textures times interpolated light, in one compiled pass."""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8

_LEVELS = 9


@dataclass(frozen=True, eq=False)
class TexturedSurface:
    """Faces with baked light and prefiltered textures, laid out for the kernel."""

    faces: Int32[np.ndarray, "f 3"]
    light: Float32[np.ndarray, "v 3"]
    """Light at vertices, linear RGB."""
    uv_m: Float32[np.ndarray, "v 2"]
    """Texture coordinates at vertices, metres."""
    patch: Int32[np.ndarray, "f"]
    """Patch of each face."""
    size_m: Float32[np.ndarray, "p 2"]
    emission: Float32[np.ndarray, "p"]
    texels: UInt8[np.ndarray, "t 3"]
    """Texels of all patches and levels, sRGB."""
    level_start: Int64[np.ndarray, "p l"]
    level_size: Int32[np.ndarray, "p l 2"]
    """Width and height of each level."""


def pack_textures(
    textures: list[UInt8[np.ndarray, "_ _ 3"]],
) -> tuple[UInt8[np.ndarray, "t 3"], Int64[np.ndarray, "p l"], Int32[np.ndarray, "p l 2"]]:
    """Builds the mip levels of textures and packs them into one array of texels.

    Returns:
        Texels, the first texel of each level, and the width and height of each level.
    """
    flat: list[np.ndarray] = []
    start = np.zeros((len(textures), _LEVELS), np.int64)
    size = np.zeros((len(textures), _LEVELS, 2), np.int32)
    position = 0
    for index, texture in enumerate(textures):
        image = texture
        for level in range(_LEVELS):
            height, width = image.shape[:2]
            start[index, level], size[index, level] = position, (width, height)
            flat.append(image.reshape(-1, 3))
            position += width * height
            half = max(1, width // 2), max(1, height // 2)
            image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    return np.concatenate(flat), start, size


def linear_from_srgb(values: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Returns linear light of sRGB values in 0 to 1 (IEC 61966-2-1)."""
    low = values / 12.92
    high = np.power((np.maximum(values, 0) + 0.055) / 1.055, 2.4)
    return np.where(values <= 0.04045, low, high).astype(np.float32)


def srgb_from_linear(values: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Returns sRGB values of linear light in 0 to 1 (IEC 61966-2-1)."""
    low = values * 12.92
    high = 1.055 * np.power(np.maximum(values, 0), 1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, low, high).astype(np.float32)


_LINEAR = linear_from_srgb(np.arange(256) / 255)


def shade(
    surface: TexturedSurface,
    face: Int32[np.ndarray, "n"],
    barycentric: Float32[np.ndarray, "n 3"],
    footprint_m: Float32[np.ndarray, "n"],
) -> Float32[np.ndarray, "n 3"]:
    """Returns the radiance, linear RGB, that hits send back; 0 where `face` is -1.

    Args:
        surface: What is hit.
        face: Face of each hit.
        barycentric: Weights of its corners.
        footprint_m: Size on the surface over which the texture is averaged.
    """
    return _shade(
        face,
        barycentric,
        footprint_m,
        surface.faces,
        surface.light,
        surface.uv_m,
        surface.patch,
        surface.size_m,
        surface.emission,
        surface.texels,
        surface.level_start,
        surface.level_size,
        _LINEAR,
    )


@numba.njit(cache=True, nogil=True)
def _shade(
    hit_face: Int32[np.ndarray, "n"],
    barycentric: Float32[np.ndarray, "n 3"],
    footprint_m: Float32[np.ndarray, "n"],
    faces: Int32[np.ndarray, "f 3"],
    light: Float32[np.ndarray, "v 3"],
    uv_m: Float32[np.ndarray, "v 2"],
    patch_of_face: Int32[np.ndarray, "f"],
    size_m: Float32[np.ndarray, "p 2"],
    emission: Float32[np.ndarray, "p"],
    texels: UInt8[np.ndarray, "t 3"],
    level_start: Int64[np.ndarray, "p l"],
    level_size: Int32[np.ndarray, "p l 2"],
    linear: Float32[np.ndarray, "256"],
) -> Float32[np.ndarray, "n 3"]:
    out = np.zeros((hit_face.shape[0], 3), np.float32)
    levels = level_start.shape[1]
    for i in range(hit_face.shape[0]):
        face = hit_face[i]
        if face < 0:
            continue
        patch = patch_of_face[face]
        u, v = np.float32(0), np.float32(0)
        glow = emission[patch]
        shine = np.zeros(3, np.float32)
        for k in range(3):
            weight, vertex = barycentric[i, k], faces[face, k]
            u += weight * uv_m[vertex, 0]
            v += weight * uv_m[vertex, 1]
            for c in range(3):
                shine[c] += weight * light[vertex, c]
        texel_m = size_m[patch, 0] / level_size[patch, 0, 0]
        position = min(max(np.log2(max(footprint_m[i] / texel_m, 1.0)), 0.0), levels - 1.001)
        lower = int(position)
        blend = position - lower
        for step in range(2):
            level = lower + step
            share = blend if step else 1 - blend
            width, height = level_size[patch, level, 0], level_size[patch, level, 1]
            x = min(max(u / size_m[patch, 0] * width - 0.5, 0.0), width - 1.0)
            y = min(max(v / size_m[patch, 1] * height - 0.5, 0.0), height - 1.0)
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            fx, fy = x - x0, y - y0
            start = level_start[patch, level]
            for c in range(3):
                top = (1 - fx) * linear[texels[start + y0 * width + x0, c]]
                top += fx * linear[texels[start + y0 * width + x1, c]]
                low = (1 - fx) * linear[texels[start + y1 * width + x0, c]]
                low += fx * linear[texels[start + y1 * width + x1, c]]
                out[i, c] += share * ((1 - fy) * top + fy * low) * (shine[c] + glow)
    return out
