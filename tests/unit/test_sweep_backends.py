"""Torch and Triton against the compiled loops, and who chooses the backend."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cluster.cli._execution import Execution
from tests.corner import corner_frames, made
from tests.sweep_views import slanted_surface, sweep_views
from worldloom import device
from worldloom.api import _with_concrete_backends
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.depth import ESTIMATE, EstimateWork, RefineConfig, SweepConfig, concrete_backend
from worldloom.depth import _backend as backends
from worldloom.depth import _sweep as cpu
from worldloom.depth._correlation import NO_EVIDENCE, Window
from worldloom.depth._sweep import MatchImage
from worldloom.depth._torch_sweep import torch_costs, upload
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
from worldloom.stage import execute

WINDOWS = [Window(7, 1, 12.0), Window(9, 2, 6.0)]
MEAN, WITHIN_ONE = 0.01, 0.9999
"""What backends may differ by: levels of cost out of 255 in the mean, and the share of costs that
are the same or neighbours. Others lie where a position falls between two pixels of a mask."""
ROOT = Path(__file__).resolve().parents[2]

triton_only = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="no triton for this platform"
)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    apart = np.abs(found.astype(int) - expected)
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert (apart <= 1).mean() >= WITHIN_ONE
    assert apart.mean() < MEAN


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("partners", [1, 2, 5])
def test_planes_by_torch_are_those_of_the_cpu(window: Window, partners: int) -> None:
    view, *others = sweep_views(80, 60, partners + 1)
    depths = np.linspace(0.2, 1, 12)
    settings: dict[str, Any] = {"window": window, "noise_level": 1.5}
    expected = cpu.plane_costs(view, others, depths, **settings)
    assert 0.5 < (expected != NO_EVIDENCE).mean() < 1, "some of it is out of sight"
    close(backends.plane_costs(view, others, depths, **settings, backend="torch"), expected)
    same = backends.plane_costs(view, others, depths, **settings, backend="cpu")
    np.testing.assert_array_equal(same, expected)


def test_a_surface_by_torch_is_that_of_the_cpu() -> None:
    view, *others = sweep_views(80, 60, 5)
    surface, offsets = slanted_surface(80, 60), np.linspace(-0.1, 0.1, 9)
    settings: dict[str, Any] = {"window": WINDOWS[0], "noise_level": 1.5}
    expected = cpu.surface_costs(view, others, surface, offsets, **settings)
    close(
        backends.surface_costs(view, others, surface, offsets, **settings, backend="torch"),
        expected,
    )


def test_the_budget_of_memory_does_not_show() -> None:
    view, *others = sweep_views(40, 30, 4)
    on_device = upload(view, others, torch.device("cpu"))
    depths, flat = np.linspace(0.2, 1, 7), torch.zeros(30, 40)
    costs = [
        torch_costs(on_device, flat, depths, window=WINDOWS[0], noise_level=1.5, budget_mib=mib)
        for mib in (0, 1, 64)
    ]
    assert torch.equal(costs[0], costs[2])
    assert torch.equal(costs[1], costs[2])


def test_what_no_partner_sees_is_no_evidence_on_a_device_too() -> None:
    view, other = sweep_views(40, 30, 2)
    blind = MatchImage(other.camera, other.grey, np.zeros_like(other.valid))
    behind = MatchImage(
        replace(view.camera, world_from_cam=np.diag([-1.0, 1.0, -1.0, 1.0])),
        other.grey,
        np.ones_like(other.valid),
    )
    for partner in (blind, behind):
        cost = backends.plane_costs(
            view,
            [partner],
            np.array([0.5, 1.0]),
            window=WINDOWS[0],
            noise_level=1.5,
            backend="torch",
        )
        assert (cost == NO_EVIDENCE).all()


def test_a_view_estimated_by_torch_is_that_of_the_cpu(tmp_path: Path) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    frames, _ = corner_frames(bench)
    config = SweepConfig(min_planes=16, max_planes=16)
    works = [
        EstimateWork(
            frames[0], tuple(frames[1:4]), 1.0, 6.0, 80, 60, replace(config, backend=backend)
        )
        for backend in ("cpu", "torch")
    ]
    assert ESTIMATE.key(works[0]) != ESTIMATE.key(works[1]), "a result says what made it"
    first, second = (bench.depth_map(made(ESTIMATE, bench, work).depth).depth for work in works)
    assert (np.abs(first - second) <= 1e-3 * first).mean() > 0.99


def kernels(*arguments: str, **environment: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.sweep_kernels", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def agrees(report: dict[str, Any]) -> None:
    for name in ("planes", "surface"):
        assert report[name]["within_one"] >= WITHIN_ONE, report
        assert report[name]["mean"] < MEAN, report
        assert 0.5 < report[name]["evidence"] < 1, report
        assert report[name]["same_for_any_budget"], report


@triton_only
@pytest.mark.parametrize(
    "sizes", [("24", "16", "3", "5"), ("17", "15", "2", "9"), ("16", "8", "8", "3")]
)
def test_interpreted_kernels_are_the_loops_of_the_cpu(sizes: tuple[str, ...]) -> None:
    agrees(kernels("compare", "cpu", *sizes, TRITON_INTERPRET="1"))


@triton_only
def test_kernels_compile_for_hopper_and_spill_nothing(tmp_path: Path) -> None:
    found = kernels("compile", TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert found.keys() == {"own", "warp", "correlate"}
    for used in found.values():
        assert used["spilled_bytes"] == 0, found
        assert used["registers"] <= 128, found


@pytest.mark.gpu
@pytest.mark.skipif(not device.cuda_available(), reason="no CUDA device")
def test_compiled_kernels_are_the_loops_of_the_cpu() -> None:
    agrees(kernels("compare", "cuda", "320", "240", "4", "64"))


@triton_only
def test_more_partners_than_the_kernel_ranks_are_refused() -> None:
    code = """
import numpy as np, torch
from tests.sweep_views import sweep_views
from worldloom.depth._correlation import Window
from worldloom.depth._torch_sweep import upload
from worldloom.depth._triton_sweep import triton_costs
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
view, *others = sweep_views(16, 8, 18)
try:
    triton_costs(upload(view, others, torch.device("cpu")), torch.zeros(8, 16), np.ones(1),
                 window=Window(3, 1, 9.0), noise_level=1.0, budget_mib=1)
except ConfigError as error:
    assert "17 partners" in str(error)
else:
    raise SystemExit("not refused")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_auto_is_decided_by_the_workers() -> None:
    assert concrete_backend("auto", lambda: True) == "cuda"
    assert concrete_backend("auto", lambda: False) == "cpu"
    assert concrete_backend("cuda", lambda: True) == "cuda"
    with pytest.raises(ConfigError, match="--depth-gpus"):
        concrete_backend("cuda", lambda: False)


def test_nobody_looks_for_a_gpu_where_none_is_asked_for() -> None:
    @cache
    def refuse() -> bool:
        pytest.fail("asked")

    assert concrete_backend("cpu", refuse) == "cpu"
    assert concrete_backend("torch", refuse) == "torch"


@pytest.mark.parametrize(("backend", "part"), [("auto", "driver"), ("cuda", "no CUDA device")])
def test_a_worker_that_cannot_says_so(
    backend: Any, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "cuda_available", lambda: False)
    bench = Bench(BenchConfig(str(tmp_path)))
    frames, _ = corner_frames(bench)
    config = SweepConfig(backend=backend)
    work = EstimateWork(frames[0], tuple(frames[1:3]), 1.0, 6.0, 80, 60, config)
    failure = execute(ESTIMATE, bench, work).failure
    assert failure is not None
    assert failure.error == "ConfigError"
    assert part in failure.message


@pytest.mark.parametrize(("share", "seen"), [(0.0, False), (0.5, True)])
def test_ray_workers_see_a_gpu_only_where_they_book_one(
    share: float, seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.ray_runner.cuda_available", lambda: True)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    factory = Execution(runner="ray", workers=1, depth_gpus=share).factory()
    runner = factory(BenchConfig(str(tmp_path)))
    assert runner.has_cuda() is seen


def test_a_scene_names_the_backend_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldloom.inline.cuda_available", lambda: False)
    config = ReconstructionConfig(
        sweep=SweepConfig(backend="auto"), refine=RefineConfig(backend="torch")
    )
    resolved = _with_concrete_backends(config, InlineRunner(BenchConfig(str(tmp_path))))
    assert (resolved.sweep.backend, resolved.refine.backend) == ("cpu", "torch")
    wanted = replace(config, refine=RefineConfig(backend="cuda"))
    with pytest.raises(ConfigError, match="no CUDA device"):
        _with_concrete_backends(wanted, InlineRunner(BenchConfig(str(tmp_path))))


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError

    monkeypatch.setattr(device.ctypes, "CDLL", missing)
    assert not device.cuda_available()


def test_the_cpu_path_imports_no_device_and_the_device_path_no_scheduler() -> None:
    code = """
import sys
import worldloom.api, worldloom.depth
assert not {"torch", "triton"} & set(sys.modules), "CPU"
for name in ("ray", "open3d"):
    sys.modules[name] = None
import worldloom.depth._torch_sweep
import importlib.util
if importlib.util.find_spec("triton"):
    import worldloom.depth._triton_sweep
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
