"""Views a second of the plane sweep of round 1, and the limit that holds it.

usage: python -m tests.benchmarks.sweep_device [--device cuda] [--views 20] [--shapes] [--small]

640x480 pixels, 4 partners, 64 planes, a 7x7 window. Prints one JSON object: what the work is
(samples, operations, bytes), and for each way to do it the views a second. For the kernels also the
rates reached and their shares of what the device can do, where that is known. Ways: eager torch
with grid_sample and avg_pool (a simpler cost: equal weights), the same formula in plain torch, and
the Triton kernels (CUDA only).
Images are on the device already, and costs stay there; `kernels_with_copies` adds both copies.
`--shapes` tries other cuts of the kernels. `--small` is a trial at 64x48, with 8 planes.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.sweep_views import sweep_views
from worldloom.depth import _backend
from worldloom.depth._correlation import Window
from worldloom.depth._torch_sweep import DeviceViews, torch_costs, upload

WINDOW = Window(side_px=7, stride_px=1, grey_sigma=12.0)
NOISE_LEVEL = 1.5
OPERATIONS_PER_SAMPLE = 6
"""weight * value, its sum, and two fused multiply-adds."""
OPERATIONS_PER_WARP = 40
"""Position, division, test for inside, bilinear interpolation; about."""
PEAKS = {"H100 80GB HBM3": (66.9e12, 3.35e12), "H200": (66.9e12, 4.8e12)}
"""Arithmetic of 32 bits, operations a second, and memory, bytes a second: data sheets (SXM)."""


@dataclass(frozen=True)
class Size:
    """What is swept."""

    width_px: int = 640
    height_px: int = 480
    partners: int = 4
    planes: int = 64

    @property
    def warps(self) -> int:
        """Samples of partners, one a pixel, plane and partner."""
        return self.width_px * self.height_px * self.partners * self.planes

    @property
    def samples(self) -> int:
        """Samples of windows."""
        return self.warps * len(WINDOW.offsets())

    @property
    def operations(self) -> int:
        """Floating-point operations that the formula takes."""
        return self.samples * OPERATIONS_PER_SAMPLE + self.warps * OPERATIONS_PER_WARP

    @property
    def memory_bytes(self) -> int:
        """Bytes through memory: warped samples and validity out and in, costs out."""
        return self.warps * 2 * 5 + self.width_px * self.height_px * self.planes


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--shapes", action="store_true")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    size = Size(64, 48, 4, 8) if options.small else Size()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, 1 thread"
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "device": name,
        "size": asdict(size),
        "window_samples": size.samples,
        "operations": size.operations,
        "memory_bytes": size.memory_bytes,
        "ways": {
            way: _rates(size, name, way, _seconds(work, device, options.views))
            for way, work in _ways(size, device, shapes=options.shapes)
        },
    }
    json.dump(report, sys.stdout, indent=2)
    print()


def _ways(
    size: Size, device: torch.device, *, shapes: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    view, *others = sweep_views(size.width_px, size.height_px, size.partners + 1)
    on_device = upload(view, others, device)
    planes = np.linspace(0.2, 1, size.planes)
    flat = torch.zeros((size.height_px, size.width_px), device=device)
    settings: dict[str, Any] = {"window": WINDOW, "noise_level": NOISE_LEVEL}
    yield "eager_grid_sample_avg_pool", lambda: _plain_costs(on_device, planes)
    budget_mib = _backend.CUDA_BUDGET_MIB if device.type == "cuda" else _backend.CPU_BUDGET_MIB
    yield (
        "torch",
        lambda: torch_costs(on_device, flat, planes, **settings, budget_mib=budget_mib),
    )
    if device.type != "cuda":
        return
    from worldloom.depth._triton_sweep import LaunchShape, triton_costs

    def kernels(shape: LaunchShape) -> Callable[[], object]:
        return lambda: triton_costs(
            on_device, flat, planes, **settings, budget_mib=budget_mib, shape=shape
        )

    yield "kernels", kernels(LaunchShape())
    yield (
        "kernels_with_copies",
        lambda: _backend.plane_costs(view, others, planes, **settings, backend="cuda"),
    )
    if shapes:
        for group, tile, warps in ((8, 8, 4), (8, 16, 4), (8, 16, 8), (16, 8, 4), (4, 8, 2)):
            yield f"kernels_{group}_{tile}_{warps}", kernels(LaunchShape(group, tile, warps))


def _seconds(work: Callable[[], object], device: torch.device, views: int) -> float:
    """Seconds a view, by the best of three rounds after one that does not count."""
    times: list[float] = []
    for round_ in range(4):
        count = views if round_ else 1
        _wait(device)
        start = time.perf_counter()
        for _ in range(count):
            work()
        _wait(device)
        times.append((time.perf_counter() - start) / count)
    return min(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rates(size: Size, device: str, way: str, seconds: float) -> dict[str, float]:
    rates = {"views_per_s": 1 / seconds}
    if not way.startswith("kernels"):
        return rates
    rates["operations_per_s"] = size.operations / seconds
    rates["memory_bytes_per_s"] = size.memory_bytes / seconds
    for name, (operations, memory) in PEAKS.items():
        if name in device:
            rates["share_of_arithmetic"] = rates["operations_per_s"] / operations
            rates["share_of_memory"] = rates["memory_bytes_per_s"] / memory
    return rates


def _plain_costs(views: DeviceViews, planes: np.ndarray) -> torch.Tensor:
    """NCC with equal weights by library calls alone, plane by plane."""
    partners, height, width = views.partners.shape
    side, device = WINDOW.side_px, views.grey.device
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    pixels = torch.stack([x, y, torch.ones_like(x)], -1).float()
    rays = torch.einsum("hwc,pdc->phwd", pixels, views.transfers[:, :, :3])
    scale = torch.tensor([width - 1, height - 1], device=device)

    def mean(images: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(images, side, 1, side // 2, count_include_pad=False)

    own = views.grey[None, None]
    own_mean = mean(own)
    own_variance = mean(own * own) - own_mean**2 + NOISE_LEVEL**2
    costs: list[torch.Tensor] = []
    for plane in planes.tolist():
        moved = rays + views.transfers[:, None, None, :, 3] * plane
        grid = 2 * moved[..., :2] / moved[..., 2:] / scale - 1
        other = functional.grid_sample(
            views.partners[:, None], grid, padding_mode="border", align_corners=True
        )
        other_mean = mean(other)
        other_variance = mean(other * other) - other_mean**2 + NOISE_LEVEL**2
        covariance = mean(own * other) - own_mean * other_mean
        scores = covariance / torch.sqrt(own_variance * other_variance)
        best = scores.topk((partners + 1) // 2, dim=0).values.mean(0)
        costs.append((127.5 * (1 - best)).clamp(0, 255).to(torch.uint8)[0])
    return torch.stack(costs, -1)


if __name__ == "__main__":
    main()
