"""Pixels and rays of panoramas, for any direction and any size."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldloom.panorama import (
    DistancePanorama,
    SphereSampling,
    pixel_rays,
    pixels_from_rays,
    rays_from_pixels,
    resampled,
    sampled_distance,
)
from worldloom.panorama._distance import wrapped
from worldloom.panorama._sphere import view_rotations

heights = st.integers(1, 4096)
vectors = arrays(np.float64, 3, elements=st.floats(-10, 10, width=64))


@given(vectors, heights)
def test_a_ray_comes_back_from_its_pixel(vector: np.ndarray, height: int) -> None:
    length = np.linalg.norm(vector)
    assume(length > 1e-3)
    pixel = pixels_from_rays(vector, 2 * height, height)
    assert 0 <= pixel[0] < 2 * height
    assert 0 <= pixel[1] <= height
    back = rays_from_pixels(pixel, 2 * height, height)
    np.testing.assert_allclose(back, vector / length, atol=1e-9)


@given(st.floats(0, 1, exclude_max=True), st.floats(1e-6, 1 - 1e-6), heights)
def test_a_pixel_comes_back_from_its_ray(x: float, y: float, height: int) -> None:
    pixel = np.array([x * 2 * height, y * height])
    ray = rays_from_pixels(pixel, 2 * height, height)
    assert np.linalg.norm(ray) == pytest.approx(1, abs=1e-12)
    off = np.abs(pixels_from_rays(ray, 2 * height, height) - pixel)
    off[0] = min(off[0], 2 * height - off[0])
    np.testing.assert_allclose(off, 0, atol=1e-6 * height)


@given(st.floats(-3, 3), st.floats(0, 1), heights)
def test_a_turn_to_the_side_is_the_same_pixel(x: float, y: float, height: int) -> None:
    pixel = np.array([x * height, y * height])
    once_more = pixel + np.array([2 * height, 0])
    np.testing.assert_allclose(
        rays_from_pixels(pixel, 2 * height, height),
        rays_from_pixels(once_more, 2 * height, height),
        atol=1e-9,
    )


def test_where_the_middle_the_seam_and_the_poles_are() -> None:
    pixels = np.array([[4, 2], [6, 2], [2, 2], [0, 2], [8, 2], [3, 0], [1, 4]], np.float64)
    rays = rays_from_pixels(pixels, 8, 4)
    wanted = [[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 0, -1], [0, 0, -1], [0, -1, 0], [0, 1, 0]]
    np.testing.assert_allclose(rays, wanted, atol=1e-15)
    # The centre of the top-left pixel is (0.5, 0.5): half a pixel right of the seam.
    first = pixel_rays(8, 4)[0, 0]
    np.testing.assert_allclose(first, rays_from_pixels(np.array([0.5, 0.5]), 8, 4))
    assert first[0] < 0
    assert first[2] < 0


@given(st.integers(1, 20), st.integers(0, 39), st.integers(0, 19), st.integers(-3, 3))
def test_beyond_the_edges_lies_the_other_side_of_the_sphere(
    height: int, x: int, y: int, step: int
) -> None:
    """Walking on straight over a pole or the seam leads to the pixel that shows that direction."""
    assume(x < 2 * height and y < height and abs(step) <= height)
    for dx, dy in ((step, 0), (0, step)):
        row, column = wrapped((height, 2 * height), np.array(x + dx), np.array(y + dy))
        walked = rays_from_pixels(np.array([x + dx + 0.5, y + dy + 0.5]), 2 * height, height)
        np.testing.assert_allclose(pixel_rays(2 * height, height)[row, column], walked, atol=1e-9)


@given(st.sampled_from(["cube", "icosahedron"]), vectors, st.booleans())
def test_every_direction_is_in_a_view(kind: str, vector: np.ndarray, narrowest: bool) -> None:
    assume(np.linalg.norm(vector) > 1e-3)
    fov = {"cube": 90.0, "icosahedron": 74.76}[kind] if narrowest else None
    sampling = SphereSampling(kind, fov)  # type: ignore[arg-type]
    lens = sampling.intrinsics(512)
    seen = 0
    for rotation in view_rotations(sampling.sampling):
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-14)
        assert np.linalg.det(rotation) == pytest.approx(1)
        x, y, z = vector @ rotation
        if z > 1e-9:
            px = np.array([x, y]) / z * lens.fx + lens.cx
            seen += bool((px >= -1e-6).all() and (px <= lens.width_px + 1e-6).all())
    assert seen >= 1


@given(st.integers(2, 24), st.integers(0, 10_000))
def test_sampling_at_pixel_centres_is_exact_and_elsewhere_between_neighbours(
    height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    panorama = rng.uniform(0.5, 8, (height, 2 * height)).astype(np.float32)
    panorama[rng.uniform(size=panorama.shape) < 0.2] = 0
    np.testing.assert_array_equal(
        sampled_distance(panorama, pixel_rays(2 * height, height)), panorama
    )
    rays = rng.normal(size=(200, 3))
    read = sampled_distance(panorama, rays)
    assert ((read == 0) | ((read >= 0.5 * (1 - 1e-6)) & (read <= 8 * (1 + 1e-6)))).all()


@given(st.integers(4, 40), st.integers(4, 40))
def test_a_sphere_stays_a_sphere_at_any_size(height: int, other: int) -> None:
    ones = np.ones((height, 2 * height), np.float32)
    made = resampled(DistancePanorama(3 * ones, 0.5 * ones), other)
    np.testing.assert_allclose(made.distance, np.full((other, 2 * other), 3), rtol=1e-6)
    np.testing.assert_array_equal(made.confidence, np.full((other, 2 * other), 0.5, np.float32))
