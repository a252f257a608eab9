"""Planes of a view, and what weak texture takes from them."""

import numpy as np
import pytest

from worldloom.depth._match import distinct_share, lean_on_prior
from worldloom.depth._planes import ViewPlanes, view_planes
from worldloom.depth._regions import PLANES, border_planes

Y, X = np.mgrid[:96, :128].astype(np.float32)


def two_walls(noise: float = 0.0) -> np.ndarray:
    """Inverse depth of two walls that meet at column 64."""
    random = np.random.default_rng(0)
    inverse = np.where(X < 64, 0.5 + 0.002 * X, 0.628 - 0.001 * (X - 64))
    return (inverse + noise * random.standard_normal(X.shape)).astype(np.float32)


def test_two_walls_are_two_planes_in_spite_of_noise() -> None:
    inverse = two_walls(noise=0.002)
    found = view_planes(inverse, np.ones(X.shape, bool), 0.004)
    left, right = found.labels[40, 20], found.labels[40, 110]
    assert left != right
    assert (found.labels[:, :56] == left).mean() > 0.98
    assert (found.labels[:, 72:] == right).mean() > 0.98
    np.testing.assert_allclose(found.planes[left], (0.002, 0, 0.5), atol=1e-3)
    np.testing.assert_allclose(found.planes[right], (-0.001, 0, 0.692), atol=1e-3)


def test_a_wall_behind_a_column_is_one_plane() -> None:
    inverse = (0.4 + 0.001 * Y).astype(np.float32)
    inverse[:, 56:72] = 0.9
    found = view_planes(inverse, np.ones(X.shape, bool), 0.002)
    assert found.labels[20, 20] == found.labels[70, 120] >= 0
    assert found.labels[20, 64] not in (-1, found.labels[20, 20])


def test_pixels_off_their_plane_and_unknown_ones_have_none() -> None:
    inverse, known = two_walls(), np.ones(X.shape, bool)
    inverse[10, 10] += 0.01
    known[50:60, 20:30] = False
    found = view_planes(inverse, known, 0.002)
    assert found.labels[10, 10] == -1
    assert (found.labels[50:60, 20:30] == -1).all()
    assert found.labels[11, 11] >= 0


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (96, 128)])
def test_nothing_known_gives_no_plane(shape: tuple[int, int]) -> None:
    found = view_planes(np.zeros(shape, np.float32), np.zeros(shape, bool), 0.01)
    assert (found.labels == -1).all()
    assert len(found.planes) == 0
    around = border_planes(np.zeros(shape, np.int32), np.ones(shape, bool), found, 20)
    assert not around.planes.any()
    assert not around.shares.any()


def test_noise_is_no_plane() -> None:
    random = np.random.default_rng(0)
    inverse = random.uniform(0.1, 2, X.shape).astype(np.float32)
    found = view_planes(inverse, np.ones(X.shape, bool), 0.004)
    assert (found.labels == -1).all()


def test_a_stripe_belongs_to_the_wall_and_not_to_the_column_before_it() -> None:
    around = np.zeros(X.shape, np.int32)
    around[:, :32] = 1  # the column
    weak = (Y >= 40) & (Y < 56) & (X >= 32)
    around[weak] = -1
    planes = np.array([[0, 0, 0.4], [0, 0, 0.9]], np.float32)
    found = border_planes(weak.astype(np.int32), weak, ViewPlanes(around, planes), 60)
    assert found.planes.shape == (2, PLANES, 3)
    np.testing.assert_array_equal(found.planes[1, :2], planes)
    assert found.shares[1, 0] > 0.8
    assert found.shares[1].sum() == pytest.approx(1)
    assert not found.shares[0].any()  # it has no weak pixel


def test_a_match_is_distinct_where_its_cost_rises_on_both_sides() -> None:
    cost = np.full((20, 60, 16), 100, np.uint8)
    cost[:, :20, 8] = 10  # a sharp valley
    cost[:, 40:, 8:] = 10  # open to one side, as along an edge
    share = distinct_share(cost, np.full((20, 60), 8, np.float32))
    assert (share[:, :17] == 1).all()
    assert (share[:, 23:] == 0).all()


def test_without_texture_the_prior_wins_and_with_texture_the_images() -> None:
    random = np.random.default_rng(0)
    cost = random.integers(100, 120, (20, 40, 9)).astype(np.uint8)
    cost[:, 20:, 1] = 40
    before = cost.copy()
    texture = np.zeros((10, 20), np.float32)
    texture[:, 12:] = 1
    lean_on_prior(cost, texture, 60.0)
    assert (cost[:, :18].argmin(axis=2) == 4).mean() > 0.8
    np.testing.assert_array_equal(cost[:, 26:], before[:, 26:])
    lean_on_prior(cost, np.zeros((10, 20), np.float32), 1e6)
    assert (cost.argmin(axis=2) == 4).all()  # saturates, does not wrap
