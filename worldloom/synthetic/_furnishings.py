"""Procedural materials of furniture and of what hangs on walls."""

import cv2
import numpy as np

from worldloom.synthetic._canvas import Canvas
from worldloom.synthetic._materials import Colors, Rgb, rgb

_PAPER: Rgb = (0.93, 0.91, 0.86)
_PALETTE = np.array(
    [
        [0.78, 0.24, 0.17],
        [0.91, 0.66, 0.22],
        [0.16, 0.33, 0.47],
        [0.23, 0.49, 0.42],
        [0.90, 0.85, 0.74],
        [0.13, 0.14, 0.18],
        [0.55, 0.35, 0.52],
    ]
)


def fabric(
    canvas: Canvas, color: Rgb = (0.30, 0.38, 0.50), accent: Rgb = (0.82, 0.74, 0.60)
) -> Colors:
    """Woven cloth with uneven stripes."""
    stripes = np.sin(2 * np.pi * canvas.u / 0.17) + 0.6 * np.sin(2 * np.pi * canvas.u / 0.071 + 1)
    mask = (1 / (1 + np.exp(-9 * (stripes - 0.75)))).astype(np.float32)[..., None]
    weave = canvas.fractal(0.02, octaves=3, gain=0.9, stretch=0.4)
    folds = canvas.fractal(0.35, octaves=5, gain=0.75)
    brightness = (1 + 0.12 * weave + 0.12 * folds)[..., None]
    base = rgb(*color) * (1 - mask) + rgb(*accent) * mask
    return (base * brightness).astype(np.float32)


def rug(
    canvas: Canvas, color: Rgb = (0.50, 0.15, 0.13), accent: Rgb = (0.83, 0.69, 0.47)
) -> Colors:
    """A knotted rug: borders, lozenges and a pile."""
    edge = np.minimum(
        np.minimum(canvas.u, canvas.width_m - canvas.u),
        np.minimum(canvas.v, canvas.height_m - canvas.v),
    )
    x, y = canvas.u - canvas.width_m / 2, canvas.v - canvas.height_m / 2
    lozenge = np.abs(((x / 0.36) % 1) - 0.5) + np.abs(((y / 0.44) % 1) - 0.5)
    medallion = np.abs(x) / (0.42 * canvas.width_m) + np.abs(y) / (0.40 * canvas.height_m)
    pattern = (np.abs(lozenge - 0.5) < 0.10) | (lozenge < 0.13)
    pattern ^= (np.abs(medallion - 0.62) < 0.05) | (medallion < 0.2)
    pattern = np.where(edge < 0.22, np.sin(2 * np.pi * (canvas.u + canvas.v) / 0.12) > 0.2, pattern)
    pattern |= np.abs(edge - 0.22) < 0.02
    mask = cv2.GaussianBlur(pattern.astype(np.float32), (0, 0), 0.7)[..., None]
    dark = np.where(medallion < 0.62, 1.0, 0.75)[..., None] * rgb(*color)
    blue = np.where(((lozenge < 0.13) & (edge > 0.22))[..., None], rgb(0.2, 0.3, 0.45), 0)
    light = np.where(blue > 0, blue, rgb(*accent))
    pile = 1 + 0.13 * canvas.fractal(0.04, octaves=4, gain=0.9) + 0.08 * canvas.fractal(0.5, 4)
    return ((dark * (1 - mask) + light * mask) * pile[..., None]).astype(np.float32)


def poster(canvas: Canvas, shapes: int = 26) -> Colors:
    """An abstract print on paper with a white margin."""
    rng = canvas.rng()
    size = np.array([canvas.width_px, canvas.height_px])
    image = np.empty((canvas.height_px, canvas.width_px, 3), np.float32)
    image[:] = _PALETTE[rng.integers(len(_PALETTE))]
    shift = 4
    for _ in range(shapes):
        colour = tuple(float(c) for c in _PALETTE[rng.integers(len(_PALETTE))])
        centre = rng.uniform(0, 1, 2)
        extent = rng.uniform(0.04, 0.28, 2)
        angle, kind = float(rng.uniform(0, 360)), int(rng.integers(3))
        at = np.round(centre * size * 2**shift).astype(int)
        axes = np.round(np.maximum(extent * size.min(), 1) * 2**shift).astype(int)
        if kind == 0:
            cv2.ellipse(
                image, at.tolist(), axes.tolist(), angle, 0, 360, colour, -1, cv2.LINE_AA, shift
            )
        else:
            box = cv2.boxPoints(
                (
                    (float(centre[0] * size[0]), float(centre[1] * size[1])),
                    (float(extent[0] * size.min()), float(extent[1] * size.min() * (1 + kind))),
                    angle,
                )
            )
            corners = np.round(box * 2**shift).astype(np.int32)
            cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA, shift)
    image *= (1 + 0.10 * canvas.fractal(0.15, octaves=6, gain=0.9))[..., None]
    margin_m = 0.07 * min(canvas.width_m, canvas.height_m)
    edge = np.minimum(
        np.minimum(canvas.u, canvas.width_m - canvas.u),
        np.minimum(canvas.v, canvas.height_m - canvas.v),
    )
    return np.where((edge < margin_m)[..., None], rgb(*_PAPER), image).astype(np.float32)


def spines(canvas: Canvas, width_m: float = 0.042) -> Colors:
    """A row of book spines."""
    column = np.floor(canvas.u / width_m).astype(int)
    row = np.zeros_like(column)
    pick = canvas.cells(row, column, 3)
    index = np.floor((pick[..., 0] * 7.3) % len(_PALETTE)).astype(int)
    base = _PALETTE[index] * (1 + 0.12 * pick[..., 1:2])
    level = canvas.v / canvas.height_m
    band = np.abs(level - 0.72 - 0.06 * pick[..., 2]) < 0.035
    title = (np.abs(level - 0.42) < 0.17) & (canvas.noise(0.012, 0.016) > 0.1)
    inside = np.abs(canvas.u / width_m - column - 0.5)
    printed = (band | (title & (inside < 0.22)))[..., None]
    contrast = np.where(base.mean(-1, keepdims=True) > 0.45, 0.12, 0.88).astype(np.float32)
    colors = np.where(printed, contrast, base)
    above = level > 0.86 + 0.09 * np.tanh(pick[..., 1])
    colors = np.where(above[..., None], np.float32(0.05), colors)
    rounding = 1 - 0.55 * (2 * inside) ** 4 + 0.08 * canvas.fractal(0.03, octaves=3)
    return (colors * rounding[..., None]).astype(np.float32)


def outdoors(canvas: Canvas) -> Colors:
    """A view through a window: sky, clouds, hills and trees."""
    level = canvas.v / canvas.height_m
    sky = rgb(0.80, 0.89, 0.97) + (level[..., None] - 0.5) * rgb(-0.5, -0.3, 0.0)
    cloud = np.clip(canvas.fractal(0.5, octaves=5, stretch=2.0) - 0.3, 0, 1)[..., None]
    colors = sky + cloud * (1.0 - sky)
    greens = np.array([[0.42, 0.52, 0.50], [0.30, 0.44, 0.28], [0.16, 0.28, 0.12]])
    for k, green in enumerate(greens):
        ridge = 0.52 - 0.14 * k + 0.03 * (k + 1) * canvas.fractal(0.5, octaves=6)
        leaves = 1 + 0.12 * (k + 1) * canvas.fractal(0.12, octaves=4, gain=0.9)
        colors = np.where((level < ridge)[..., None], green * leaves[..., None], colors)
    return colors.astype(np.float32)


def foliage(canvas: Canvas, color: Rgb = (0.36, 0.46, 0.24)) -> Colors:
    """Leaves, seen as a mottled mass."""
    leaves = canvas.fractal(0.09, octaves=4, gain=0.95)
    hue = canvas.noise(0.05)[..., None] * rgb(0.07, 0.05, 0.0)
    brightness = np.clip(1 + 0.28 * leaves, 0.35, 2)[..., None]
    return (rgb(*color) * brightness + hue).astype(np.float32)
