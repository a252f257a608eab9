"""The matching cost as CUDA kernels in Triton; formula and rules of `_torch_sweep`.

Each partner is sampled once a pixel and hypothesis, not once a sample of each window: a first
kernel warps as many hypotheses as the budget of memory allows. The second one reads the warped
samples of the windows from the first-level cache, keeps all moments in registers, ranks the
partners and writes one byte.
"""

# A launch gives plain numbers for constants, and options that the kernel does not name.
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false

from dataclasses import dataclass

import numpy as np
import torch
import triton
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor
from torch.nn import functional

from worldloom.depth._correlation import NO_EVIDENCE, UNSEEN, Window
from worldloom.depth._torch_sweep import DeviceViews
from worldloom.depth._triton_kernels import correlate_kernel, own_kernel, warp_kernel
from worldloom.depth._warp import NEAREST_Z
from worldloom.errors import ConfigError

_OUTSIDE = 1e6
"""Grey level of the border: so far from all others that its weight is exactly 0."""

_PIXELS = 64
"""Pixels of a program that needs no neighbours."""

MOST_PARTNERS = 16
"""The better half of them is kept in registers."""


@dataclass(frozen=True)
class LaunchShape:
    """How the kernels are cut; speed depends on it, the result does not."""

    group: int = 8
    """Hypotheses side by side, a power of two; more is less work and more registers."""
    tile: int = 8
    """Side of the square of pixels of a program, a power of two."""
    warps: int = 2
    """Warps of a program."""


def triton_costs(
    views: DeviceViews,
    inverse_depth: Float32[Tensor, "h w"],
    offsets: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
    budget_mib: int,
    shape: LaunchShape | None = None,
) -> UInt8[Tensor, "h w d"]:
    """Cost of a surface moved in inverse depth; see `torch_costs`.

    Raises:
        ConfigError: more partners than the kernel ranks.
    """
    shape = shape or LaunchShape()
    partners, height, width = views.partners.shape
    if partners > MOST_PARTNERS:
        raise ConfigError(
            f"{partners} partners are more than the {MOST_PARTNERS} that the cuda backend ranks; "
            "lower max_partners of the plan, or take the cpu backend",
            field="max_partners",
        )
    job = _job(views, inverse_depth, offsets, window, noise_level, budget_mib, shape)
    own_kernel[(triton.cdiv(height * width, _PIXELS),)](
        *(job.grey, job.distance, job.own, height, width, job.levels, job.noise),
        **job.support,
        PIXELS=_PIXELS,
    )
    groups = triton.cdiv(len(offsets), shape.group)
    for first in range(0, groups, len(job.warped)):
        some = min(len(job.warped), groups - first)
        _warp(views, job, first, some, shape)
        _correlate(job, partners, first, some, shape)
    return job.costs


@dataclass(frozen=True, eq=False)
class _Job:
    """What the kernels read and write."""

    grey: Tensor
    """The view with its border."""
    surface: Tensor
    """Inverse depth with its border."""
    steps: Tensor
    distance: Tensor
    """Exponent of the weight of each sample of a window by its place."""
    own: Tensor
    warped: Tensor
    """Groups, partners, pixels with the border, hypotheses of a group."""
    inside: Tensor
    costs: Tensor
    levels: float
    noise: float
    support: dict[str, int]
    """The window, as constants of the kernels."""


def _job(
    views: DeviceViews,
    inverse_depth: Float32[Tensor, "h w"],
    offsets: Float64[np.ndarray, "d"],
    window: Window,
    noise_level: float,
    budget_mib: int,
    shape: LaunchShape,
) -> _Job:
    reach, device = window.reach_px, views.grey.device
    partners, height, width = views.partners.shape
    border = (reach, reach, reach, reach)
    grey = functional.pad(views.grey, border, value=_OUTSIDE)
    samples = window.offsets().astype(np.float64)
    near = np.hypot(samples[:, 0], samples[:, 1]) / (2 * max(reach, 1)) / np.log(2)
    groups = triton.cdiv(len(offsets), shape.group)
    bytes_each = 5 * partners * grey.numel() * shape.group
    at_a_time = min(max(budget_mib * 2**20 // bytes_each, 1), groups)
    scratch = (at_a_time, partners, grey.numel(), shape.group)
    return _Job(
        grey,
        functional.pad(inverse_depth[None], border, mode="replicate")[0],
        torch.from_numpy(offsets.astype(np.float32)).to(device),
        torch.from_numpy(near.astype(np.float32)).to(device),
        torch.empty((3, height, width), dtype=torch.float32, device=device),
        torch.empty(scratch, dtype=torch.float32, device=device),
        torch.empty(scratch, dtype=torch.uint8, device=device),
        torch.empty((height, width, len(offsets)), dtype=torch.uint8, device=device),
        1 / (window.grey_sigma * float(np.log(2))),
        noise_level**2,
        {
            "REACH": reach,
            "STRIDE": window.stride_px,
            "SIDE": 2 * reach // window.stride_px + 1,
        },
    )


def _warp(views: DeviceViews, job: _Job, first: int, some: int, shape: LaunchShape) -> None:
    """Warps all partners for some groups of hypotheses."""
    partners, height, width = views.partners.shape
    warp_kernel[(triton.cdiv(job.grey.numel(), _PIXELS), some, partners)](
        views.partners,
        views.valid.view(torch.uint8),
        views.transfers,
        *(job.surface, job.steps, job.warped, job.inside),
        *(height, width, len(job.steps), first),
        REACH=job.support["REACH"],
        NEAREST=NEAREST_Z,
        GROUP=shape.group,
        PIXELS=_PIXELS,
    )


def _correlate(job: _Job, partners: int, first: int, some: int, shape: LaunchShape) -> None:
    """Writes the costs of some groups of hypotheses."""
    height, width, count = job.costs.shape
    tiles = triton.cdiv(height, shape.tile) * triton.cdiv(width, shape.tile)
    correlate_kernel[(tiles, some)](
        *(job.grey, job.distance, job.own, job.warped, job.inside, job.costs),
        *(height, width, count, first, partners, job.levels, job.noise),
        HALF=(partners + 1) // 2,
        UNSEEN=UNSEEN,
        NO_EVIDENCE=NO_EVIDENCE,
        GROUP=shape.group,
        TILE=shape.tile,
        num_warps=shape.warps,
        **job.support,
    )
