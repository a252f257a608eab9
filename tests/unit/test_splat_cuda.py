"""The learner on CUDA: its torch side against the CPU, and all of it where there is a device."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.splatting import some_camera, some_scene
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.device import cuda_available
from worldloom.splat import SplatConfig
from worldloom.splat._cpu import CpuLearner
from worldloom.splat._crew import Crew
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._learner import Learner, TrainingView, Weights
from worldloom.splat._loss import target_of
from worldloom.splat._rasterizer import Scene, rasterize, slopes
from worldloom.splat._state import PARAMETERS, State, new_state
from worldloom.splat._trainer import rates_at

WEIGHTS = Weights(0.2, 0.5, 0.3, 0.05, 0.01, 0.01, 0.1, exposure=True)
CONFIG = SplatConfig(sh_interval=1, sh_degree=1)


def some_state() -> State:
    scene = some_scene(80, degree=1, seed=4)
    logits = np.log(scene.opacities / (1.001 - scene.opacities)).astype(np.float32)
    gaussians = Gaussians(scene.means, np.log(scene.scales), scene.rotations, logits, scene.sh)
    normals = np.random.default_rng(2).normal(size=(80, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return new_state(gaussians, normals.astype(np.float32), 2)


def parted() -> tuple[State, Gaussians]:
    """Some of the Gaussians to be trained, and the others to stand around them."""
    whole = some_state()
    return whole.select(np.arange(50)), whole.gaussians.select(np.arange(50, 80))


def some_view() -> TrainingView:
    rng, camera = np.random.default_rng(8), some_camera()
    shape = (36, 44)
    return TrainingView(
        camera,
        target_of(
            rng.uniform(size=(*shape, 3)).astype(np.float32),
            rng.uniform(size=shape) < 0.9,
            rng.uniform(1, 4, shape).astype(np.float32),
            rng.uniform(size=shape).astype(np.float32),
        ),
    )


class _OnTheCpu(torch.autograd.Function):
    """Our rasteriser behind the face of gsplat's."""

    @staticmethod
    def forward(ctx: Any, scene: tuple[Scene, Camera, int], *tensors: torch.Tensor) -> Any:
        ctx.scene, ctx.raster = scene[0], rasterize(*scene, Crew(1))
        both = np.concatenate([ctx.raster.image, ctx.raster.depth[..., None]], axis=2)
        return torch.tensor(both)[None], torch.tensor(ctx.raster.alpha)[None, ..., None]

    @staticmethod
    def backward(ctx: Any, *slope: torch.Tensor) -> Any:
        image, alpha = slope[0][0].numpy(), slope[1][0, ..., 0].numpy()
        found = slopes(
            *(ctx.scene, ctx.raster, np.ascontiguousarray(image[..., :3])),
            *(np.ascontiguousarray(image[..., 3]), np.zeros_like(alpha)),
            *(np.ascontiguousarray(alpha), Crew(1)),
        )
        results: list[torch.Tensor] = []
        for name in ("means", "rotations", "scales", "opacities", "sh"):
            whole = np.zeros_like(getattr(ctx.scene, name))
            whole[found.rows] = getattr(found, name)
            results.append(torch.tensor(whole))
        in_image = np.zeros((1, len(ctx.scene.means), 2), np.float32)
        in_image[0, found.rows] = found.in_image
        return (None, *results, torch.tensor(in_image))


def stand_in(
    *tensors: Any, packed: bool, sh_degree: int | None = None, render_mode: str = "RGB"
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Takes what gsplat's `rasterization` takes: colours as harmonics, or one value a Gaussian."""
    assert (render_mode, packed) == ("RGB" if sh_degree is None else "RGB+D", False)
    *values, viewmats, lenses, width, height = tensors
    if sh_degree is None:
        assert values[-1].shape == (len(values[0]), 1)
        values[-1] = ((values[-1] - 0.5) / 0.28209479177387814)[:, None].expand(-1, 1, 3)
    lens = lenses[0].numpy()
    camera = Camera(
        CameraIntrinsics(*map(float, lens[[0, 1, 0, 1], [0, 1, 2, 2]]), width, height),
        np.linalg.inv(viewmats[0].numpy().astype(np.float64)),
    )
    scene = Scene(*(value.detach().numpy() for value in values))
    means2d = (values[0][None, :, :2] * 0).requires_grad_()
    degree = sh_degree or 0
    boxes = rasterize(scene, camera, degree, Crew(1)).boxes
    shown, alpha = _OnTheCpu.apply((scene, camera, degree), *values, means2d)  # type: ignore[misc]
    radii = torch.tensor(boxes[:, 2:] > 0).to(torch.int32)[None]
    return shown, alpha, {"means2d": means2d, "radii": radii}


def after_steps(learner: Learner, steps: int) -> tuple[list[float], State]:
    view = some_view()
    losses = [learner.step(i % 2, view, rates_at(i, CONFIG, 0.1)) for i in range(steps)]
    return losses, learner.state()


@pytest.fixture
def gsplat() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gsplat warns where there is no CUDA toolkit
        return pytest.importorskip("gsplat")


def agree(make: Callable[[], Learner], reference: CpuLearner, tolerance: float) -> None:
    expected, state = after_steps(reference, 4)
    losses, other = after_steps(make(), 4)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for name in PARAMETERS:
        ours, theirs = getattr(state.gaussians, name), getattr(other.gaussians, name)
        np.testing.assert_allclose(theirs, ours, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(other.gains, state.gains, atol=1e-5)
    np.testing.assert_array_equal(other.updates, state.updates)
    np.testing.assert_allclose(other.demand, state.demand, rtol=1e-2, atol=1e-6)


def test_its_torch_side_takes_the_steps_of_the_cpu(
    gsplat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worldloom.splat._cuda import CudaLearner

    monkeypatch.setattr(gsplat, "rasterization", stand_in)
    reference = CpuLearner(some_state(), WEIGHTS, Crew(1))
    agree(lambda: CudaLearner(some_state(), WEIGHTS, "cpu"), reference, 1e-3)
    state, around = parted()
    reference = CpuLearner(parted()[0], WEIGHTS, Crew(1), around)
    agree(lambda: CudaLearner(state, WEIGHTS, "cpu", around), reference, 1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not cuda_available(), reason="needs a CUDA device")
def test_on_a_device_it_takes_the_steps_of_the_cpu(gsplat: Any) -> None:
    from worldloom.splat._cuda import CudaLearner

    reference = CpuLearner(some_state(), WEIGHTS, Crew(1))
    agree(lambda: CudaLearner(some_state(), WEIGHTS), reference, 5e-3)
    state, around = parted()
    reference = CpuLearner(parted()[0], WEIGHTS, Crew(1), around)
    agree(lambda: CudaLearner(state, WEIGHTS, around=around), reference, 5e-3)
