"""Training: what comes of it, that it can be cut off, and that chunks meet."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analytic import ring
from tests.splatting import VOXEL_M, in_rounds, psnr_db, store_room, train_works
from tests.stored import made
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError
from worldloom.scene import DepthRef, Mesh, PointCloud, Splats
from worldloom.splat import (
    MERGE_SPLATS,
    SPLAT_DEPTH,
    TRAIN,
    SplatConfig,
    SplatDepthWork,
    continued,
    load_splats,
    merge_splats_work,
)
from worldloom.splat._anchor import anchored_cloud
from worldloom.splat._beginning import first_state, seeds_of
from worldloom.splat._cpu import CpuLearner
from worldloom.splat._crew import Crew
from worldloom.splat._learner import weights_of
from worldloom.splat._region import owners, region_keys
from worldloom.splat._state import state_bytes, state_from_bytes
from worldloom.splat._train import CHECKPOINT_FILE
from worldloom.splat._trainer import Split, rates_at, split_views, validation_places
from worldloom.splat._views import view_of_chunk
from worldloom.stage import execute

CONFIG = SplatConfig(steps=240, sh_interval=100, sh_degree=1, validation_interval=80)
VIEWS = [*ring(12), *ring(12, 0.9, 0.9)]
KEPT_OUT = ring(24, 1.1, 0.6)[1::6]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list[DepthRef]]:
    bench = Bench(BenchConfig(str(tmp_path_factory.mktemp("store"))))
    return bench, store_room(bench, VIEWS)


@pytest.fixture(scope="module")
def trained(room: tuple[Bench, list[DepthRef]]) -> Splats:
    bench, refs = room
    (work,) = train_works(bench, refs, CONFIG)
    return load_splats(bench, made(TRAIN, bench, work).artifact)


def of_fields(splats: Splats) -> list[np.ndarray]:
    return [splats.means_in_world, splats.scales_m, splats.rotations, splats.opacities, splats.sh]


def test_views_that_were_kept_out_look_right(
    room: tuple[Bench, list[DepthRef]], trained: Splats
) -> None:
    bench, refs = room
    (work,) = train_works(bench, refs, replace(CONFIG, steps=1))
    seeds = load_splats(bench, made(TRAIN, bench, work).artifact)
    before = np.mean([psnr_db(seeds, camera) for camera in KEPT_OUT])
    after = np.mean([psnr_db(trained, camera) for camera in KEPT_OUT])
    assert after > 25
    assert after > before + 5
    result = made(TRAIN, bench, train_works(bench, refs, CONFIG)[0])
    assert result.seeds < result.gaussians <= np.ceil(result.seeds * (1 + CONFIG.growth))
    assert result.validation_psnr_db is not None
    assert result.validation_psnr_db > 25


def test_the_bound_on_gaussians_holds(room: tuple[Bench, list[DepthRef]]) -> None:
    bench, refs = room
    (work,) = train_works(bench, refs, replace(CONFIG, max_gaussians=700, growth=3.0))
    assert made(TRAIN, bench, work).gaussians <= 700


def test_a_run_that_is_cut_off_goes_on_as_if_it_had_not_been(
    room: tuple[Bench, list[DepthRef]], trained: Splats, tmp_path: Path
) -> None:
    bench = Bench(BenchConfig(str(tmp_path)))
    refs = store_room(bench, VIEWS)
    (work,) = train_works(bench, refs, replace(CONFIG, checkpoint_interval=90))

    class Killed(BaseException):
        pass

    written: list[str] = []
    write = bench.store.write

    def dying(key: str, name: str, data: bytes) -> None:
        write(key, name, data)
        if name == CHECKPOINT_FILE:
            written.append(name)
            raise Killed

    bench.store.write = dying  # type: ignore[method-assign, assignment]
    for _ in range(2):
        with pytest.raises(Killed):
            execute(TRAIN, bench, work)
    bench.store.write = write  # type: ignore[method-assign]
    assert len(written) == 2
    resumed = load_splats(bench, made(TRAIN, bench, work).artifact)
    for ours, theirs in zip(of_fields(resumed), of_fields(trained), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_damaged_checkpoint_is_made_anew(
    room: tuple[Bench, list[DepthRef]], caplog: pytest.LogCaptureFixture
) -> None:
    bench, refs = room
    (work,) = train_works(bench, refs, replace(CONFIG, steps=5, seed=3))
    bench.store.write(TRAIN.key(work), CHECKPOINT_FILE, b"PK half of a file")
    with caplog.at_level(logging.WARNING):
        assert made(TRAIN, bench, work).steps == 5
    assert "damaged" in caplog.text


_CHILD = """
import sys
from pathlib import Path
from tests.splatting import store_room, train_works
from tests.unit.test_splat_training import CONFIG, VIEWS
from tests.stored import made
from dataclasses import replace
from worldloom.bench import Bench, BenchConfig
from worldloom.splat import TRAIN
bench = Bench(BenchConfig(sys.argv[1]))
(work,) = train_works(bench, store_room(bench, VIEWS), replace(CONFIG, checkpoint_interval=7))
print(TRAIN.key(work), flush=True)
made(TRAIN, bench, work)
"""


@pytest.mark.slow
def test_a_killed_worker_leaves_a_checkpoint_to_go_on_from(trained: Splats, tmp_path: Path) -> None:
    """SIGKILL at some step after the first checkpoint; the result is the same to the last bit."""
    command = [sys.executable, "-c", _CHILD, str(tmp_path)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root)
    assert child.stdout is not None
    key = child.stdout.readline().strip()
    checkpoint = tmp_path / key / CHECKPOINT_FILE
    deadline = time.monotonic() + 90
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert 0 < state_from_bytes(checkpoint.read_bytes()).step < CONFIG.steps
    bench = Bench(BenchConfig(str(tmp_path)))
    (work,) = train_works(bench, store_room(bench, VIEWS), replace(CONFIG, checkpoint_interval=7))
    assert TRAIN.key(work) == key
    resumed = load_splats(bench, made(TRAIN, bench, work).artifact)
    for ours, theirs in zip(of_fields(resumed), of_fields(trained), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list[DepthRef]]:
    """The room with no depth along the outline of the sphere, as multi-view stereo leaves it."""
    bench = Bench(BenchConfig(str(tmp_path_factory.mktemp("outlined"))))
    return bench, store_room(bench, VIEWS, lost_px=4)


def test_chunks_meet_without_a_seam(outlined: tuple[Bench, list[DepthRef]]) -> None:
    """An occluder across the seam, and pixels whose depth nobody knows: views across the seam are
    within 0.3 dB of a single chunk, and nothing is there twice."""
    bench, refs = outlined
    whole = made(TRAIN, bench, train_works(bench, refs, CONFIG)[0])
    single = load_splats(bench, whole.artifact)
    works = train_works(bench, refs, CONFIG, chunk_blocks=60)
    assert len(works) >= 2
    chunks = in_rounds(bench, works)
    places = [work.chunk for work in works]
    merged = made(MERGE_SPLATS, bench, merge_splats_work(chunks, places, VOXEL_M))
    splats = load_splats(bench, merged.artifact)
    assert min(chunk.halo for chunk in chunks) > 0
    assert min(chunk.around for chunk in chunks) > 0
    assert merged.gaussians == sum(chunk.gaussians for chunk in chunks)
    assert merged.halo == 0
    assert len(splats) == pytest.approx(len(single), rel=0.05)
    loss = [psnr_db(single, camera) - psnr_db(splats, camera) for camera in KEPT_OUT]
    assert np.mean(loss) < 0.3


def test_a_chunk_that_fails_in_the_last_round_stays_as_it_was(
    room: tuple[Bench, list[DepthRef]],
) -> None:
    """Its halo goes at the merge: every Gaussian has one chunk still."""
    bench, refs = room
    works = train_works(bench, refs, replace(CONFIG, steps=40), chunk_blocks=60)
    places = [work.chunk for work in works]
    first, last = in_rounds(bench, works, 1), in_rounds(bench, works)
    begun = [made(TRAIN, bench, continued(work, places, {}, 20)) for work in works]
    assert all(chunk.has_halo for chunk in [*first, *begun])
    assert not any(chunk.has_halo for chunk in last)
    mixed = [begun[0], *last[1:]]
    merged = made(MERGE_SPLATS, bench, merge_splats_work(mixed, places, VOXEL_M))
    assert merged.gaussians == sum(chunk.gaussians for chunk in mixed) - merged.halo
    assert merged.halo == last[0].halo > 0


def test_a_chunk_that_learns_by_heart_stops_for_all_rounds(
    room: tuple[Bench, list[DepthRef]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best state is that of a round before; its halo goes all the same."""
    bench, refs = room
    config = replace(CONFIG, steps=60, validation_interval=8, patience=2, growth=0.0, seed=7)
    monkeypatch.setattr(
        "worldloom.splat._trainer._psnr_db", lambda learner, *_: 30.0 - learner.state().step
    )
    works = train_works(bench, refs, config, chunk_blocks=60)
    chunks = in_rounds(bench, works)
    assert {(chunk.steps, chunk.best_step) for chunk in chunks} == {(24, 8)}
    assert not any(chunk.has_halo for chunk in chunks)
    stopped = in_rounds(bench, works, 1)
    places = [work.chunk for work in works]
    for number, (chunk, alone) in enumerate(zip(chunks, stopped, strict=True)):
        assert (alone.best_step, alone.validation_psnr_db) == (8, 22.0)
        best = load_splats(bench, alone.artifact).means_in_world
        own = owners(best.astype(np.float64), places, VOXEL_M) == number
        found = load_splats(bench, chunk.artifact).means_in_world
        np.testing.assert_array_equal(found, best[own])


def test_rounds_that_are_cut_off_go_on_as_if_they_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From checkpoints after Gaussians were added, too: more of them are a share of the seeds."""
    monkeypatch.setattr("worldloom.splat._trainer.GROWTH_INTERVAL", 10)
    config = replace(CONFIG, steps=60, checkpoint_interval=12, growth=1.0)

    def outcome(bench: Bench, refs: list[DepthRef]) -> list[Splats]:
        works = train_works(bench, refs, config, chunk_blocks=100)
        chunks = in_rounds(bench, works)
        assert all(chunk.gaussians > 1.1 * (chunk.seeds - chunk.halo) for chunk in chunks)
        return [load_splats(bench, chunk.artifact) for chunk in chunks]

    class Killed(BaseException):
        pass

    straight, cut = (Bench(BenchConfig(str(tmp_path / name))) for name in ("straight", "cut"))
    refs = [store_room(bench, VIEWS[::3]) for bench in (straight, cut)]
    write, deaths = cut.store.write, 0

    def dying(key: str, name: str, data: bytes) -> None:
        write(key, name, data)
        if name == CHECKPOINT_FILE and data:
            raise Killed

    cut.store.write = dying  # type: ignore[method-assign, assignment]
    for _ in range(40):
        try:
            resumed = outcome(cut, refs[1])
            break
        except Killed:
            deaths += 1
    assert deaths == 4 * len(resumed) >= 8
    for ours, theirs in zip(resumed, outcome(straight, refs[0]), strict=True):
        for mine, its in zip(of_fields(ours), of_fields(theirs), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_every_place_has_one_owner(room: tuple[Bench, list[DepthRef]]) -> None:
    bench, refs = room
    places = [work.chunk for work in train_works(bench, refs, CONFIG, chunk_blocks=40)]
    block_m = 16 * VOXEL_M
    for place, chunk in enumerate(places):
        centres = (np.array(chunk.blocks) + 0.5) * block_m
        assert (owners(centres, places, VOXEL_M) == place).all()
    anywhere = np.random.default_rng(0).uniform(-5, 5, (500, 3))
    number = owners(anywhere, places, VOXEL_M)
    assert set(np.unique(number)) <= set(range(len(places)))
    assert set(region_keys(places[0], 0).tolist()) < set(region_keys(places[0], 1).tolist())


def test_exposures_of_views_are_learned_and_their_mean_is_none(
    room: tuple[Bench, list[DepthRef]],
) -> None:
    """One view is darker than the others: it gets a gain of its own, and the others none."""
    bench, refs = room
    (work,) = train_works(bench, refs, CONFIG)
    views = [
        view for ref in refs if (view := view_of_chunk(bench, ref, None, work, None)) is not None
    ]
    dark = views[5].target
    views[5] = replace(views[5], target=replace(dark, image=dark.image * np.float32(0.9)))
    state = first_state(seeds_of(bench, work, None), work, len(views))
    weights = weights_of(replace(CONFIG, ssim_weight=0.0), 0.08)
    learner = CpuLearner(state, weights, Crew(1))
    rates = replace(rates_at(0, CONFIG, 0.08), gains=0.02)
    for step in range(10 * len(views)):
        learner.step(step % len(views), views[step % len(views)], rates)
    np.testing.assert_allclose(state.gains.mean(axis=0), 0, atol=1e-6)
    others = np.delete(state.gains, 5, axis=0)
    assert (state.gains[5] < others.min(axis=0)).all()
    assert state.gains[5].mean() - np.median(others) == pytest.approx(np.log(0.9), abs=0.04)


def test_depth_of_splats_is_that_of_the_scene(
    room: tuple[Bench, list[DepthRef]], trained: Splats
) -> None:
    bench, refs = room
    (work,) = train_works(bench, refs, CONFIG)
    artifact = made(TRAIN, bench, work).artifact
    errors = {}
    for anchored in (False, True):
        found = made(SPLAT_DEPTH, bench, SplatDepthWork(artifact, refs[3], anchored))
        truth, ours = bench.depth_map(refs[3]), bench.depth_map(found.depth)
        known = ours.depth > 0
        assert known.mean() > 0.98
        errors[anchored] = np.median(np.abs(ours.depth - truth.depth)[known] / truth.depth[known])
        facing = (ours.normal_in_world * truth.normal_in_world).sum(axis=2)[known]
        assert np.median(facing) > 0.98
    assert errors[False] < 0.02
    assert errors[True] < errors[False]


def test_seeds_near_a_mesh_are_put_onto_it() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (50, 3))
    places[:, 2] = np.where(np.arange(50) < 40, rng.uniform(-0.05, 0.05, 50), 2.0)
    none = np.zeros((50, 3), np.float32)
    cloud = PointCloud(
        *(places, none, none.astype(np.uint8), np.ones(50, np.float32), np.ones(50, np.int32))
    )
    x, y = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    up = np.tile(np.array([[0, 0, 1]], np.float32), (x.size, 1))
    found = anchored_cloud(Mesh(vertices, np.empty((0, 3), np.int32), None, up), cloud, 0.1)
    np.testing.assert_allclose(found.points_in_world[:40, 2], 0, atol=1e-12)
    np.testing.assert_array_equal(found.points_in_world[:, :2], places[:, :2])
    np.testing.assert_array_equal(found.points_in_world[40:], places[40:])
    assert (found.normals_in_world[:40, 2] == 1).all()
    assert not found.normals_in_world[40:].any()


def test_validation_views_are_few_and_spread() -> None:
    places = validation_places(88, SplatConfig())
    assert len(places) == 4
    assert np.diff(places).min() > 15
    assert validation_places(9, SplatConfig()) == ()


def test_chunks_are_chosen_by_the_same_views_and_by_no_large_part_of_theirs() -> None:
    assert split_views([3, 5, 8, 9, 10], {8}) == Split((0, 1, 3, 4), (2,))
    assert split_views([8, 9, 10, 11], {8}) == Split((0, 1, 2, 3), ())
    assert split_views([1, 2], {8}) == Split((0, 1), ())


def test_rates_fall_and_degrees_rise() -> None:
    config = SplatConfig(steps=1000, sh_interval=300, sh_degree=2)
    rates = [rates_at(step, config, 0.1) for step in (0, 299, 300, 999)]
    assert [rate.sh_degree for rate in rates] == [0, 0, 1, 2]
    assert rates[0].means > rates[1].means > rates[3].means > 0


def test_states_survive_being_written(room: tuple[Bench, list[DepthRef]]) -> None:
    from tests.splatting import some_scene
    from worldloom.splat._gaussians import Gaussians
    from worldloom.splat._state import Best, new_state

    scene = some_scene(9, degree=1)
    gaussians = Gaussians(
        scene.means, np.log(scene.scales), scene.rotations, scene.opacities, scene.sh
    )
    state = new_state(gaussians, np.zeros((9, 3), np.float32), 4)
    state.step, state.best = 17, Best(11, 23.5, gaussians)
    state.moments["sh"].second[2, 3] = 5
    again = state_from_bytes(state_bytes(state))
    assert (again.step, again.best.step, again.best.psnr_db) == (17, 11, 23.5)  # type: ignore[union-attr]
    assert again.moments["sh"].second[2, 3] == 5
    np.testing.assert_array_equal(again.gaussians.rotations, scene.rotations)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("sh_degree", 4), ("ssim_weight", 1.5), ("growth", -1.0), ("halo_blocks", -1)],
)
def test_settings_that_cannot_work_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError):
        replace(SplatConfig(), **{field: value})
