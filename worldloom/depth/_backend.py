"""What computes matching costs: compiled loops on the CPU, or a device.

Torch and Triton are imported where a device is asked for, and nowhere else.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from worldloom.depth import _sweep
from worldloom.depth._correlation import Window
from worldloom.depth._sweep import MatchImage
from worldloom.device import cuda_available
from worldloom.errors import ConfigError, StageError

if TYPE_CHECKING:
    import torch

SweepBackend = Literal["auto", "cpu", "torch", "cuda"]

CPU_BUDGET_MIB = 64
"""Intermediates of the torch backend."""
CUDA_BUDGET_MIB = 512
"""Warped samples on the GPU: at 640x480 with 4 partners, 64 planes take 375 MiB."""


def concrete_backend(backend: SweepBackend, has_cuda: Callable[[], bool]) -> SweepBackend:
    """Returns the backend that all workers use; called once, in the driver.

    Were each worker to choose, a cluster with and without GPUs would give a mixture that depends on
    who did what.

    Args:
        backend: As configured.
        has_cuda: Whether the workers have a CUDA device; asked where it matters.

    Raises:
        ConfigError: cuda is asked for, and the workers have none.
    """
    if backend == "auto":
        return "cuda" if has_cuda() else "cpu"
    if backend == "cuda" and not has_cuda():
        raise ConfigError(
            "the cuda backend is asked for, and the workers have no CUDA device; give the depth "
            "workers a share of a GPU (--depth-gpus) on Ray, install torch for CUDA, or take the "
            "cpu backend",
            field="backend",
        )
    return backend


def plane_costs(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    inverse_depths: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
    backend: SweepBackend,
) -> UInt8[np.ndarray, "h w d"]:
    """Cost of fronto-parallel planes, see `_sweep.plane_costs`, by a backend.

    Raises:
        ConfigError: the backend is not concrete, or not there.
        StageError: the memory of the GPU does not suffice.
    """
    if backend == "cpu":
        return _sweep.plane_costs(
            reference, partners, inverse_depths, window=window, noise_level=noise_level
        )
    flat = np.zeros_like(reference.grey)
    return _device_costs(reference, partners, flat, inverse_depths, window, noise_level, backend)


def surface_costs(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    inverse_depth: Float32[np.ndarray, "h w"],
    offsets: Float64[np.ndarray, "d"],
    *,
    window: Window,
    noise_level: float,
    backend: SweepBackend,
) -> UInt8[np.ndarray, "h w d"]:
    """Cost of a surface moved in inverse depth, see `_sweep.surface_costs`, by a backend.

    Raises:
        ConfigError: the backend is not concrete, or not there.
        StageError: the memory of the GPU does not suffice.
    """
    if backend == "cpu":
        return _sweep.surface_costs(
            reference, partners, inverse_depth, offsets, window=window, noise_level=noise_level
        )
    return _device_costs(reference, partners, inverse_depth, offsets, window, noise_level, backend)


def _device_costs(
    reference: MatchImage,
    partners: Sequence[MatchImage],
    inverse_depth: Float32[np.ndarray, "h w"],
    offsets: Float64[np.ndarray, "d"],
    window: Window,
    noise_level: float,
    backend: SweepBackend,
) -> UInt8[np.ndarray, "h w d"]:
    device = _device(backend)
    import torch

    from worldloom.depth._torch_sweep import torch_costs, upload

    costs = torch_costs
    if backend == "cuda":
        from worldloom.depth._triton_sweep import triton_costs

        costs = triton_costs
    try:
        return (
            costs(
                upload(reference, partners, device),
                torch.tensor(inverse_depth, device=device),
                offsets,
                window=window,
                noise_level=noise_level,
                budget_mib=CUDA_BUDGET_MIB if backend == "cuda" else CPU_BUDGET_MIB,
            )
            .cpu()
            .numpy()
        )
    except torch.OutOfMemoryError as error:
        raise StageError(
            "the memory of the GPU does not suffice for the sweep of a view; give each depth "
            "worker a larger share of a GPU, or lower the resolution",
            stage="depth",
        ) from error


def _device(backend: SweepBackend) -> "torch.device":
    if backend == "auto":
        raise ConfigError(
            "the backend auto reached a worker; resolve it in the driver, by concrete_backend",
            field="backend",
        )
    if backend == "cuda" and not cuda_available():
        raise ConfigError(
            "the cuda backend is asked for, and this worker sees no CUDA device; give the depth "
            "workers a share of a GPU (--depth-gpus) on Ray, install torch for CUDA, or take the "
            "cpu backend",
            field="backend",
        )
    import torch

    if backend == "torch":
        torch.set_num_threads(1)
    return torch.device("cuda" if backend == "cuda" else "cpu")
