"""Planes of regions, and their way to doubtful pixels."""

import numpy as np
import pytest

from tests.unit.test_matching import camera_at, painted, plane_depth
from worldloom.depth._normals import inverse_slopes
from worldloom.depth._planes import ViewPlanes
from worldloom.depth._propagation import propagate
from worldloom.depth._proposals import DOUBTFUL, TRUSTED, PropagationConfig, Proposals
from worldloom.depth._regions import PLANES, BorderPlanes, region_planes, regions

NORMAL = np.array([0.3, 0.1, 1.0])


def proposals(inverse: np.ndarray, trust: np.ndarray, image: np.ndarray | None = None) -> Proposals:
    slopes = inverse_slopes(np.where(trust == TRUSTED, inverse, 0).astype(np.float32), reach=2)
    return Proposals(
        inverse,
        np.stack([slopes.along_x, slopes.along_y], axis=-1),
        trust,
        np.zeros_like(inverse),
        np.zeros(inverse.shape, np.int32),
        np.zeros((1, PLANES, 3), np.float32),
        ViewPlanes(np.full(inverse.shape, -1, np.int32), np.zeros((0, 3), np.float32)),
        BorderPlanes(np.zeros((1, PLANES, 3), np.float32), np.zeros((1, PLANES), np.float32)),
        np.ones_like(inverse),
        np.zeros((*inverse.shape, 3), np.float32) if image is None else image,
    )


def run(surface: np.ndarray, given: Proposals) -> np.ndarray:
    cameras = [camera_at(0), camera_at(0.2), camera_at(-0.2)]
    views = [painted(camera, plane_depth(camera, NORMAL, 2.0)) for camera in cameras]
    return propagate(
        views[0],
        views[1:],
        surface,
        given,
        same=1e-4,
        grey_sigma=12.0,
        noise_level=1.0,
        config=PropagationConfig(),
    )


def test_a_wrong_patch_takes_the_plane_around_it() -> None:
    truth = (1 / plane_depth(camera_at(0), NORMAL, 2.0)).astype(np.float32)
    wrong, trust = truth.copy(), np.full(truth.shape, TRUSTED, np.uint8)
    wrong[20:40, 30:50] *= 1.4
    trust[20:40, 30:50] = DOUBTFUL
    found = run(wrong, proposals(wrong, trust))
    patch = np.s_[20:40, 30:50]
    assert np.abs(wrong[patch] / truth[patch] - 1).min() > 0.3
    assert np.median(np.abs(found[patch] / truth[patch] - 1)) < 2e-3
    np.testing.assert_array_equal(found[trust == TRUSTED], wrong[trust == TRUSTED])


def test_a_right_patch_that_nobody_confirms_stays() -> None:
    truth = (1 / plane_depth(camera_at(0), NORMAL, 2.0)).astype(np.float32)
    trust = np.full(truth.shape, TRUSTED, np.uint8)
    trust[20:40, 30:50] = DOUBTFUL
    given = proposals(truth, trust)
    given.inverse[trust == TRUSTED] *= 1.3  # what is around belongs to another surface
    found = run(truth, given)
    kept = np.abs(found / truth - 1)[24:36, 34:46] < 5e-3  # windows wholly inside
    assert kept.mean() > 0.95


def test_weak_texture_takes_the_plane_around_its_region_whatever_the_images_say() -> None:
    truth = (1 / plane_depth(camera_at(0), NORMAL, 2.0)).astype(np.float32)
    elsewhere = np.array([0, 0, 2 * truth.mean()], np.float32)
    trust = np.full(truth.shape, TRUSTED, np.uint8)
    trust[20:40, 30:50] = DOUBTFUL
    given = proposals(truth, trust)
    given.texture[trust == DOUBTFUL] = 0.1
    given.border.planes[0, 0] = elsewhere
    given.border.shares[0, 0] = 1
    given.memory[:] = 0
    found = run(truth, given)
    assert (found[trust == DOUBTFUL] == elsewhere[2]).mean() > 0.9
    np.testing.assert_array_equal(found[trust == TRUSTED], truth[trust == TRUSTED])


def test_where_nothing_is_trusted_all_stays() -> None:
    truth = (1 / plane_depth(camera_at(0), NORMAL, 2.0)).astype(np.float32)
    found = run(truth, proposals(truth, np.full(truth.shape, DOUBTFUL, np.uint8)))
    np.testing.assert_array_equal(found, truth)


def test_half_size_proposals_fit_the_full_size() -> None:
    truth = (1 / plane_depth(camera_at(0), NORMAL, 2.0)).astype(np.float32)
    half = truth.reshape(30, 2, 40, 2).mean(axis=(1, 3)).astype(np.float32)
    trust = np.full(half.shape, TRUSTED, np.uint8)
    trust[10:20, 15:25] = DOUBTFUL
    wrong = truth.copy()
    wrong[20:40, 30:50] *= 1.4
    found = run(wrong, proposals(half, trust))
    assert np.median(np.abs(found / truth - 1)[20:40, 30:50]) < 2e-3


def test_regions_end_where_colours_do() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = (200, 30, 30)
    labels = regions(image)
    assert len(np.unique(labels[:, :36])) == 1
    assert len(np.unique(labels[:, 44:])) == 1
    assert labels[0, 0] != labels[0, 79]


def test_planes_of_a_region_survive_outliers_and_come_apart() -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:60, :80].astype(np.float32)
    first, second = 0.001 * x + 0.002 * y + 0.4, -0.003 * x + 0.9
    inverse = np.where(y < 30, first, second).astype(np.float32)
    outliers = random.random(inverse.shape) < 0.3
    inverse[outliers] = random.uniform(0.1, 2, outliers.sum())
    planes = region_planes(np.zeros((60, 80), np.int32), inverse, np.ones((60, 80), bool), 0.004)
    fitted = planes[0] @ np.stack([x[5, 5], y[5, 5], 1]), planes[0] @ np.stack([x[50, 9], 50, 1])
    assert np.abs(fitted[0] - first[5, 5]).min() < 1e-3
    assert np.abs(fitted[1] - second[50, 9]).min() < 1e-3


def test_what_surrounds_a_region_gives_it_its_plane() -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 20:60] = 1
    inverse = np.tile(0.002 * np.arange(80) + 0.5, (60, 1)).astype(np.float32)
    planes = region_planes(labels, inverse, labels == 0, 0.004)
    np.testing.assert_allclose(planes[1, 0], (0.002, 0, 0.5), atol=1e-5)


@pytest.mark.parametrize("known", [0, 20])
def test_too_little_gives_no_plane(known: int) -> None:
    trusted = np.zeros(600, bool)
    trusted[:known] = True
    planes = region_planes(
        np.zeros((20, 30), np.int32), np.ones((20, 30), np.float32), trusted.reshape(20, 30), 0.01
    )
    assert not planes.any()
