"""A handful of Gaussians, and a slow, plain reference that renders them in torch."""

import numpy as np
import torch

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.splat._rasterizer import Scene


def some_camera(width: int = 44, height: int = 36) -> Camera:
    turn = np.eye(4)
    angle = 0.2
    turn[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    turn[:3, 3] = (0.3, -0.1, -0.2)
    return Camera(CameraIntrinsics(40.0, 42.0, 21.3, 17.6, width, height), turn)


def some_scene(n: int = 400, degree: int = 3, seed: int = 0, most_m: float = 0.5) -> Scene:
    """Gaussians of all shapes in front of `some_camera`, some beside it and some behind it."""
    rng = np.random.default_rng(seed)
    means = rng.uniform([-2.5, -2, -0.5], [3, 2, 5], (n, 3))
    return Scene(
        means.astype(np.float32),
        rng.normal(size=(n, 4)).astype(np.float32),
        np.exp(rng.uniform(np.log(0.05), np.log(most_m), (n, 3))).astype(np.float32),
        rng.uniform(0.02, 1.0, n).astype(np.float32),
        rng.normal(0, 0.3, (n, (degree + 1) ** 2, 3)).astype(np.float32),
    )


def blended(
    xy: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    order: torch.Tensor,
    width: int,
    height: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every Gaussian at every pixel, front to back: features [h w c] and alpha [h w]."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=xy.dtype) + 0.5,
        torch.arange(width, dtype=xy.dtype) + 0.5,
        indexing="ij",
    )
    light = torch.ones(height, width, dtype=xy.dtype)
    open_ = torch.ones(height, width, dtype=torch.bool)
    total = torch.zeros(height, width, features.shape[1], dtype=xy.dtype)
    for n in order.tolist():
        dx, dy = x - xy[n, 0], y - xy[n, 1]
        a, b, c = conics[n]
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = torch.clamp_max(opacities[n] * torch.exp(-sigma), 0.999)
        seen = open_ & (alpha >= 1 / 255)
        after = light * (1 - alpha)
        open_ = open_ & ~(seen & (after <= 1e-4))
        seen = seen & open_
        total = total + torch.where(seen, alpha * light, 0.0)[..., None] * features[n]
        light = torch.where(seen, after, light)
    return total, 1 - light
