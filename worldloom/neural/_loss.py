"""What rays make of a field, and how far that is from what they should see."""

from dataclasses import dataclass

import torch
from torch import Tensor

from worldloom.neural._config import NeuralConfig
from worldloom.neural._field import DistanceField

_SLOPES = 256
"""Rays a step at whose surface the slope of the field is looked at."""


@dataclass(frozen=True, eq=False)
class RayBatch:
    """Rays of one step; see `RaySet`."""

    origin: Tensor
    view: Tensor
    direction: Tensor
    surface: Tensor
    reach: Tensor
    color: Tensor
    """0 to 1."""
    depth: Tensor
    confidence: Tensor
    normal: Tensor


@dataclass(frozen=True, eq=False)
class Rendered:
    """What rays see."""

    color: Tensor
    depth: Tensor
    opacity: Tensor
    correction: Tensor
    """What the field adds to the fused distance, at all samples."""


def render_rays(
    field: DistanceField,
    rays: RayBatch,
    jitter: Tensor,
    samples: int,
    sharpness: float,
    open_levels: float,
) -> Rendered:
    """Renders rays by the unbiased opacity of NeuS (Wang et al. 2021, equation 13).

    Between two samples the ray is stopped by the share by which the logistic function of the
    distance falls; it needs no derivative of the field.

    Args:
        field: The field.
        rays: Rays.
        jitter: [n samples + 1], 0 to 1: place of each sample in its stretch.
        samples: Stretches a ray.
        sharpness: Standard width of the logistic function, voxels.
        open_levels: See `FeatureGrids`.
    """
    count = len(rays.direction)
    steps = (torch.arange(samples + 1, device=jitter.device) + jitter) / (samples + 1)
    depths = rays.surface[:, None] + (2 * steps - 1) * rays.reach[:, None]
    places = rays.origin[:, None] + depths[..., None] * rays.direction[:, None]
    parts = field.parts(places.reshape(-1, 3), open_levels)
    values = torch.sigmoid(parts.distance.reshape(count, samples + 1) / sharpness)
    before, after = values[:, :-1], values[:, 1:]
    alpha = ((before - after) / before.clamp(min=1e-5)).clamp(0, 1)
    through = torch.cumprod(1 - alpha + 1e-7, dim=1)
    weights = alpha * torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
    opacity = weights.sum(dim=1)
    share = weights / opacity.clamp(min=1e-4)[:, None]
    unit = rays.direction / rays.direction.norm(dim=1, keepdim=True)
    inner = parts.features.reshape(count, samples + 1, -1)[:, :-1].reshape(count * samples, -1)
    seen = field.colors(inner, unit.repeat_interleave(samples, dim=0))
    color = (share[..., None] * seen.reshape(count, samples, 3)).sum(dim=1)
    middle = (depths[:, :-1] + depths[:, 1:]) / 2
    return Rendered(
        color * field.gains(rays.view),
        (share * middle).sum(dim=1),
        opacity,
        parts.correction,
    )


def slopes(field: DistanceField, places: Tensor, step: float, open_levels: float) -> Tensor:
    """Returns the gradient of the distance at [n 3] places by central differences.

    Args:
        field: The field.
        places: Places.
        step: Half the distance between the values, voxels.
        open_levels: See `FeatureGrids`.
    """
    offsets = step * torch.eye(3, device=places.device)
    around = torch.cat([places[:, None] + offsets, places[:, None] - offsets], dim=1)
    values = field.parts(around.reshape(-1, 3), open_levels).distance.reshape(len(places), 2, 3)
    return (values[:, 0] - values[:, 1]) / (2 * step)


def total_loss(
    field: DistanceField,
    rays: RayBatch,
    jitter: Tensor,
    config: NeuralConfig,
    sharpness: float,
    open_levels: float,
) -> tuple[Tensor, Tensor]:
    """Returns the loss of a step, and its part by colours (mean absolute error, 0 to 1).

    Args:
        field: The field.
        rays: Rays of the step.
        jitter: See `render_rays`.
        config: Weights.
        sharpness: See `render_rays`.
        open_levels: See `FeatureGrids`.
    """
    seen = render_rays(field, rays, jitter, config.samples, sharpness, open_levels)
    color = (seen.color - rays.color).abs().mean()
    off = (seen.depth - rays.depth).abs() * rays.direction.norm(dim=1)
    # Beyond two voxels the map and the fused surface disagree, and the views have outvoted the map.
    depth = (rays.confidence * off.clamp(max=2.0)).mean()
    few = slice(0, _SLOPES)
    at = rays.origin[few] + seen.depth[few, None].detach() * rays.direction[few]
    slope = slopes(field, at, max(0.5, sharpness), open_levels)
    length = slope.norm(dim=1)
    eikonal = ((length - 1) ** 2).mean()
    cosine = (slope * rays.normal[few]).sum(dim=1) / length.clamp(min=1e-4)
    known = rays.confidence[few] * (rays.normal[few].abs().sum(dim=1) > 0)
    normal = (known * (1 - cosine)).mean()
    loss = (
        config.color_weight * color
        + config.depth_weight * depth
        + config.normal_weight * normal
        + config.eikonal_weight * eikonal
        + config.anchor_weight * seen.correction.abs().mean()
        + 0.1 * (1 - seen.opacity).mean()
    )
    return loss, color
