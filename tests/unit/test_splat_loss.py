"""The losses against autograd and finite differences, and masks that carry no loss."""

import numpy as np
import pytest
import torch

from worldloom.splat._loss import depth_loss, photometric_loss, spread_loss, target_of


def some_target(rng: np.random.Generator, height: int = 20, width: int = 24, share: float = 1.0):
    judged = rng.uniform(size=(height, width)) < share
    return target_of(
        rng.uniform(size=(height, width, 3)).astype(np.float32),
        judged,
        rng.uniform(1, 3, (height, width)).astype(np.float32),
        rng.uniform(size=(height, width)).astype(np.float32),
    )


def by_torch(shown: torch.Tensor, image: np.ndarray, judged: np.ndarray, weight: float):
    """The loss from its definition, with an explicit window."""
    place = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(place**2) / (2 * 1.5**2))
    window = torch.outer(window / window.sum(), window / window.sum())[None, None].repeat(
        3, 1, 1, 1
    )

    def mean(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(values, window, padding=5, groups=3)

    mask = torch.tensor(judged)[..., None]
    goal = torch.tensor(image, dtype=torch.float64)
    x = torch.where(mask, shown, goal).permute(2, 0, 1)[None]
    y = goal.permute(2, 0, 1)[None]
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    kept = mask.permute(2, 0, 1)[None].expand_as(x)
    return (1 - weight) * (x - y).abs()[kept].mean() + weight * (1 - ssim[kept].mean())


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_photometric_loss_is_that_of_its_definition(share: float):
    rng = np.random.default_rng(3)
    target = some_target(rng, share=share)
    shown = rng.uniform(size=target.image.shape).astype(np.float32)
    variable = torch.tensor(shown, dtype=torch.float64, requires_grad=True)
    expected = by_torch(variable, target.image, target.judged, 0.3)
    expected.backward()
    found = photometric_loss(shown, target, 0.3)
    assert found.value == pytest.approx(float(expected.detach()), abs=1e-5)
    assert variable.grad is not None
    np.testing.assert_allclose(found.image, variable.grad, atol=2e-4 * variable.grad.abs().max())


def test_pixels_without_data_carry_no_loss():
    rng = np.random.default_rng(4)
    target = some_target(rng, share=0.5)
    shown = rng.uniform(size=target.image.shape).astype(np.float32)
    other = np.where(target.judged[..., None], shown, 7).astype(np.float32)
    loss, same = photometric_loss(shown, target, 0.2), photometric_loss(other, target, 0.2)
    assert loss.value == same.value
    assert not loss.image[~target.judged].any()
    alpha = np.full(target.judged.shape, 0.9, np.float32)
    assert not depth_loss(alpha * 2, alpha, target).depth[~target.judged].any()


def test_a_view_without_data_is_no_loss():
    target = some_target(np.random.default_rng(1), share=0.0)
    loss = photometric_loss(np.ones_like(target.image), target, 0.2)
    assert loss.value == 0
    assert not loss.image.any()


def test_gradients_of_the_depth_loss_are_finite_differences():
    rng = np.random.default_rng(5)
    target = some_target(rng)
    alpha = rng.uniform(0.6, 1, target.depth.shape).astype(np.float32)
    depth = rng.uniform(1, 3, target.depth.shape).astype(np.float32)
    found = depth_loss(depth, alpha, target)
    for name, slope in (("depth", found.depth), ("alpha", found.alpha)):
        moved = {"depth": depth.copy(), "alpha": alpha.copy()}
        moved[name][4, 7] += 1e-2
        difference = depth_loss(**moved, target=target).value - found.value
        assert difference / 1e-2 == pytest.approx(float(slope[4, 7]), rel=0.05)


def test_the_spread_of_a_ray_is_the_sum_over_its_pairs():
    rng = np.random.default_rng(6)
    target = some_target(rng)
    shape = (*target.depth.shape, 5)
    weight = (rng.uniform(0, 0.2, shape)).astype(np.float32)
    z = rng.uniform(1, 3, shape).astype(np.float32)
    pairs = weight[..., :, None] * weight[..., None, :] * (z[..., :, None] - z[..., None, :]) ** 2
    known = target.judged & (target.depth > 0)
    relative = np.where(
        known, 0.5 * pairs.sum(axis=(-1, -2)) / np.maximum(target.depth, 0.1) ** 2, 0
    )
    sums = {
        "depth": (weight * z).sum(-1),
        "square": (weight * z * z).sum(-1),
        "alpha": weight.sum(-1),
    }
    found = spread_loss(**sums, target=target)
    assert found.value == pytest.approx(float(relative.mean()), rel=1e-4)
    y, x = np.unravel_index(relative.argmax(), relative.shape)
    for name in sums:
        values: list[float] = []
        for sign in (-1, 1):
            moved = {key: value.astype(np.float32).copy() for key, value in sums.items()}
            moved[name][y, x] += sign * 0.01
            values.append(spread_loss(**moved, target=target).value)
        expected = (values[1] - values[0]) / 0.02
        assert float(getattr(found, name)[y, x]) == pytest.approx(expected, rel=0.02), name
