"""The parts of the implicit surface against what they should compute."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.neural import QUICK
from tests.neural import one_thread as one_thread
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.neural import NeuralConfig
from worldloom.neural._field import DistanceField
from worldloom.neural._grids import FeatureGrids
from worldloom.neural._loss import RayBatch, render_rays, slopes
from worldloom.neural._rays import RaySet
from worldloom.neural._seed import Seed, seed_from
from worldloom.neural._trainer import Schedule, Trainer
from worldloom.surface import Volume


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def plane_volume(blocks: list[tuple[int, int, int]], height: float) -> Volume:
    """The plane z = `height`, voxels, its front towards +z, fused to within three voxels."""
    keys = np.sort(keys_from_cells(np.array(blocks)))
    volume = Volume.empty(keys, 1.0)
    for row, cell in enumerate(cells_from_keys(keys)):
        z = cell[2] * 16 + np.arange(17) - height
        volume.distances[row] = np.clip(z / 3.0, -1, 1)[None, None, :]
    volume.weights[:] = 1
    volume.seen[:] = 3
    return volume


def plane_seed(height: float = 8.3) -> Seed:
    blocks = [(0, 0, 0), (1, 0, 0)]
    return seed_from(
        plane_volume(blocks, height), np.sort(keys_from_cells(np.array(blocks))), 3.0, 8
    )


def test_features_are_trilinear_and_hashed_entries_exist() -> None:
    grids = FeatureGrids((8.0, 8.0, 8.0), 2, 1, 12, generator())
    assert grids.cells == [1.0, 0.5]
    coarse = grids.tables[0]
    x, y, z = (index.double() for index in torch.meshgrid(*[torch.arange(10)] * 3, indexing="ij"))
    with torch.no_grad():
        coarse[:, 0] = (2 * x - y + 0.5 * z + 1).reshape(-1).float()
    places = 7.9 * torch.rand(200, 3, generator=generator())
    found = grids(places, 1.0)
    expected = 2 * places[:, 0] - places[:, 1] + 0.5 * places[:, 2] + 1
    torch.testing.assert_close(found[:, 0], expected, atol=1e-4, rtol=1e-5)
    assert (found[:, 1] == 0).all()
    assert len(grids.tables[1]) == 4096
    halfway = grids(places, 1.5)[:, 1]
    torch.testing.assert_close(2 * halfway, grids(places, 2.0)[:, 1])


def test_gradients_of_features_are_those_of_finite_differences() -> None:
    grids = FeatureGrids((4.0, 4.0, 4.0), 3, 2, 10, generator()).double()
    places = 4 * torch.rand(5, 3, generator=generator(), dtype=torch.float64)

    def features(*tables: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(
            grids, {f"tables.{k}": table for k, table in enumerate(tables)}, (places, 2.5)
        )

    tables = [table.detach().requires_grad_() for table in grids.tables]
    assert torch.autograd.gradcheck(features, tuple(tables), fast_mode=True)


def test_a_seed_is_the_fused_distance() -> None:
    seed = plane_seed()
    places = torch.tensor([[3.0, 4.0, 9.0], [20.5, 2.5, 8.05], [16.0, 1.0, 30.0], [5.0, 5.0, 1.0]])
    distance, freedom = seed.at(places)
    torch.testing.assert_close(distance, torch.tensor([0.7, -0.25, 3.0, -3.0]), atol=1e-5, rtol=0)
    assert freedom.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_freedom_ends_where_another_chunk_begins() -> None:
    blocks = [(0, 0, 0), (1, 0, 0), (1, 1, 0)]
    volume = plane_volume(blocks, 8.3)
    (first,), others = keys_from_cells(np.array(blocks[:1])), keys_from_cells(np.array(blocks[1:]))
    here = seed_from(volume, np.array([first]), 3.0, 4)
    free = here.freedom[here.own[0]]
    np.testing.assert_array_equal(free[:, 3, 3], np.clip((16 - np.arange(17)) / 4, 0, 1))
    # A block across an edge shares that edge alone.
    assert (free[16] == 0).all()
    assert (free[:12, 16] == 1).all()
    there = seed_from(volume, np.sort(others), 3.0, 4)
    beside = there.freedom[np.searchsorted(volume.block_keys, others[0])]
    assert (beside[0] == 0).all()
    assert here.freedom[np.searchsorted(volume.block_keys, others)].max() == 0


def batch(depth: float = 20.0) -> RayBatch:
    """Rays down on the plane from above, slightly slanted."""
    count = 64
    spread = torch.linspace(-0.3, 0.3, count)
    direction = torch.stack([spread, spread.flip(0) / 2, -torch.ones(count)], dim=1)
    origin = torch.tensor([16.0, 8.0, 8.3 + depth]).repeat(count, 1)
    whole = torch.full((count,), depth)
    none = torch.zeros(count, 3)
    return RayBatch(
        *(origin, torch.zeros(count, dtype=torch.long), direction, whole + 0.4),
        *(torch.full((count,), 3.0), none, whole, torch.ones(count), none),
    )


def test_rays_stop_at_the_surface_and_see_its_slope() -> None:
    field = DistanceField(plane_seed(), QUICK, 1, generator())
    rays = batch()
    jitter = torch.rand(64, 25, generator=generator())
    seen = render_rays(field, rays, jitter, 24, 0.15, 4.0)
    assert (seen.opacity > 0.999).all()
    assert (seen.depth - 20.0).abs().max() < 0.1
    assert (seen.depth - 20.0).mean().abs() < 0.03
    at = rays.origin + seen.depth[:, None].detach() * rays.direction
    found = slopes(field, at, 0.5, 4.0)
    torch.testing.assert_close(
        found, torch.tensor([0.0, 0.0, 1.0]).expand(64, 3), atol=1e-3, rtol=0
    )
    assert seen.correction.abs().max() < 1e-3


def test_gains_have_a_mean_of_one() -> None:
    field = DistanceField(plane_seed(), replace(QUICK, learn_exposure=True), 3, generator())
    with torch.no_grad():
        field.log_gains.copy_(torch.tensor([[0.3, 0, 0], [0.6, 0, 0], [0, 0, 0.3]]))
    gains = field.gains(torch.arange(3))
    torch.testing.assert_close(gains.log().mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(gains[1, 0] / gains[0, 0], torch.tensor(0.3).exp())


def test_the_schedule_goes_from_coarse_to_fine() -> None:
    config = NeuralConfig(steps=100, levels=6)
    first, middle, last = (Schedule.at(step, config) for step in (0, 50, 100))
    assert (first.open_levels, middle.open_levels, last.open_levels) == (2.0, 6.0, 6.0)
    assert first.sharpness == config.first_sharpness
    assert last.sharpness == pytest.approx(config.last_sharpness)
    assert (first.rate, last.rate) == (1.0, pytest.approx(0.1))


def plane_rays(height: float, guess: float, count: int = 20_000) -> RaySet:
    """What twelve views show of a painted plane at `height`, whose depth maps say `guess`."""
    rng = np.random.default_rng(0)
    angle = np.arange(12.0)
    places = np.stack([16 + 14 * np.cos(angle), 8 + 14 * np.sin(angle), 26 + 0 * angle], axis=1)
    view = rng.integers(0, 12, count).astype(np.int32)
    target = np.stack([rng.uniform(1, 31, count), rng.uniform(1, 15, count)], axis=1)
    offset = np.concatenate([target, np.full((count, 1), height)], axis=1) - places[view]
    waves = target[:, :1] * np.array([0.9, 0.5, 0.7]) + target[:, 1:] * np.array([0.4, 1.0, -0.8])
    depth = (26 - np.full(count, guess)).astype(np.float32)
    return RaySet(
        *(places.astype(np.float32), view, (offset / -offset[:, 2:]).astype(np.float32), depth),
        *(np.full(count, 3, np.float32), (128 + 100 * np.sin(waves)).astype(np.uint8), depth),
        *(np.ones(count, np.float32), np.zeros((count, 3), np.float32)),
    )


def test_colours_alone_move_a_surface_to_where_views_agree() -> None:
    config = replace(
        QUICK,
        steps=200,
        rays=512,
        samples=12,
        learning_rate=0.02,
        depth_weight=0.0,
        normal_weight=0.0,
        anchor_weight=0.0,
    )
    trainer = Trainer(plane_seed(9.3), plane_rays(8.3, 9.3), config, 0, "cpu")
    places = np.random.default_rng(1).uniform([3, 3, 8.3], [28, 13, 8.3], (500, 3))
    truth = torch.from_numpy(places.astype(np.float32))
    with torch.no_grad():
        before = trainer.field.parts(truth, 4.0).distance.mean().item()
    trainer.run(lambda _: None)
    with torch.no_grad():
        after = trainer.field.parts(truth, 4.0).distance.abs().mean().item()
    assert before == pytest.approx(-1.0, abs=1e-3)
    assert after < 0.4
    assert np.mean(trainer.curve[-10:]) < 0.2 * np.mean(trainer.curve[:10])
