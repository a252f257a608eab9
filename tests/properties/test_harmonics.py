"""Turning a world of Gaussians and looking is looking and turning."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.gaussians import gaussians
from worldloom.export._axes import Placement
from worldloom.export._harmonics import harmonics, turned_harmonics
from worldloom.export._splat_view import placed_splats

SEEDS = st.integers(0, 10_000)


def directions(seed: int, count: int = 12) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(SEEDS, st.integers(0, 3))
@settings(max_examples=40)
def test_a_turned_world_shows_the_same_colours_from_turned_places(seed: int, degree: int) -> None:
    turn = Rotation.random(rng=seed).as_matrix()
    sh = gaussians(5, degree, seed).sh
    seen = np.einsum("dk,nkc->ndc", harmonics(directions(seed), degree), sh)
    turned = turned_harmonics(sh, turn)
    again = np.einsum("dk,nkc->ndc", harmonics(directions(seed) @ turn.T, degree), turned)
    np.testing.assert_allclose(again, seen, atol=2e-6)


@given(SEEDS)
@settings(max_examples=20)
def test_turning_twice_is_turning_once_by_both(seed: int) -> None:
    first, second = (Rotation.random(rng=seed + k).as_matrix() for k in range(2))
    sh = gaussians(4, 3, seed).sh
    twice = turned_harmonics(turned_harmonics(sh, first), second)
    np.testing.assert_allclose(twice, turned_harmonics(sh, second @ first), atol=5e-6)


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    angles = np.arange(16) * np.pi / 8
    z = np.repeat(nodes, 16)
    radius = np.sqrt(1 - z * z)
    angle = np.tile(angles, 8)
    values = harmonics(np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1), 3)
    weight = np.repeat(weights, 16) * np.pi / 8
    np.testing.assert_allclose((values * weight[:, None]).T @ values, np.eye(16), atol=1e-12)


@given(SEEDS)
@settings(max_examples=20)
def test_gaussians_turn_as_bodies(seed: int) -> None:
    turn = Rotation.random(rng=seed).as_matrix()
    splats = gaussians(6, 1, seed)
    placed = placed_splats(splats, Placement(turn))

    def spread(some: np.ndarray, scales: np.ndarray) -> np.ndarray:
        axes = Rotation.from_quat(some, scalar_first=True).as_matrix() * scales[:, None, :]
        return axes @ axes.transpose(0, 2, 1)

    expected = turn @ spread(splats.rotations, splats.scales_m) @ turn.T
    np.testing.assert_allclose(spread(placed.rotations, placed.scales_m), expected, atol=3e-6)
    np.testing.assert_allclose(placed.means_in_world, splats.means_in_world @ turn.T, atol=3e-6)
    np.testing.assert_array_equal(placed.opacities, splats.opacities)
