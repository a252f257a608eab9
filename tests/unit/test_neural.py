"""The implicit surface: its parts against what they should compute, and fits of a known shape."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.analytic import SphereInBox, ring
from tests.corner import SPEC, corner_frames
from tests.stage_run import StageRun
from tests.stored import made, store_depth
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.memory import CONTRIBUTE, MemoryConfig, contribute_work
from worldloom.merge import load_mesh, merge_chunks
from worldloom.metrics import score_against_mesh
from worldloom.neural import (
    CHECKPOINT_FILE,
    CURVE_FILE,
    FIT_FIELD,
    FitWork,
    NeuralConfig,
    fit_works,
)
from worldloom.neural._field import DistanceField
from worldloom.neural._grids import FeatureGrids
from worldloom.neural._loss import RayBatch, render_rays, slopes
from worldloom.neural._rays import RaySet
from worldloom.neural._seed import Seed, seed_from
from worldloom.neural._trainer import Schedule, Trainer
from worldloom.pipeline import reconstruct
from worldloom.scene import DepthMap, Mesh
from worldloom.surface import (
    FUSE_CHUNK,
    ChunkFaces,
    FuseChunkWork,
    SurfaceConfig,
    Volume,
    plan_chunks,
)
from worldloom.synthetic import build_scene
from worldloom.texture import TextureConfig

SHAPE = SphereInBox()
VOXEL_M = 0.05
CONFIG = SurfaceConfig(min_component_faces=0)
QUICK = NeuralConfig(
    steps=40, rays=192, samples=8, levels=4, features=2, table_log2=14, checkpoint_steps=10
)


def merged_mesh(bench: Bench, chunks: list[ChunkFaces]) -> Mesh:
    """The surface of some chunks."""
    faces = CONFIG.min_component_faces
    return load_mesh(bench, merge_chunks(StageRun(bench), bench, chunks, (), VOXEL_M, faces).mesh)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the stage has it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


def painted(truth: DepthMap) -> np.ndarray:
    """What a view shows of a pattern in space."""
    lens = truth.camera.intrinsics
    v, u = np.mgrid[0 : lens.height_px, 0 : lens.width_px] + 0.5
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    points = truth.camera.unproject(pixels, truth.depth.ravel())
    waves = np.stack([np.sin(9 * points[:, k] + 4 * points[:, k - 1]) for k in range(3)], axis=-1)
    return (128 + 110 * waves).astype(np.uint8).reshape(lens.height_px, lens.width_px, 3)


def works_of(folder: Path, noise_m: float = 0.0) -> tuple[Bench, tuple[FuseChunkWork, ...]]:
    """A ball in a box, seen exactly or with depth that is off in patches."""
    bench = Bench(BenchConfig(str(folder)))
    rng = np.random.default_rng(3)
    depth = {}
    for view, camera in enumerate([*ring(8), *ring(4, 0.8, 1.1)]):
        truth = SHAPE.depth_map(view, camera)
        rough = np.kron(rng.normal(size=(12, 16)), np.ones((6, 6)))[: truth.depth.shape[0]]
        off = (noise_m * rough[:, : truth.depth.shape[1]]).astype(np.float32)
        noisy = replace(truth, depth=np.where(truth.depth > 0, truth.depth + off, 0))
        depth[view] = store_depth(bench, noisy, painted(truth))
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, 0.1, VOXEL_M, 4.0))
        for ref in depth.values()
    ]
    return bench, plan_chunks(bench, contributions, depth, VOXEL_M, 3 * VOXEL_M, CONFIG)


def fitted(bench: Bench, works: tuple[FuseChunkWork, ...], config: NeuralConfig) -> Mesh:
    fits = fit_works(works, config, "cpu")
    chunks = [made(FIT_FIELD, bench, fit) for fit in fits]
    return merged_mesh(bench, chunks)


def fused(bench: Bench, works: tuple[FuseChunkWork, ...]) -> Mesh:
    chunks = [made(FUSE_CHUNK, bench, work) for work in works]
    return merged_mesh(bench, chunks)


def off_shape_m(mesh: Mesh) -> float:
    """Mean distance of the vertices from the true surfaces."""
    return float(SHAPE.distance(mesh.vertices_in_world).mean())


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


@pytest.fixture(scope="module")
def rough(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Bench, tuple[FuseChunkWork, ...]]:
    return works_of(tmp_path_factory.mktemp("rough"), noise_m=0.04)


def test_a_fit_is_nearer_to_the_truth_than_rough_depth_fused(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    before = fused(*rough)
    config = replace(QUICK, steps=100, rays=512, learning_rate=0.02)
    config = replace(config, depth_weight=0.1, normal_weight=0.5)
    after = fitted(*rough, config)
    assert len(after.faces) > 0.95 * len(before.faces)
    assert off_shape_m(after) < 0.9 * off_shape_m(before)
    (fit,) = fit_works(rough[1], config, "cpu")
    curve = rough[0].arrays(FIT_FIELD.key(fit), CURVE_FILE)["color_error"]
    assert len(curve) == 100
    assert curve[-20:].mean() < 0.8 * curve[:5].mean()


def test_chunks_meet_without_a_gap_wherever_they_are_cut(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    config = replace(QUICK, steps=6)
    whole = fitted(*rough, config)
    small = fitted(*rough, replace(config, chunk_blocks=40))
    assert len(fit_works(rough[1], replace(config, chunk_blocks=40), "cpu")) > 3
    # Merging refuses chunks that do not agree on a vertex; and none of them draws less.
    for mesh in (whole, small):
        sides = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, counts = np.unique(sides, axis=0, return_counts=True)
        assert (counts <= 2).all()
    assert abs(len(whole.faces) - len(small.faces)) < 0.01 * len(whole.faces)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_after(bench: Bench, checkpoints: int) -> Bench:
    """A bench on the same store whose process ends after some checkpoints."""
    other = Bench(bench.config)
    write, seen = other.store.write, [0]

    def counted(key: object, name: str, data: object) -> None:
        write(key, name, data)  # pyright: ignore[reportArgumentType]
        seen[0] += name == CHECKPOINT_FILE
        if seen[0] == checkpoints:
            raise KilledError

    other.store.write = counted  # pyright: ignore[reportAttributeAccessIssue]
    return other


def test_a_killed_fit_goes_on_as_if_nothing_had_been(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]], tmp_path: Path
) -> None:
    bench, works = rough
    (fit,) = fit_works(works, replace(QUICK, learn_exposure=True), "cpu")
    straight = made(FIT_FIELD, bench, fit)
    again_bench, again_works = works_of(tmp_path, noise_m=0.04)
    (again,) = fit_works(again_works, replace(QUICK, learn_exposure=True), "cpu")
    key = FIT_FIELD.key(again)
    assert key == straight.artifact
    with pytest.raises(KilledError):
        FIT_FIELD.function(killed_after(again_bench, 2), key, again)
    assert again_bench.store.result(key, FIT_FIELD.result) is None
    resumed = made(FIT_FIELD, again_bench, again)
    assert resumed == straight
    for name in ("faces.npz", CURVE_FILE):
        one, other = bench.arrays(key, name), again_bench.arrays(key, name)
        for field in one:
            np.testing.assert_array_equal(one[field], other[field])


def test_a_damaged_checkpoint_is_left_aside(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, works = works_of(tmp_path, noise_m=0.04)
    (fit,) = fit_works(works, replace(QUICK, steps=15), "cpu")
    bench.store.write(FIT_FIELD.key(fit), CHECKPOINT_FILE, b"half a file")
    damaged = made(FIT_FIELD, bench, fit)
    assert "starts anew" in caplog.text
    (same,) = fit_works(rough[1], replace(QUICK, steps=15), "cpu")
    assert damaged == made(FIT_FIELD, rough[0], same)


def test_a_chunk_that_no_ray_meets_keeps_what_was_fused(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    bench, (work, *_) = rough
    unseen = replace(work, views=(), exposures=())
    result = made(FIT_FIELD, bench, FitWork(unseen, (), QUICK))
    assert (result.vertices, result.faces) == (0, 0)


def test_the_whole_method_by_name(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    config = ReconstructionConfig(
        method="neural",
        depth_estimation=False,
        neural=replace(QUICK, steps=30),
        texture=TextureConfig(textures=False),
    )
    bench = BenchConfig(str(tmp_path))
    runner = InlineRunner(bench, workers=2)
    result = reconstruct(frames, config, runner, Bench(bench), lambda _: None)
    truth = build_scene(SPEC)
    assert score_against_mesh(result.mesh, truth.mesh, truth.trajectory.cameras).fscore > 0.75
    assert "fit-field" in {report.stage for report in result.stages}


@pytest.mark.gpu
def test_a_fit_on_cuda_is_near_that_on_the_cpu(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    bench, works = rough
    (fit,) = fit_works(works, replace(QUICK, steps=40), "cuda")
    chunk = made(FIT_FIELD, bench, fit)
    mesh = merged_mesh(bench, [chunk])
    (same,) = fit_works(works, replace(QUICK, steps=40), "cpu")
    chunk = made(FIT_FIELD, bench, same)
    other = merged_mesh(bench, [chunk])
    assert off_shape_m(mesh) == pytest.approx(off_shape_m(other), rel=0.02)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps", 0), ("samples", 3), ("levels", 11), ("seam_voxels", 17), ("table_log2", 9)),
        *(("learning_rate", 0.0), ("color_weight", -1.0), ("last_sharpness", 2.0)),
    ],
)
def test_settings_that_cannot_work_are_refused(name: str, value: float) -> None:
    told = "first_sharpness" if name == "last_sharpness" else name
    with pytest.raises(ConfigError, match=told):
        replace(NeuralConfig(), **SimpleNamespace(**{name: value}).__dict__)
