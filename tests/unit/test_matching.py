"""The parts of depth estimation against exact or naive references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.depth._config import ConsistencyConfig, SweepConfig
from worldloom.depth._consistency import agreement
from worldloom.depth._correlation import UNSEEN, Window, correlate, support
from worldloom.depth._match import best_hypothesis
from worldloom.depth._normals import depth_normals
from worldloom.depth._semi_global import aggregate_cost
from worldloom.depth._sweep import (
    NO_EVIDENCE,
    MatchImage,
    pixel_transfer,
    plane_costs,
    surface_costs,
)
from worldloom.errors import ConfigError
from worldloom.scene import DepthMap

WINDOW = Window(side_px=7, stride_px=1, grey_sigma=12.0)
LENS = CameraIntrinsics(fx=80, fy=80, cx=40, cy=30, width_px=80, height_px=60)


def camera_at(x: float, y: float = 0.0, z: float = 0.0) -> Camera:
    world_from_cam = np.eye(4)
    world_from_cam[:3, 3] = (x, y, z)
    return Camera(LENS, world_from_cam)


def plane_depth(camera: Camera, normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth of the plane normal . x = distance, seen by a camera without rotation."""
    y, x = np.mgrid[: LENS.height_px, : LENS.width_px] + 0.5
    rays = np.stack([(x - LENS.cx) / LENS.fx, (y - LENS.cy) / LENS.fy, np.ones_like(x)], axis=-1)
    return ((distance - normal @ camera.centre_in_world) / (rays @ normal)).astype(np.float32)


def painted(camera: Camera, depth: np.ndarray) -> MatchImage:
    """A view of a surface with a smooth texture in world coordinates."""
    y, x = np.mgrid[: LENS.height_px, : LENS.width_px] + 0.5
    points = camera.unproject(np.stack([x.ravel(), y.ravel()], axis=-1), depth.ravel())
    waves = np.sin(points[:, 0] * 9) + np.sin(points[:, 1] * 11 + 1) + np.sin(points.sum(1) * 23)
    grey = (128 + 40 * waves).reshape(depth.shape).astype(np.float32)
    return MatchImage(camera, grey, np.ones(depth.shape, np.bool_))


def naive_paths(
    cost: np.ndarray, guide: np.ndarray, small: int, large: int, scale: float
) -> np.ndarray:
    """Semi-global aggregation straight from the definition."""
    height, width, count = cost.shape
    steps = np.maximum(np.round(large / (1 + np.arange(256) / scale)), small + 1)
    total = np.zeros(cost.shape)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        path = np.zeros(cost.shape)
        rows = range(height) if dy >= 0 else range(height - 1, -1, -1)
        columns = range(width) if dx >= 0 else range(width - 1, -1, -1)
        for y in rows:
            for x in columns:
                py, px = y - dy, x - dx
                path[y, x] = cost[y, x]
                if 0 <= py < height and 0 <= px < width:
                    before = path[py, px]
                    edge = abs(int(guide[y, x]) - int(guide[py, px]))
                    for k in range(count):
                        options = [before[k], before.min() + steps[edge]]
                        options += [before[j] + small for j in (k - 1, k + 1) if 0 <= j < count]
                        path[y, x, k] += min(options) - before.min()
        total += path
    return total


@given(seed=st.integers(0, 1000), small=st.integers(1, 30), large=st.integers(31, 300))
@settings(max_examples=15, deadline=None)
def test_aggregation_is_the_definition(seed: int, small: int, large: int) -> None:
    random = np.random.default_rng(seed)
    cost = random.integers(0, 256, (6, 7, 5), dtype=np.uint8)
    guide = random.integers(0, 256, (6, 7), dtype=np.uint8)
    fast = aggregate_cost(cost, guide, small_step=small, large_step=large, guide_scale=8.0)
    np.testing.assert_array_equal(fast, naive_paths(cost, guide, small, large, 8.0))


@given(seed=st.integers(0, 1000), side=st.sampled_from([3, 5, 7]), stride=st.sampled_from([1, 2]))
@settings(max_examples=15, deadline=None)
def test_correlation_is_the_definition(seed: int, side: int, stride: int) -> None:
    """Weighted NCC of every window, written out."""
    random = np.random.default_rng(seed)
    window = Window(side, stride, 10.0)
    reach, height, width = window.reach_px, 5, 6
    shape = (height + 2 * reach, width + 2 * reach)
    grey, other = (random.uniform(0, 255, shape).astype(np.float32) for _ in range(2))
    inside = np.pad(np.ones((height, width), np.uint8), reach)
    seen = inside * random.integers(0, 2, shape, dtype=np.uint8)
    windows = support(grey, inside, window, 2.25)
    scores = np.empty((height, width), np.float32)
    offsets = window.offsets()
    middle = np.ascontiguousarray(seen[reach : reach + height, reach : reach + width])
    correlate(grey, windows, window.shape, other, middle, np.float32(2.25), scores)
    for y, x in np.ndindex(height, width):
        cy, cx = y + reach, x + reach
        at = [(cy + dy, cx + dx) for dy, dx in offsets]
        near = np.hypot(*offsets.T) / (2 * max(reach, 1))
        difference = np.array([abs(float(grey[p]) - float(grey[cy, cx])) for p in at])
        weight = np.exp(-difference / 10.0 - near) * np.array([inside[p] for p in at])
        weight /= weight.sum()
        np.testing.assert_allclose(windows.weights[y, :, x], weight, atol=1e-5)
        a, b = (np.array([image[p] for p in at], np.float64) for image in (grey, other))
        np.testing.assert_allclose(windows.mean[y, x], weight @ a, rtol=1e-5)
        a, b = a - weight @ a, b - weight @ b
        expected = weight @ (a * b) / np.sqrt((weight @ a**2 + 2.25) * (weight @ b**2 + 2.25))
        found = scores[y, x]
        assert found == UNSEEN if seen[cy, cx] == 0 else abs(found - expected) < 1e-2


def test_windows_at_an_edge_lean_on_their_own_side() -> None:
    grey = np.zeros((7, 14), np.float32)
    grey[:, 7:] = 100
    weights = support(grey, np.ones((7, 14), np.uint8), WINDOW, 0.0).weights
    across = WINDOW.offsets()[:, 1] > 0
    assert weights[0, across, 3].sum() < 1e-3, "the centre is the last dark column"
    assert weights[0, ~across, 3].sum() > 0.999


def test_true_plane_costs_nothing_and_others_cost() -> None:
    normal = np.array([0.0, 0.0, 1.0])
    views = [
        painted(camera, plane_depth(camera, normal, 2.0))
        for camera in map(camera_at, (0, 0.2, -0.2))
    ]
    inverse = np.array([1 / 3, 1 / 2, 1.0])
    cost = plane_costs(views[0], views[1:], inverse, window=WINDOW, noise_level=1.0)
    inner = cost[8:-8, 20:-20]
    assert np.median(inner[..., 1]) <= 1
    assert inner[..., 1].max() <= 6
    assert np.median(inner[..., 0]) > 40
    assert np.median(inner[..., 2]) > 40


def test_occluded_partner_does_not_raise_the_cost() -> None:
    normal = np.array([0.0, 0.0, 1.0])
    views = [
        painted(camera, plane_depth(camera, normal, 2.0)) for camera in map(camera_at, (0, 0.2))
    ]
    random = np.random.default_rng(0)
    noise = random.uniform(0, 255, views[1].grey.shape).astype(np.float32)
    blocked = MatchImage(camera_at(-0.2), noise, views[1].valid)
    both = [views[1], blocked]
    cost = plane_costs(views[0], both, np.array([0.5]), window=WINDOW, noise_level=1.0)
    assert np.median(cost[8:-8, 20:-20]) <= 1


def test_without_a_partner_that_sees_it_there_is_no_evidence() -> None:
    depth = plane_depth(camera_at(0), np.array([0.0, 0.0, 1.0]), 2.0)
    view = painted(camera_at(0), depth)
    blind = MatchImage(camera_at(0.2), view.grey, np.zeros_like(view.valid))
    cost = plane_costs(view, [blind], np.array([0.5]), window=WINDOW, noise_level=1.0)
    assert (cost == NO_EVIDENCE).all()


def test_windows_follow_a_slanted_surface() -> None:
    normal = np.array([0.5, 0.0, 1.0])
    cameras = [camera_at(0), camera_at(0.3), camera_at(-0.3)]
    views = [painted(camera, plane_depth(camera, normal, 2.0)) for camera in cameras]
    inverse = (1 / plane_depth(cameras[0], normal, 2.0)).astype(np.float32)
    offsets = np.array([-0.05, 0.0, 0.05])
    wide = Window(11, 1, 12.0)
    cost = surface_costs(views[0], views[1:], inverse, offsets, window=wide, noise_level=1.0)
    inner = cost[8:-8, 20:-20]
    assert inner[..., 1].max() <= 4
    assert (inner[..., 1] < inner[..., 0]).mean() > 0.99
    assert (inner[..., 1] < inner[..., 2]).mean() > 0.99


def test_transfer_agrees_with_projection() -> None:
    reference, partner = camera_at(0), camera_at(0.4, 0.1, -0.2)
    linear, offset = pixel_transfer(reference, partner)
    moved = linear @ np.array([11.0, 23.0, 1.0]) + offset / 2.5
    point = reference.unproject(np.array([[11.5, 23.5]]), np.array([2.5]))
    expected = partner.project(point)[0][0] - 0.5
    np.testing.assert_allclose(moved[:2] / moved[2], expected, atol=1e-9)


@given(st.floats(1.2, 7.8))
def test_parabola_finds_the_fraction(minimum: float) -> None:
    cost = np.round(40 * (np.arange(10) - minimum) ** 2).astype(np.uint16).reshape(1, 1, 10)
    assert abs(float(best_hypothesis(cost)[0, 0]) - minimum) < 0.02


def test_best_hypothesis_at_the_ends_stays_inside() -> None:
    falling = np.array([[[9, 5, 3, 1]]], np.uint16)
    rising = np.array([[[1, 3, 5, 9]]], np.uint16)
    assert best_hypothesis(falling)[0, 0] == 3
    assert best_hypothesis(rising)[0, 0] == 0


def test_normals_of_a_plane_are_exact() -> None:
    normal = np.array([0.3, -0.4, 0.8])
    camera = camera_at(0.2, -0.1)
    normals = depth_normals(plane_depth(camera, normal, 2.0), camera)
    expected = -normal / np.linalg.norm(normal)
    np.testing.assert_allclose(
        normals[3:-3, 3:-3], np.broadcast_to(expected, (54, 74, 3)), atol=2e-3
    )


def test_unknown_depth_has_no_normal() -> None:
    depth = np.zeros((60, 80), np.float32)
    depth[10, 10] = 2.0
    assert not depth_normals(depth, camera_at(0)).any()


def depth_map(camera: Camera, depth: np.ndarray) -> DepthMap:
    normals = np.zeros((*depth.shape, 3), np.float32)
    return DepthMap(0, camera, depth, np.ones_like(depth), normals)


def test_views_of_one_surface_agree() -> None:
    normal = np.array([0.2, 0.1, 1.0])
    cameras = [camera_at(0), camera_at(0.2), camera_at(-0.2, 0.1)]
    maps = [depth_map(camera, plane_depth(camera, normal, 2.0)) for camera in cameras]
    agreed = agreement(maps[0], maps[1:], ConsistencyConfig())
    inner = np.s_[6:-6, 12:-12]
    assert agreed.support[inner].min() > 1.5
    assert not agreed.contradicted[inner].any()
    np.testing.assert_allclose(agreed.mean_depth[inner], maps[0].depth[inner], rtol=3e-3)


def test_a_floater_is_contradicted() -> None:
    flat = np.array([0.0, 0.0, 1.0])
    cameras = [camera_at(0), camera_at(0.2), camera_at(-0.2)]
    maps = [depth_map(camera, plane_depth(camera, flat, 2.0)) for camera in cameras]
    wrong = maps[0].depth.copy()
    wrong[20:40, 30:50] = 1.5
    agreed = agreement(depth_map(cameras[0], wrong), maps[1:], ConsistencyConfig())
    assert agreed.support[22:38, 32:48].max() < 1e-3
    assert (agreed.contradicted[22:38, 32:48] == 2).all()
    assert (agreed.support[22:38, 60:66] > 1.9).all()


def test_empty_depth_agrees_with_nothing() -> None:
    empty = depth_map(camera_at(0), np.zeros((60, 80), np.float32))
    agreed = agreement(empty, [empty], ConsistencyConfig())
    assert not agreed.support.any()
    assert not agreed.mean_depth.any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SweepConfig(window_px=4),
        lambda: SweepConfig(min_planes=100, max_planes=64),
        lambda: ConsistencyConfig(min_support=0.0),
    ],
)
def test_settings_that_cannot_work_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="must"):
        make()
