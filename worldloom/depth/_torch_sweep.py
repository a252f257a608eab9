"""The matching cost in plain torch, on any device: the reference of the fused kernels.

Formula and rules at borders are those of `_sweep` and `_correlation`; sums run in another order, so
costs near a whole number fall to either side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, UInt8
from torch import Tensor
from torch.nn import functional

from worldloom.depth._correlation import NO_EVIDENCE, UNSEEN, Window
from worldloom.depth._sweep import MatchImage, pixel_transfer
from worldloom.depth._warp import NEAREST_Z


@dataclass(frozen=True, eq=False)
class DeviceViews:
    """A view and its partners on a device."""

    grey: Float32[Tensor, "h w"]
    """The view, 0 to 255."""
    partners: Float32[Tensor, "p h w"]
    valid: Bool[Tensor, "p h w"]
    """False where a partner holds no data."""
    transfers: Float32[Tensor, "p 3 4"]
    """(A | b) of `pixel_transfer`."""


def upload(
    reference: MatchImage, partners: Sequence[MatchImage], device: torch.device
) -> DeviceViews:
    """Brings a view and its partners, all of one size, to a device."""
    transfers = [
        np.column_stack(pixel_transfer(reference.camera, partner.camera)) for partner in partners
    ]
    return DeviceViews(
        torch.tensor(reference.grey, device=device),
        torch.from_numpy(np.stack([partner.grey for partner in partners])).to(device),
        torch.from_numpy(np.stack([partner.valid for partner in partners])).to(device),
        torch.from_numpy(np.stack(transfers).astype(np.float32)).to(device),
    )


def torch_costs(
    views: DeviceViews,
    inverse_depth: Float32[Tensor, "h w"],
    offsets: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
    budget_mib: int,
) -> UInt8[Tensor, "h w d"]:
    """Cost of a surface moved in inverse depth; fronto-parallel planes are a surface of zeros.

    Args:
        views: What is matched.
        inverse_depth: The surface, 1 / world unit.
        offsets: Hypothesis k is `inverse_depth + offsets[k]`.
        window: Support of a match.
        noise_level: Standard deviation of the image noise, grey levels.
        budget_mib: Bound of the intermediates, MiB: how many hypotheses are worked on at a time.
            The result does not depend on it.

    Returns:
        0 (equal) to 255 (opposite) for each pixel and hypothesis.
    """
    steps = torch.from_numpy(offsets.astype(np.float32)).to(views.grey.device)
    weights = _support_weights(views.grey, window)
    bytes_each = 4 * views.partners.numel() * 12  # what lives at a time, counted in images
    at_a_time = max(budget_mib * 2**20 // bytes_each, 1)
    costs = torch.empty((*views.grey.shape, len(steps)), dtype=torch.uint8, device=steps.device)
    for first in range(0, len(steps), at_a_time):
        some = slice(first, first + at_a_time)
        moved = (inverse_depth + steps[some, None, None]).clamp_min(0)
        warped, inside = _warp(views, moved)
        scores = _correlate(views.grey, weights, warped, window, noise_level**2)
        scores = torch.where(inside, scores, UNSEEN)
        costs[..., some] = _best_half_cost(scores).permute(1, 2, 0)
    return costs


def _warp(
    views: DeviceViews, inverse_depth: Float32[Tensor, "d h w"]
) -> tuple[Float32[Tensor, "p d h w"], Bool[Tensor, "p d h w"]]:
    """The partners in the frame of the view, and where they see it."""
    partners, height, width = views.partners.shape
    count, device = len(inverse_depth), inverse_depth.device
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    a, b = views.transfers[:, :, :3], views.transfers[:, :, 3]
    rays = a[..., 0, None, None] * x + a[..., 1, None, None] * y + a[..., 2, None, None]
    at_x, at_y, at_z = (
        rays[:, None, axis] + b[:, None, axis, None, None] * inverse_depth for axis in range(3)
    )
    ahead = at_z > NEAREST_Z
    u = torch.where(ahead, at_x / at_z, -1e4)
    v = torch.where(ahead, at_y / at_z, -1e4)
    column, row = torch.floor(u + 0.5), torch.floor(v + 0.5)
    inside = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
    flat = views.valid.reshape(partners, -1).gather(1, index.reshape(partners, -1))
    inside &= flat.reshape(index.shape)
    grid = torch.stack([2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1], -1)
    warped = functional.grid_sample(
        views.partners[:, None],
        grid.reshape(partners, count * height, width, 2),
        padding_mode="border",
        align_corners=True,
    )
    return warped.reshape(partners, count, height, width), inside


def _support_weights(grey: Float32[Tensor, "h w"], window: Window) -> Float32[Tensor, "k h w"]:
    """Weight of each sample of each window; they sum to one, and are 0 outside of the image."""
    offsets = window.offsets()
    near = np.hypot(offsets[:, 0], offsets[:, 1]) / (2 * max(window.reach_px, 1))
    values, inside = _samples(grey, window), _samples(torch.ones_like(grey), window)
    weights = torch.stack(
        [
            torch.exp(-(value - grey).abs() / window.grey_sigma - float(distance)) * there
            for value, there, distance in zip(values, inside, near, strict=True)
        ]
    )
    return weights / weights.sum(0)


def _samples(images: Float32[Tensor, "*n h w"], window: Window) -> list[Float32[Tensor, "*n h w"]]:
    """The images as each sample of the windows sees them: moved views, 0 from outside."""
    height, width = images.shape[-2:]
    reach = window.reach_px
    padded = functional.pad(images, (reach, reach, reach, reach))
    return [
        padded[..., reach + row : reach + row + height, reach + column : reach + column + width]
        for row, column in window.offsets().tolist()
    ]


def _correlate(
    grey: Float32[Tensor, "h w"],
    weights: Float32[Tensor, "k h w"],
    warped: Float32[Tensor, "p d h w"],
    window: Window,
    noise: float,
) -> Float32[Tensor, "p d h w"]:
    """Weighted NCC of the view with its warped partners."""
    own, own_square = torch.zeros_like(grey), torch.zeros_like(grey)
    other, other_square, cross = (torch.zeros_like(warped) for _ in range(3))
    samples = zip(weights, _samples(grey, window), _samples(warped, window), strict=True)
    for weight, a, b in samples:
        own += weight * a
        own_square += weight * a * a
        weighted = weight * b
        other += weighted
        other_square.addcmul_(weighted, b)
        cross.addcmul_(weighted, a)
    own_variance = (own_square - own * own).clamp_min(0) + noise
    variance = (other_square - other * other).clamp_min(0) + noise
    return (cross - own * other) / torch.sqrt(own_variance * variance)


def _best_half_cost(scores: Float32[Tensor, "p d h w"]) -> UInt8[Tensor, "d h w"]:
    """Mean cost over the better half of the partners that see the point: others are occluded."""
    seen = (scores > UNSEEN).sum(0)
    half = (seen + 1) // 2
    total = torch.zeros_like(scores[0])
    for rank, score in enumerate(scores.sort(0, descending=True).values):
        total += torch.where(rank < half, score, 0)
    value = (127.5 * (1 - total / half.clamp_min(1))).clamp(0, 255)
    return torch.where(seen > 0, value, float(NO_EVIDENCE)).to(torch.uint8)
