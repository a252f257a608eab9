"""The rasteriser against gsplat's torch reference, finite differences, and itself on threads."""

import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tests.splatting import blended, some_camera, some_scene
from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.splat._crew import Crew
from worldloom.splat._rasterizer import Scene, Slopes, rasterize, slopes

ONE = Crew(1)


def reference(scene: Scene, camera: Camera, degree: int) -> tuple[torch.Tensor, ...]:
    """Image, depth, alpha by gsplat's projection and colours, and the parameters, for autograd."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gsplat warns where there is no CUDA toolkit
        gsplat = pytest.importorskip("gsplat.cuda._torch_impl")
    parameters = [
        torch.tensor(getattr(scene, field.name), dtype=torch.float64, requires_grad=True)
        for field in fields(Scene)
    ]
    means, rotations, scales, opacities, sh = parameters
    covars, _ = gsplat._quat_scale_to_covar_preci(rotations, scales, True, False)
    view = torch.tensor(camera.cam_from_world)[None]
    lens = camera.intrinsics
    radii, xy, depth, conics, _ = gsplat._fully_fused_projection(
        *(means, covars, view, torch.tensor(lens.matrix)[None], lens.width_px, lens.height_px)
    )
    directions = means - torch.tensor(camera.centre_in_world)
    colors = torch.clamp_min(gsplat._spherical_harmonics(degree, directions, sh) + 0.5, 0)
    seen = torch.nonzero((radii[0] > 0).all(-1) & (opacities >= 1 / 255))[:, 0]
    order = seen[torch.argsort(depth[0, seen], stable=True)]
    features = torch.cat([colors, depth[0, :, None], depth[0, :, None] ** 2], 1)
    total, alpha = blended(
        xy[0], conics[0], opacities, features, order, lens.width_px, lens.height_px
    )
    return total[..., :3], total[..., 3], total[..., 4], alpha, *parameters


def whole(found: Slopes, name: str, scene: Scene) -> np.ndarray:
    """Gradients of all Gaussians, 0 where the view does not show them."""
    slope = np.zeros_like(getattr(scene, name))
    slope[found.rows] = getattr(found, name)
    return slope


@pytest.mark.parametrize(("degree", "seed"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_image_and_gradients_are_those_of_gsplat(degree: int, seed: int):
    scene, camera = some_scene(degree=degree, seed=seed), some_camera()
    image, depth, square, alpha, *parameters = reference(scene, camera, degree)
    raster = rasterize(scene, camera, degree, ONE)
    np.testing.assert_allclose(raster.image, image.detach(), atol=1e-4)
    np.testing.assert_allclose(raster.depth, depth.detach(), atol=1e-4)
    np.testing.assert_allclose(
        raster.square, square.detach(), atol=1e-4 * float(square.detach().max())
    )
    np.testing.assert_allclose(raster.alpha, alpha.detach(), atol=1e-4)
    assert 0.4 < float(raster.alpha.mean()) < 1
    assert float(raster.alpha.max()) > 0.998  # most rays end early

    rng = np.random.default_rng(seed)
    wanted = (image, depth, square, alpha)
    weights = [rng.normal(size=np.shape(x)).astype(np.float32) for x in wanted]
    loss = sum(
        (torch.tensor(weight) * value).sum() for weight, value in zip(weights, wanted, strict=True)
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    found = slopes(scene, raster, *weights, ONE)
    for field, parameter in zip(fields(Scene), parameters, strict=True):
        expected = parameter.grad
        assert expected is not None
        biggest = float(expected.abs().max())
        np.testing.assert_allclose(
            whole(found, field.name, scene), expected, atol=1e-4 * biggest, err_msg=field.name
        )


@pytest.mark.parametrize("name", ["means", "rotations", "scales", "opacities", "sh"])
def test_gradients_are_finite_differences(name: str):
    """Of Gaussians so large that no threshold lies in the image: there, the loss is smooth."""
    scene, camera = some_scene(4, degree=2, seed=6), some_camera()
    scene = replace(
        scene,
        means=scene.means * np.float32(0.2) + np.array([0, 0, 3], np.float32),
        scales=scene.scales * np.float32(4) + np.float32(2),
        opacities=scene.opacities * np.float32(0.5) + np.float32(0.2),
    )
    weight = np.random.default_rng(5).normal(size=(36, 44, 3)).astype(np.float32)
    none = np.zeros((36, 44), np.float32)
    found = slopes(scene, rasterize(scene, camera, 2, ONE), weight, none, none, none, ONE)
    values = getattr(scene, name)
    step, direction = 4e-3, np.random.default_rng(1).normal(size=values.shape).astype(np.float32)
    direction *= np.float32(1) if name != "opacities" else np.float32(0.2)

    def loss(sign: int) -> float:
        moved = (values + np.float32(sign * step) * direction).astype(np.float32)
        shown = rasterize(replace(scene, **{name: moved}), camera, 2, ONE).image
        return float((shown.astype(np.float64) * weight).sum())

    expected = (loss(1) - loss(-1)) / (2 * step)
    assert float((whole(found, name, scene) * direction).sum()) == pytest.approx(
        expected, rel=0.02, abs=0.02
    )


def test_threads_leave_no_trace():
    scene, camera = some_scene(300, degree=1, seed=9), some_camera(90, 70)
    weights = (np.ones((70, 90, 3), np.float32), *np.ones((3, 70, 90), np.float32))
    results = []
    for threads in (1, 2, 5):
        with Crew(threads) as crew:
            raster = rasterize(scene, camera, 1, crew)
            results.append((raster, slopes(scene, raster, *weights, crew)))
    for raster, gradient in results[1:]:
        np.testing.assert_array_equal(raster.image, results[0][0].image)
        for field in fields(Slopes):
            np.testing.assert_array_equal(
                getattr(gradient, field.name), getattr(results[0][1], field.name)
            )


def test_nothing_in_sight_is_black():
    scene = some_scene(5)
    behind = replace(scene, means=scene.means - np.array([0, 0, 50], np.float32))
    raster = rasterize(behind, some_camera(), 0, ONE)
    assert not raster.image.any()
    assert not raster.alpha.any()
    none = np.ones((36, 44), np.float32)
    found = slopes(behind, raster, np.ones((36, 44, 3), np.float32), none, none, none, ONE)
    assert len(found.rows) == 0


def test_a_degree_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="9 bands"):
        rasterize(some_scene(5, degree=1), some_camera(), 2, ONE)
