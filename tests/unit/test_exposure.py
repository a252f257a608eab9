"""Exposures are found from shared cells, and colours are fused as if there were none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analytic import SphereInBox, ring
from tests.stage_run import StageRun
from tests.stored import made, store_depth
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError
from worldloom.exposure import (
    BALANCE,
    SAMPLE,
    Balance,
    ExposureConfig,
    SampledView,
    balance_work,
    fit_exposure,
    sample_work,
)
from worldloom.exposure._samples import SAMPLES_FILE, rank
from worldloom.memory import (
    CONTRIBUTE,
    FUSE_SHARD,
    Contribution,
    MemoryConfig,
    contribute_work,
    load_cloud,
    plan_shards,
    points_from_depth,
)
from worldloom.merge import load_mesh, merge_chunks
from worldloom.response import Response, ViewExposure, exposed
from worldloom.scene import DepthMap, DepthRef, Mesh, PointCloud
from worldloom.store import ArtifactKey
from worldloom.surface import FUSE_CHUNK, SurfaceConfig, plan_chunks

SHAPE = SphereInBox()
CAMERAS = ring(10)
CELL_M, VOXEL_M = 0.06, 0.05
MEMORY = MemoryConfig(min_confidence=0.0, shard_cells=32)
CONFIG = ExposureConfig()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path)))


def true_colors(points_in_world: np.ndarray, brightness: float = 1.0) -> np.ndarray:
    """Paint on the scene: smooth, of all levels, the same from everywhere."""
    waves = np.sin(
        points_in_world @ np.array([[2.1, 0.7, -1.3], [1.1, -2.3, 0.9], [0.8, 1.6, 2.2]])
    )
    return np.clip((110 + 62 * waves) * brightness, 0, 255)


def picture(depth_map: DepthMap, brightness: float = 1.0) -> np.ndarray:
    points = points_from_depth(depth_map)
    image = np.zeros((depth_map.depth.size, 3), np.uint8)
    image[points.pixels] = np.rint(true_colors(points.points_in_world, brightness))
    return image.reshape(*depth_map.depth.shape, 3)


def as_light(image: np.ndarray, gain_rgb: np.ndarray) -> np.ndarray:
    """A linear camera with another exposure, written out on its own."""
    share = image / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) * gain_rgb
    share = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def as_film(image: np.ndarray, gain_rgb: np.ndarray) -> np.ndarray:
    share = (image + 0.5) / 256
    odds = share / (1 - share) * np.asarray(gain_rgb) ** (1 / 1.1)
    return np.rint(np.clip(256 * odds / (1 + odds) - 0.5, 0, 255)).astype(np.uint8)


CAMERA_OF = {"linear": as_light, "filmic": as_film}


def drift(views: int, strength: float = 0.35, seed: int = 3) -> np.ndarray:
    """Gains with a geometric mean of 1 in each channel: slow drift, jumps, and white balance."""
    rng = np.random.default_rng(seed)
    logs = strength * np.sin(np.arange(views))[:, None] + rng.normal(0, 0.1, (views, 3))
    return np.exp(logs - logs.mean(axis=0))


def depth_maps() -> list[DepthMap]:
    return [SHAPE.depth_map(i, camera) for i, camera in enumerate(CAMERAS)]


def stored(bench: Bench, images: Sequence[np.ndarray]) -> dict[int, DepthRef]:
    pairs = zip(depth_maps(), images, strict=False)
    return {m.view_id: store_depth(bench, m, image) for m, image in pairs}


def contributions(bench: Bench, depth: dict[int, DepthRef]) -> list[Contribution]:
    works = [contribute_work(ref, MEMORY, CELL_M, VOXEL_M, 2.0) for ref in depth.values()]
    return [made(CONTRIBUTE, bench, work) for work in works]


def balanced(
    bench: Bench, written: Sequence[Contribution], config: ExposureConfig = CONFIG
) -> Balance:
    views = [made(SAMPLE, bench, sample_work(item, config.samples)) for item in written]
    return made(BALANCE, bench, balance_work(views, config))


def gains_of(balance: Balance) -> np.ndarray:
    return np.array([exposure.gain_rgb for exposure in balance.exposures])


def cloud_of(
    bench: Bench, written: Sequence[Contribution], exposures: dict[int, ViewExposure]
) -> PointCloud:
    works = plan_shards(written, MEMORY, exposures)
    return load_cloud(bench, [made(FUSE_SHARD, bench, work) for work in works], 2).cloud


def mesh_of(
    bench: Bench,
    written: Sequence[Contribution],
    depth: dict[int, DepthRef],
    exposures: dict[int, ViewExposure],
) -> Mesh:
    config = SurfaceConfig(min_component_faces=0)
    works = plan_chunks(bench, written, depth, VOXEL_M, 4 * VOXEL_M, config, exposures)
    chunks = [made(FUSE_CHUNK, bench, work) for work in works]
    merged = merge_chunks(StageRun(bench), bench, chunks, (), VOXEL_M, config.min_component_faces)
    return load_mesh(bench, merged.mesh)


@pytest.mark.parametrize("response", ["linear", "filmic"])
def test_gains_of_a_known_camera_are_recovered(bench: Bench, response: Response) -> None:
    truth = drift(len(CAMERAS))
    camera = CAMERA_OF[response]
    images = [camera(picture(m), g) for m, g in zip(depth_maps(), truth, strict=True)]
    balance = balanced(bench, contributions(bench, stored(bench, images)))
    assert balance.response == response
    assert np.ptp(truth, axis=0).min() > 0.6
    np.testing.assert_allclose(gains_of(balance), truth, rtol=0.02)
    assert balance.spread_levels < 0.15 * balance.spread_before_levels
    np.testing.assert_allclose(np.log(gains_of(balance)).mean(axis=0), 0, atol=1e-5)


def test_views_that_agree_keep_their_colours(bench: Bench) -> None:
    depth = stored(bench, [picture(m) for m in depth_maps()])
    written = contributions(bench, depth)
    balance = balanced(bench, written)
    assert np.abs(gains_of(balance) - 1).max() < 0.01
    assert balance.spread_levels <= balance.spread_before_levels + 0.01
    exposures = {e.view_id: e for e in balance.exposures}
    raw, undone = mesh_of(bench, written, depth, {}), mesh_of(bench, written, depth, exposures)
    change = np.abs(colors(raw) - colors(undone))
    assert change.max() <= 1
    as_is = {i: ViewExposure(i, "filmic", (1.0, 1.0, 1.0)) for i in depth}
    np.testing.assert_array_equal(colors(mesh_of(bench, written, depth, as_is)), colors(raw))
    one, other = cloud_of(bench, written, as_is), cloud_of(bench, written, {})
    np.testing.assert_array_equal(one.colors, other.colors)


def colors(mesh: Mesh) -> np.ndarray:
    assert mesh.colors is not None
    return mesh.colors.astype(np.float64)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


@pytest.mark.parametrize("response", ["linear", "filmic"])
def test_fused_colours_are_those_of_the_scene_without_bands(
    bench: Bench, response: Response
) -> None:
    camera = CAMERA_OF[response]
    gains = drift(len(CAMERAS))
    images = [camera(picture(m), g) for m, g in zip(depth_maps(), gains, strict=True)]
    depth = stored(bench, images)
    written = contributions(bench, depth)
    exposures = {e.view_id: e for e in balanced(bench, written).exposures}
    banded, even = mesh_of(bench, written, depth, {}), mesh_of(bench, written, depth, exposures)
    np.testing.assert_array_equal(banded.vertices_in_world, even.vertices_in_world)
    np.testing.assert_array_equal(banded.faces, even.faces)
    truth = true_colors(even.vertices_in_world)
    # Vertices within reach of the paint's own sampling; the ball's rim mixes two surfaces.
    error, before = colors(even) - truth, colors(banded) - truth
    assert rms(error) < 0.4 * rms(before)
    assert np.median(np.abs(error)) < 1.5
    edges = even.faces[:, :2]
    step, step_before = (e[edges[:, 0]] - e[edges[:, 1]] for e in (error, before))
    assert rms(step) < 0.7 * rms(step_before), "bands are steps that the scene does not have"
    cloud, cloud_before = cloud_of(bench, written, exposures), cloud_of(bench, written, {})
    np.testing.assert_array_equal(cloud.points_in_world, cloud_before.points_in_world)
    errors = [c.colors - true_colors(c.points_in_world) for c in (cloud, cloud_before)]
    assert rms(errors[0]) < 0.4 * rms(errors[1])


def test_clipped_highlights_do_not_pull_gains(bench: Bench) -> None:
    truth = drift(len(CAMERAS))
    bright = [picture(m, 1.45) for m in depth_maps()]
    images = [as_light(image, g) for image, g in zip(bright, truth, strict=True)]
    assert np.mean([(image == 255).any(axis=2).mean() for image in images]) > 0.15
    balance = balanced(
        bench, contributions(bench, stored(bench, images)), replace(CONFIG, response="linear")
    )
    np.testing.assert_allclose(gains_of(balance), truth, rtol=0.03)


def sampled(
    bench: Bench, view: int, cells: np.ndarray, levels: np.ndarray, confidence: int = 255
) -> SampledView:
    order = np.argsort(rank(cells))
    key = ArtifactKey(f"samples/{view}")
    bench.write_arrays(
        key,
        SAMPLES_FILE,
        cells=cells[order],
        colors=levels[order].astype(np.uint8),
        confidence=np.full(len(cells), confidence, np.uint8),
    )
    return SampledView(view, key, len(cells))


def paint(cells: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).integers(40, 180, (10_000, 3))[cells]


def test_each_group_of_views_has_its_own_mean_and_a_lonely_view_keeps_its_colours(
    bench: Bench,
) -> None:
    groups = [range(0, 400), range(0, 400), range(1000, 1400), range(1000, 1400), range(2000, 2400)]
    truth = np.array([1.5, 1.0, 0.8, 1.2, 3.0])
    views: list[SampledView] = []
    for view, (group, gain) in enumerate(zip(groups, truth, strict=True)):
        cells = np.array(group, np.int64)
        seen = as_film(paint(cells), np.full(3, gain))
        views.append(sampled(bench, view, cells, seen))
    balance = made(BALANCE, bench, balance_work(views, CONFIG))
    found = gains_of(balance)
    np.testing.assert_allclose(found[0] * found[1], 1, rtol=1e-4)
    np.testing.assert_allclose(found[2] * found[3], 1, rtol=1e-4)
    np.testing.assert_allclose(found[0] / found[1], 1.5, rtol=0.02)
    np.testing.assert_allclose(found[3] / found[2], 1.5, rtol=0.02)
    assert balance.exposures[4].gain_rgb == (1.0, 1.0, 1.0)
    assert balance.shared_samples == 1600


def test_wrong_depth_in_a_view_does_not_pull_gains(bench: Bench) -> None:
    cells = np.arange(1500, dtype=np.int64)
    rng = np.random.default_rng(5)
    truth = np.exp(np.linspace(-0.3, 0.3, 6))
    views: list[SampledView] = []
    for view, gain in enumerate(truth):
        seen = as_film(paint(cells), np.full(3, gain))
        wrong = rng.random(len(cells)) < 0.15
        seen[wrong] = rng.integers(150, 240, (int(wrong.sum()), 3))
        views.append(sampled(bench, view, cells, seen))
    found = gains_of(made(BALANCE, bench, balance_work(views, CONFIG)))
    np.testing.assert_allclose(found, truth[:, None].repeat(3, 1), rtol=0.03)


def test_a_long_chain_of_views_is_solved(bench: Bench) -> None:
    """Each view shares cells with its neighbours only, and exposure drifts slowly over all."""
    truth = np.exp(0.4 * np.cos(np.linspace(0, np.pi, 60)))
    views: list[SampledView] = []
    for view, gain in enumerate(truth):
        cells = np.arange(100 * view, 100 * view + 300, dtype=np.int64)
        views.append(sampled(bench, view, cells, as_film(paint(cells), np.full(3, gain))))
    found = gains_of(made(BALANCE, bench, balance_work(views, CONFIG)))
    wanted = truth / np.exp(np.log(truth).mean())
    np.testing.assert_allclose(found, wanted[:, None].repeat(3, 1), rtol=0.03)


def test_the_result_depends_neither_on_order_nor_on_the_cut_into_shards(bench: Bench) -> None:
    gains = drift(len(CAMERAS))
    images = [as_film(picture(m), g) for m, g in zip(depth_maps(), gains, strict=True)]
    depth = stored(bench, images)
    views = [made(SAMPLE, bench, sample_work(item, 300)) for item in contributions(bench, depth)]
    assert balance_work(views[::-1], CONFIG) == balance_work(views, CONFIG)
    coarse = replace(MEMORY, shard_cells=1024)
    for view, ref in enumerate(depth.values()):
        whole = made(CONTRIBUTE, bench, contribute_work(ref, coarse, CELL_M, VOXEL_M, 2.0))
        again = made(SAMPLE, bench, sample_work(whole, 300))
        one = bench.arrays(again.artifact, SAMPLES_FILE)
        other = bench.arrays(views[view].artifact, SAMPLES_FILE)
        assert again.samples == 300
        for name, values in other.items():
            np.testing.assert_array_equal(one[name], values)
        few = made(SAMPLE, bench, sample_work(whole, 100))
        first = bench.arrays(few.artifact, SAMPLES_FILE)["cells"]
        np.testing.assert_array_equal(first, other["cells"][:100])


def test_samples_are_bounded(bench: Bench) -> None:
    cells = np.arange(1000, dtype=np.int64)
    views = [sampled(bench, view, cells, paint(cells)) for view in range(4)]
    balance = made(BALANCE, bench, balance_work(views, replace(CONFIG, max_samples=800)))
    assert balance.shared_samples == 800


def test_gains_are_bounded(bench: Bench) -> None:
    cells = np.arange(500, dtype=np.int64)
    views = [
        sampled(bench, view, cells, as_film(paint(cells), np.full(3, gain)))
        for view, gain in enumerate((0.4, 2.5))
    ]
    found = gains_of(made(BALANCE, bench, balance_work(views, replace(CONFIG, max_gain=1.25))))
    np.testing.assert_allclose(found, [[0.8] * 3, [1.25] * 3], rtol=1e-6)


@pytest.mark.parametrize("views", [0, 1])
def test_nothing_to_compare_leaves_colours_as_they_are(bench: Bench, views: int) -> None:
    cells = np.arange(100, dtype=np.int64)
    alone = [sampled(bench, view, cells, paint(cells)) for view in range(views)]
    balance = made(BALANCE, bench, balance_work(alone, CONFIG))
    assert [e.gain_rgb for e in balance.exposures] == [(1.0, 1.0, 1.0)] * views
    assert (balance.spread_levels, balance.shared_samples) == (0.0, 0)


def test_a_view_without_depth_or_in_the_dark_has_no_samples(bench: Bench) -> None:
    dark = stored(bench, [np.zeros((72, 96, 3), np.uint8)])
    (written,) = contributions(bench, dark)
    assert made(SAMPLE, bench, sample_work(written, 100)).samples == 0
    empty = replace(written, shards=())
    assert made(SAMPLE, bench, sample_work(empty, 100)).samples == 0


@pytest.mark.parametrize("response", ["linear", "filmic"])
def test_the_exposure_of_a_view_that_was_kept_out_is_fitted(response: Response) -> None:
    (scene,) = [picture(depth_maps()[2])]
    truth = np.array([1.3, 0.9, 0.7])
    image = CAMERA_OF[response](scene, truth)
    covered = np.ones(scene.shape[:2], bool)
    covered[:, :30] = False
    image[:, :30] = 7
    fitted = fit_exposure(5, scene, image, covered, response)
    assert (fitted.view_id, fitted.response) == (5, response)
    np.testing.assert_allclose(fitted.gain_rgb, truth, rtol=0.02)
    error = exposed(scene, fitted).astype(float) - image
    assert np.abs(error[covered]).mean() < 1.5
    nothing = fit_exposure(5, scene, image, np.zeros_like(covered), response)
    assert nothing.gain_rgb == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_gain", 0.5),
        ("prior", 0.0),
        ("samples", 0),
        ("max_samples", 0),
        ("min_shared", 0),
    ],
)
def test_settings_that_cannot_work_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(CONFIG, **{field: value})
