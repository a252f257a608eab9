"""Aligned predictions of a depth model, joined to a panorama of distances without steps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from worldloom.errors import ReconstructionError
from worldloom.learned import Quantity
from worldloom.panorama._alignment import ViewAlignment
from worldloom.panorama._distance import DistancePanorama
from worldloom.panorama._predictions import PredictedView, feather, sampled_views
from worldloom.panorama._rays import pixel_rays

_FARTHEST = 50.0
"""Predictions beyond this multiple of the median distance are sky: left out."""
_AGREEMENT = 0.1
"""Relative difference of overlapping views at which confidence has fallen to 60%."""
_GUESSED = 0.5
"""Confidence of predictions that agree: a model guesses, it does not measure."""
_LONE = 0.25
"""Confidence where only one view looks."""
_RIM = 1e-6
"""Weight from which on a view counts as looking: less is the rim itself."""


def blended_distance(
    views: Sequence[PredictedView],
    alignments: Sequence[ViewAlignment],
    quantity: Quantity,
    height_px: int,
) -> DistancePanorama:
    """Joins aligned predictions to a panorama of distances.

    Inverse distances are averaged with weights that fall to 0 at the rims of the views, so there is
    no step anywhere. The median distance becomes 1 where the model predicts inverse depth, whose
    unit nobody knows.

    Args:
        views: Predictions.
        alignments: Of each, from `align_views`.
        quantity: What the model predicts.
        height_px: Height of the panorama.

    Raises:
        ReconstructionError: nothing lies at a positive distance.
    """
    rays = pixel_rays(2 * height_px, height_px)
    total = np.zeros(rays.shape[:2])
    first, second = np.zeros_like(total), np.zeros_like(total)
    for view, alignment in zip(views, alignments, strict=True):
        read = sampled_views([view], rays.reshape(-1, 3))
        values = alignment.scale * read.values[0] + alignment.shift
        cosine = np.maximum(read.cosine[0], 1e-9)
        if quantity == "depth":
            values = np.where(values > 0, 1 / np.where(values > 0, values, 1), 0)
        inverse = np.maximum(values * cosine, 0).reshape(total.shape)
        weight = np.where(read.known[0], feather(view, rays.reshape(-1, 3)), 0)
        weight = weight.reshape(total.shape)
        total += weight
        first += weight * inverse
        second += weight * inverse**2
    safe = np.where(total > 0, total, 1)
    mean = first / safe
    if not (mean > 0).any():
        raise ReconstructionError(
            "the depth model finds everything infinitely far; use another model",
            stage="panorama_align",
        )
    middle = float(np.median(mean[mean > 0]))
    known = (total > 0) & (mean > middle / _FARTHEST)
    scatter = np.sqrt(np.maximum(second / safe - mean**2, 0)) / np.maximum(mean, 1e-30)
    agreement = np.exp(-0.5 * (scatter / _AGREEMENT) ** 2)
    lone = _views_at(views, rays) < 2
    confidence = np.where(lone, _LONE, _GUESSED * agreement)
    unit = middle if quantity == "inverse_depth" else 1.0
    distance = np.where(known, unit / np.where(known, mean, 1), 0)
    return DistancePanorama(
        distance.astype(np.float32), np.where(known, confidence, 0).astype(np.float32)
    )


def _views_at(
    views: Sequence[PredictedView], rays: Float64[np.ndarray, "h w 3"]
) -> Int64[np.ndarray, "h w"]:
    """How many views look in each direction."""
    flat = rays.reshape(-1, 3)
    number = np.zeros(len(flat), np.int64)
    for view in views:
        number += feather(view, flat) > _RIM
    return number.reshape(rays.shape[:2])
