"""Procedural materials: functions from a canvas to sRGB colours in 0 to 1."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, Float32

from worldloom.synthetic._canvas import Canvas

Colors = Float[np.ndarray, "h w 3"]
Rgb = tuple[float, float, float]
Material = Callable[[Canvas], Colors]


def rgb(red: float, green: float, blue: float) -> Float32[np.ndarray, "3"]:
    """Returns a colour as an array."""
    return np.array([red, green, blue], np.float32)


def _tinted(color: Rgb, brightness: np.ndarray) -> Colors:
    """Returns a colour scaled by a brightness field."""
    return rgb(*color) * brightness[..., None].astype(np.float32)


def _line_mask(distance_m: np.ndarray, half_width_m: float, texel_m: float) -> np.ndarray:
    """Returns 1 on a line and 0 off it, smooth over about a texel."""
    return np.clip((half_width_m - distance_m) / max(texel_m, 1e-6) + 0.5, 0, 1)


def plaster(canvas: Canvas, color: Rgb = (0.78, 0.72, 0.62), contrast: float = 0.09) -> Colors:
    """Lime-washed plaster: cloudy, with stains and grit."""
    cloud = canvas.fractal(0.5, octaves=7, gain=0.85)
    specks = np.clip(canvas.noise(0.03) - 1.5, 0, 1)
    brightness = 1 + contrast * cloud - 0.25 * specks
    tint = 0.015 * canvas.fractal(0.6, octaves=3)[..., None] * rgb(1.0, 0.2, -1.0)
    return _tinted(color, brightness) + tint


def bricks(canvas: Canvas, color: Rgb = (0.60, 0.31, 0.22), length_m: float = 0.25) -> Colors:
    """Running-bond brickwork with mortar."""
    height_m = length_m / 3
    row = np.floor(canvas.v / height_m).astype(int)
    shifted = canvas.u + 0.5 * length_m * (row % 2)
    column = np.floor(shifted / length_m).astype(int)
    across = np.abs(shifted / length_m - column - 0.5) * length_m
    along = np.abs(canvas.v / height_m - row - 0.5) * height_m
    edge = np.minimum(length_m / 2 - across, height_m / 2 - along)
    wobble = 0.0025 * canvas.fractal(0.06, octaves=3)
    mortar = _line_mask(edge + wobble, 0.007, canvas.texel_m)[..., None]
    tone = canvas.cells(row, column, 3)
    grit = canvas.fractal(0.12, octaves=6, gain=0.85)
    brick = _tinted(color, 1 + 0.16 * tone[..., 0] + 0.17 * grit)
    brick += 0.035 * tone[..., 1:2] * rgb(1.0, 0.3, -0.4)
    bed = _tinted((0.66, 0.62, 0.56), 1 + 0.1 * canvas.fractal(0.1, octaves=5))
    return brick * (1 - mortar) + bed * mortar


def planks(
    canvas: Canvas, color: Rgb = (0.55, 0.37, 0.22), width_m: float = 0.14, length_m: float = 1.3
) -> Colors:
    """Wooden boards along u, with grain and knots."""
    row = np.floor(canvas.v / width_m).astype(int)
    offset = canvas.cells(row, np.zeros_like(row))[..., 0]
    shifted = canvas.u + (offset - offset.min()) * length_m
    column = np.floor(shifted / length_m).astype(int)
    tone = canvas.cells(row, column, 2)
    grain = canvas.fractal(0.05, octaves=5, gain=0.8, stretch=14.0)
    rings = np.sin(55 * canvas.v + 3.5 * canvas.noise(0.9, 0.16) + 9 * tone[..., 1])
    knots = np.clip(canvas.noise(0.11, 0.05) - 1.9, 0, 0.6)
    pores = canvas.fractal(0.03, octaves=3, gain=0.9, stretch=3.0)
    brightness = 1 + 0.15 * tone[..., 0] + 0.13 * grain + 0.06 * rings + 0.05 * pores - 0.7 * knots
    seam_v = np.abs(canvas.v / width_m - row - 0.5) * width_m
    seam_u = np.abs(shifted / length_m - column - 0.5) * length_m
    gap = np.minimum(width_m / 2 - seam_v, length_m / 2 - seam_u)
    brightness *= 1 - 0.65 * _line_mask(gap, 0.003, canvas.texel_m)
    return _tinted(color, brightness)


def tiles(
    canvas: Canvas,
    color: Rgb = (0.80, 0.76, 0.68),
    accent: Rgb = (0.22, 0.38, 0.48),
    size_m: float = 0.3,
) -> Colors:
    """Patterned cement tiles, no two quite alike."""
    row = np.floor(canvas.v / size_m).astype(int)
    column = np.floor(canvas.u / size_m).astype(int)
    x = canvas.u / size_m - column - 0.5
    y = canvas.v / size_m - row - 0.5
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    flower = radius < 0.26 + 0.12 * np.cos(4 * turn)
    corner = np.hypot(np.abs(x) - 0.5, np.abs(y) - 0.5) < 0.22
    pattern = cv2.GaussianBlur((flower ^ corner).astype(np.float32), (0, 0), 0.7)[..., None]
    tone = canvas.cells(row, column, 2)
    wear = canvas.fractal(0.25, octaves=6, gain=0.85)
    brightness = 1 + 0.07 * tone[..., 0] + 0.09 * wear
    colors = _tinted(color, brightness) * (1 - pattern) + _tinted(accent, brightness) * pattern
    joint = _line_mask(0.5 * size_m - np.maximum(np.abs(x), np.abs(y)) * size_m, 0.004, 0.004)
    return colors * (1 - 0.5 * joint[..., None])


def stone(canvas: Canvas, color: Rgb = (0.66, 0.64, 0.60), vein: float = 0.35) -> Colors:
    """Veined, speckled stone."""
    veins = np.abs(canvas.fractal(0.30, octaves=5, gain=0.65))
    veins = np.exp(-7 * veins)
    brightness = 1 + 0.12 * canvas.fractal(0.16, octaves=6, gain=0.85) - vein * veins
    return _tinted(color, brightness) + 0.05 * veins[..., None] * rgb(1.0, 0.5, -0.2)


def glaze(
    canvas: Canvas, color: Rgb = (0.20, 0.42, 0.50), accent: Rgb = (0.85, 0.78, 0.62)
) -> Colors:
    """Hand-painted ceramic: bands and strokes on a mottled glaze."""
    level = canvas.v / canvas.height_m + 0.012 * canvas.fractal(0.2, octaves=3)
    waves = np.sin(2 * np.pi * canvas.u / 0.11) * 0.03
    bands = (np.abs(level - 0.3 - waves) < 0.035) | (np.abs(level - 0.72) < 0.03)
    strokes = canvas.noise(0.045, 0.09) > 0.95
    paint = cv2.GaussianBlur((bands | strokes).astype(np.float32), (0, 0), 0.8)[..., None]
    brightness = 1 + 0.13 * canvas.fractal(0.10, octaves=6, gain=0.85)
    return _tinted(color, brightness) * (1 - paint) + _tinted(accent, brightness) * paint
