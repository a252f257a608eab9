"""Perspective views of panoramas: the right pixels, over the seam and the poles, no aliases."""

import numpy as np
import pytest

from tests.balls import turned
from worldloom.errors import ConfigError
from worldloom.panorama import (
    PanoramaImage,
    SphereSampling,
    panorama_from_view,
    pixel_rays,
    reduced_image,
)
from worldloom.panorama._image import view_rays

HEIGHT = 256


def smooth_colors(rays: np.ndarray) -> np.ndarray:
    """A colour for each direction, without sharp edges."""
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(rays, -1, 0)
    waves = np.stack([np.sin(3 * x + 2 * y), np.sin(4 * y - z), np.cos(3 * z + x)], axis=-1)
    return 128 + 100 * waves


def as_image(colors: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["cube", "icosahedron"])
def test_views_show_what_lies_in_their_directions(kind: str) -> None:
    sampling = SphereSampling(kind)  # type: ignore[arg-type]
    pose = turned(33, 20, (1, 2, 3))
    cameras = sampling.cameras(2 * HEIGHT, pose)
    image = as_image(smooth_colors(pixel_rays(2 * HEIGHT, HEIGHT)))
    panorama = PanoramaImage(image, None, float(cameras[0].intrinsics.fx))
    for camera in cameras:
        np.testing.assert_array_equal(camera.centre_in_world, (1, 2, 3))
        rotation = panorama_from_view(camera, pose)
        view, data = panorama.view(camera, rotation)
        assert data is None
        truth = smooth_colors(view_rays(camera) @ rotation.T)
        error = view.astype(float) - truth
        # Half a pixel off would be 1.2 levels in the mean; rounding twice is 0.4.
        assert np.abs(error).mean() < 0.5
        assert np.abs(error).max() < 3.5
        assert np.abs(error.mean(axis=(0, 1))).max() < 0.05


def test_a_view_keeps_the_resolution_of_the_panorama_in_its_middle() -> None:
    lens = SphereSampling("cube", 90.0).intrinsics(4096)
    assert lens.width_px == lens.height_px == 1304
    assert lens.fx == pytest.approx(4096 / (2 * np.pi), rel=1e-3)
    assert SphereSampling(view_px=200).intrinsics(4096).width_px == 200


def test_stripes_at_the_poles_do_not_alias() -> None:
    """Columns of black and white run together at a pole: what a view can show of them is grey."""
    image = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.uint8)
    image[:, ::2] = 255
    cameras = SphereSampling("cube").cameras(2 * HEIGHT, np.eye(4))
    panorama = PanoramaImage(image, None, float(cameras[0].intrinsics.fx))
    down, _ = panorama.view(cameras[5], panorama_from_view(cameras[5], np.eye(4)))
    middle = len(down) // 2
    around = down[middle - 20 : middle + 20, middle - 20 : middle + 20].astype(float)
    assert around.std() < 6
    assert around.mean() == pytest.approx(127.5, abs=2)
    level, _ = panorama.view(cameras[0], np.eye(3))
    assert level[middle - 5 : middle + 5].astype(float).std() > 60, "the equator keeps its stripes"


def test_a_small_view_of_a_large_panorama_is_averaged() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (HEIGHT, 2 * HEIGHT, 3)).astype(np.uint8)
    cameras = SphereSampling("cube", view_px=32).cameras(2 * HEIGHT, np.eye(4))
    panorama = PanoramaImage(image, None, float(cameras[0].intrinsics.fx))
    view, _ = panorama.view(cameras[0], np.eye(3))
    assert view.astype(float).std() < 0.35 * image.astype(float).std()


def test_the_seam_leaves_no_line() -> None:
    image = as_image(smooth_colors(pixel_rays(2 * HEIGHT, HEIGHT)))
    sampling = SphereSampling("cube")
    lens = sampling.cameras(2 * HEIGHT, np.eye(4))[2]
    panorama = PanoramaImage(image, None, float(lens.intrinsics.fx))
    back, _ = panorama.view(lens, panorama_from_view(lens, np.eye(4)))
    moved = PanoramaImage(np.roll(image, HEIGHT, axis=1), None, float(lens.intrinsics.fx))
    front, _ = moved.view(lens, np.eye(3))
    assert np.abs(back.astype(int) - front).max() <= 1


def test_pixels_without_data_are_known_in_the_views() -> None:
    data = np.ones((HEIGHT, 2 * HEIGHT), bool)
    data[-20:] = False
    image = np.full((HEIGHT, 2 * HEIGHT, 3), 90, np.uint8)
    cameras = SphereSampling("cube").cameras(2 * HEIGHT, np.eye(4))
    panorama = PanoramaImage(image, data, float(cameras[0].intrinsics.fx))
    _, everywhere = panorama.view(cameras[0], panorama_from_view(cameras[0], np.eye(4)))
    _, down = panorama.view(cameras[5], panorama_from_view(cameras[5], np.eye(4)))
    assert everywhere is None
    assert down is not None
    rays = view_rays(cameras[5])
    angle = np.degrees(np.arctan(np.hypot(rays[..., 0], rays[..., 1])))
    hole_deg = 180 * 20 / HEIGHT
    assert not down[angle < hole_deg - 0.1].any()
    assert down[angle > hole_deg + 1.5].all()


def test_reducing_keeps_the_mean_of_every_ring() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 128, 3)).astype(np.uint8)
    small = reduced_image(image, 32)
    rings = image.reshape(32, 2, 128, 3).mean(axis=(1, 2))
    np.testing.assert_allclose(small.mean(axis=1), rings, atol=1)
    assert small[0].std(axis=0).max() < 5, "the row at a pole shows one direction"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("cube", 80.0), "fov_deg"),
        (("icosahedron", 70.0), "fov_deg"),
        (("cube", 170.0), "fov_deg"),
        (("cube", None, 4), "view_px"),
    ],
)
def test_samplings_that_leave_gaps_are_refused(arguments: tuple, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SphereSampling(*arguments)
    assert caught.value.ids["field"] == named
