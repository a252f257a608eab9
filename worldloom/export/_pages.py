"""Texture pages as images: brought to a size, packed and encoded as PNG."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.errors import ExportError
from worldloom.scene import Texture, TextureKind

FIRST_TILE = 1001
"""UDIM number of the first page."""
_SMALLEST_PX = 16


@dataclass(frozen=True, eq=False)
class Page:
    """The images of one page; a kind that was not baked is missing."""

    tile: int
    """UDIM number, 1001 + page."""
    images: dict[TextureKind, UInt8[np.ndarray, "h w c"]]

    def png(self, kind: TextureKind) -> bytes:
        """Encodes one image, lossless."""
        return png(self.images[kind])

    def metallic_roughness_png(self) -> bytes:
        """Encodes roughness as glTF reads it: in green, with metallic 0 in blue."""
        roughness = self.images["roughness"][..., 0]
        packed = np.stack([np.full_like(roughness, 255), roughness, np.zeros_like(roughness)], -1)
        return png(packed)


def pages(textures: dict[TextureKind, Texture], resolution_px: int | None = None) -> list[Page]:
    """Brings textures to a size, page by page.

    Args:
        textures: By kind, all with the same number of pages.
        resolution_px: Longer side of each page; None keeps the size of the bake.

    Raises:
        ExportError: the kinds have other numbers of pages, or `resolution_px` is too small, or
            above what was baked.
    """
    counts = {kind: len(texture.pages) for kind, texture in textures.items()}
    if len(set(counts.values())) > 1:
        raise ExportError(f"the textures differ in their pages ({counts}); bake them together")
    _require_size(textures, resolution_px)
    return [
        Page(
            FIRST_TILE + number,
            {
                kind: _resized(texture.pages[number], kind, resolution_px)
                for kind, texture in textures.items()
            },
        )
        for number in range(max(counts.values(), default=0))
    ]


def png(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """Encodes an image of one or three channels (RGB), lossless."""
    ordered = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", ordered)[1].tobytes()


def _require_size(textures: dict[TextureKind, Texture], resolution_px: int | None) -> None:
    if resolution_px is None or not textures:
        return
    if resolution_px < _SMALLEST_PX:
        raise ExportError(
            f"a texture resolution of {resolution_px} px is too small; give at least {_SMALLEST_PX}"
        )
    baked = max(max(page.shape[:2]) for texture in textures.values() for page in texture.pages)
    if resolution_px > baked:
        raise ExportError(
            f"the textures were baked at {baked} px, {resolution_px} px would add no detail; ask "
            f"for at most {baked}, or bake them larger"
        )


def _resized(
    image: UInt8[np.ndarray, "h w c"], kind: TextureKind, resolution_px: int | None
) -> UInt8[np.ndarray, "_ _ c"]:
    height, width = image.shape[:2]
    longer = max(height, width)
    if resolution_px is None or resolution_px >= longer:
        return image
    size = (
        max(1, round(width * resolution_px / longer)),
        max(1, round(height * resolution_px / longer)),
    )
    # Light, not its sRGB code, is what a coarser texel is the mean of.
    values = linear_light(image) if kind == "albedo" else image.astype(np.float32) / 255
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    if kind == "albedo":
        small = _srgb(small)
    elif kind == "normal":
        small = _normalised(small)
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)


def linear_light(srgb: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Returns linear light, 0 to 1, of 8-bit sRGB values (IEC 61966-2-1)."""
    return _LINEAR[srgb]


def _srgb(linear: Float32[np.ndarray, "h w c"]) -> Float32[np.ndarray, "h w c"]:
    curved = 1.055 * np.power(np.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved).astype(np.float32)


def _normalised(encoded: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Returns coded normals of length 1 again, as a mean of unit vectors is shorter."""
    normals = encoded * np.float32(255 / 127.5) - np.float32(128 / 127.5)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit = np.where(length > 1e-6, normals / np.maximum(length, 1e-6), (0.0, 0.0, 1.0))
    return ((unit * 127.5 + 128) / 255).astype(np.float32)


def _linear_table() -> Float32[np.ndarray, "256"]:
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_table()
