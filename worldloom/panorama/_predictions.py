"""Predictions of a depth model for the views of one panorama, read along common rays."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from worldloom.cameras import Camera
from worldloom.learned import Prediction


@dataclass(frozen=True, eq=False)
class PredictedView:
    """What a model says of one view."""

    camera: Camera
    """At the size of the prediction."""
    pano_from_view: Float64[np.ndarray, "3 3"]
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class ViewSamples:
    """Predictions of all views in common directions."""

    values: Float64[np.ndarray, "v n"]
    known: Bool[np.ndarray, "v n"]
    cosine: Float64[np.ndarray, "v n"]
    """Of the angle between ray and viewing direction: depth along +z over distance."""


def sampled_views(views: Sequence[PredictedView], rays: Float[np.ndarray, "n 3"]) -> ViewSamples:
    shape = len(views), len(rays)
    values, cosine = np.zeros(shape), np.zeros(shape)
    known = np.zeros(shape, bool)
    for number, view in enumerate(views):
        x, y, cosine[number] = projected(view, rays)
        lens = view.camera.intrinsics
        inside = (cosine[number] > 0) & (x >= 0.5) & (y >= 0.5)
        inside &= (x <= lens.width_px - 0.5) & (y <= lens.height_px - 0.5)
        at = (x[inside] - 0.5).astype(np.float32), (y[inside] - 0.5).astype(np.float32)
        usable = view.prediction.known.astype(np.float32)
        kept = _read(usable, *at) > 1 - 1e-6
        known[number, inside] = kept
        clean = np.where(view.prediction.known, view.prediction.values, 0).astype(np.float32)
        values[number, inside] = _read(clean, *at)
    return ViewSamples(values, known, cosine)


def projected(
    view: PredictedView, rays: Float[np.ndarray, "n 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels x and y of unit rays, and the cosine of their angle to the viewing direction."""
    in_view = rays @ view.pano_from_view
    cosine = in_view[:, 2]
    lens = view.camera.intrinsics
    ahead = np.where(cosine > 1e-9, cosine, 1)
    x = in_view[:, 0] / ahead * lens.fx + lens.cx
    y = in_view[:, 1] / ahead * lens.fy + lens.cy
    return x, y, cosine


def feather(view: PredictedView, rays: Float[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n"]:
    """1 in the middle of a view, falling smoothly to 0 at its rim."""
    x, y, cosine = projected(view, rays)
    lens = view.camera.intrinsics
    across = np.clip(1 - np.abs(2 * x / lens.width_px - 1), 0, 1)
    down = np.clip(1 - np.abs(2 * y / lens.height_px - 1), 0, 1)
    return np.where(cosine > 0, (across * down) ** 2, 0) + np.where(cosine > 0.5, 1e-12, 0)


def _read(
    image: Float32[np.ndarray, "h w"], x: Float32[np.ndarray, "n"], y: Float32[np.ndarray, "n"]
) -> np.ndarray:
    """Bilinear values; OpenCV's maps are limited to 32767 rows, so they are folded."""
    width = 16384
    rows = -(-len(x) // width)
    folded = np.zeros((2, rows * width), np.float32)
    folded[0, : len(x)], folded[1, : len(x)] = x, y
    x_map, y_map = folded.reshape(2, rows, width)
    read = cv2.remap(image, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return read.reshape(-1)[: len(x)]
