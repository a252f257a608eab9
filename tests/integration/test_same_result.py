"""Distributed equals local, bit for bit, whatever runs it, and whatever died on the way."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from actors.resources import ActorResources, RoleResources
from cluster.ray_runner import RayConfig, RayRunner
from cluster.worker.events import EventWriter
from cluster.worker.products import product_job
from cluster.worker.task import EVENTS_FILE, JobKind, OptimizeSpec, Task
from tests.benchmarks.object_store import store_stats
from tests.integration.scenes import CONFIG, SMALL_CHUNKS, Made, arrays_of, digests, make
from tests.integration.scenes import write_input as write_input_to
from tests.models import save_tiny_model
from worldloom.api import RunnerFactory
from worldloom.inline import InlineRunner
from worldloom.learned import AlignmentConfig, LearnedConfig
from worldloom.neural import NeuralConfig
from worldloom.splat import SplatConfig
from worldloom.texture import OPTIMIZATION, TextureConfig, optimize_textures

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
_SMALL = RoleResources(num_cpus=0.25)
_RAY = RayConfig(resources=ActorResources(_SMALL, _SMALL, _SMALL, _SMALL))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_input_to(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One thread of one process."""
    made = make(source, tmp_path_factory.mktemp("reference"), CONFIG, InlineRunner)
    assert len(made.scene.mesh.faces) > 1000
    assert len(made.scene.point_cloud) > 1000
    assert made.scene.metadata["degraded"] is False
    return made


def _assert_same_scene(made: Made, reference: Made) -> None:
    expected = arrays_of(reference.scene)
    found = arrays_of(made.scene)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name, strict=True)
    depth_maps = digests(reference.artifacts, "depth.npz")
    assert len(depth_maps) >= 4 * len(reference.scene.cameras.cameras)
    assert digests(made.artifacts, "depth.npz") == depth_maps
    for name in ("mesh.ply", "point_cloud.ply", "cameras.json"):
        assert (made.folder / name).read_bytes() == (reference.folder / name).read_bytes(), name


@pytest.mark.parametrize(
    "runner",
    [
        pytest.param(partial(InlineRunner, workers=2), id="inline, 2 workers"),
        pytest.param(partial(RayRunner, workers=1, config=_RAY), id="Ray, 1 worker"),
        pytest.param(partial(RayRunner, workers=2, config=_RAY), id="Ray, 2 workers"),
    ],
)
@pytest.mark.usefixtures("ray_session")
def test_every_runner_leaves_the_same_files(
    runner: RunnerFactory, source: Path, reference: Made, tmp_path: Path
):
    made = make(source, tmp_path, CONFIG, runner)
    _assert_same_scene(made, reference)
    assert digests(made.artifacts) == digests(reference.artifacts)
    assert store_stats().spilled_bytes_total == 0, "results go through the artifact store"


@pytest.mark.usefixtures("ray_session")
def test_a_depth_model_predicts_the_same_everywhere(source: Path, tmp_path: Path):
    model = save_tiny_model(tmp_path / "tiny")
    # So lenient that guesses of random weights are used.
    lenient = AlignmentConfig(min_inlier_share=0.01)
    config = replace(CONFIG, learned=LearnedConfig(depth_model=str(model), alignment=lenient))
    local = make(source, tmp_path / "local", config, InlineRunner)
    on_ray = make(source, tmp_path / "ray", config, partial(RayRunner, workers=2, config=_RAY))
    _assert_same_scene(on_ray, local)
    assert digests(on_ray.artifacts) == digests(local.artifacts)
    views = msgspec.convert(local.scene.metadata["evidence"], dict[str, Any])["views"]
    assert any(view["learned"]["refusal"] is None for view in views)


@pytest.mark.usefixtures("ray_session")
def test_trained_splats_are_the_same_everywhere(source: Path, tmp_path: Path):
    config = replace(
        CONFIG,
        method="splat",
        splat=SplatConfig(steps=20, sh_interval=10),
        surface=replace(CONFIG.surface, chunk_blocks=100),
    )
    here = make(source, tmp_path / "inline", config, partial(InlineRunner, workers=2))
    there = make(source, tmp_path / "ray", config, partial(RayRunner, workers=2, config=_RAY))
    _assert_same_scene(there, here)
    ours, theirs = here.scene.splats, there.scene.splats
    assert ours is not None
    assert theirs is not None
    for field in fields(ours):
        np.testing.assert_array_equal(getattr(theirs, field.name), getattr(ours, field.name))
    rounds = digests(there.artifacts / "train-splats")
    assert rounds == digests(here.artifacts / "train-splats")
    assert sum(name.endswith("state.npz") for name in rounds) > 1, "several chunks, two rounds"


@pytest.mark.usefixtures("ray_session")
def test_a_fitted_field_is_the_same_everywhere(source: Path, tmp_path: Path):
    neural = NeuralConfig(steps=6, rays=64, chunk_blocks=96, checkpoint_steps=4)
    config = replace(CONFIG, method="neural", neural=neural)
    here = make(source, tmp_path / "inline", config, InlineRunner)
    there = make(source, tmp_path / "ray", config, partial(RayRunner, workers=2, config=_RAY))
    _assert_same_scene(there, here)
    fields_there = digests(there.artifacts / "fit-field")
    assert len(fields_there) > 2
    assert fields_there == digests(here.artifacts / "fit-field")


@pytest.fixture(scope="module")
def on_pages(source: Path, reference: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The reference with textures on several pages."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(reference.artifacts, folder / reference.artifacts.name)
    small = TextureConfig(texture_resolution=128, max_texture_pages=4)
    made = make(source, folder, replace(CONFIG, texture=small), InlineRunner)
    assert len(made.scene.textures["albedo"].pages) > 1
    return made


@pytest.mark.usefixtures("ray_session")
def test_optimised_textures_are_the_same_everywhere(on_pages: Made, tmp_path: Path):
    on_ray = partial(RayRunner, workers=2, config=_RAY)
    here, there = (
        _optimised(on_pages, tmp_path / name, runner)
        for name, runner in (("inline", InlineRunner), ("ray", on_ray))
    )
    expected, found = arrays_of(here.scene), arrays_of(there.scene)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name, strict=True)
    before, after = (made.scene.textures["albedo"].pages for made in (on_pages, there))
    assert [page.shape[0] for page in after] == [2 * page.shape[0] for page in before]
    assert there.scene.metadata[OPTIMIZATION] == here.scene.metadata[OPTIMIZATION]
    for stage, least in (("better-page", len(before)), ("judge-texture", 4)):
        results = digests(here.folder / stage, "result.json")
        assert len(results) >= least
        assert digests(there.folder / stage) == digests(here.folder / stage)


def _optimised(made: Made, store: Path, runner: RunnerFactory) -> Made:
    """Optimises textures in a copy of the store, so that nothing is found there."""
    shutil.copytree(made.artifacts, store)
    better = optimize_textures(made.scene, iterations=2, store_uri=str(store), runner=runner)
    return Made(better, store)


@pytest.mark.usefixtures("ray_session")
def test_a_job_of_the_service_optimises_textures_on_actors(
    on_pages: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files, on_actors = dict[str, bytes](), list[str]()
    ray_map = RayRunner.map

    def noted(runner: RayRunner, stage: Any, *rest: Any) -> list[Any]:
        on_actors.append(stage.name)
        return ray_map(runner, stage, *rest)

    monkeypatch.setattr(RayRunner, "map", noted)
    for runner in ("inline", "ray"):
        job, store = tmp_path / runner, tmp_path / f"{runner}-store"
        job.mkdir()
        shutil.copytree(on_pages.artifacts, store)
        task = Task(
            "job",
            JobKind.OPTIMIZE_TEXTURES,
            str(on_pages.folder),
            optimize=OptimizeSpec(1),
            runner=runner,
            ray_workers=2,
            store_uri=str(store),
        )
        events = EventWriter(job)
        outcome = product_job(task, job, events)
        events.close()
        assert outcome.output is not None
        files[runner] = (job / outcome.output.path).read_bytes()
        said = (job / EVENTS_FILE).read_text()
        assert "better-page" in said, "callers see how far the pages are"
        assert ("better-page" in on_actors) == (runner == "ray")
    assert files["ray"] == files["inline"]


def test_the_size_of_chunks_does_not_count(source: Path, reference: Made, tmp_path: Path):
    made = make(source, tmp_path, SMALL_CHUNKS, partial(InlineRunner, workers=2))
    _assert_same_scene(made, reference)
    chunks = [len(list((each.artifacts / "fuse-chunk").glob("*/*"))) for each in (made, reference)]
    assert chunks[0] > 2 * chunks[1]


def test_a_finished_run_is_found_again(source: Path, reference: Made, tmp_path: Path):
    before = _stamps(reference.artifacts)
    again = make(source, reference.folder, CONFIG, partial(InlineRunner, workers=2))
    _assert_same_scene(again, reference)
    assert _stamps(reference.artifacts) == before


@pytest.mark.parametrize("kind", ["inline", "ray"])
def test_a_killed_run_goes_on_where_it_was(
    kind: str, source: Path, reference: Made, tmp_path: Path
):
    program = (
        "import sys, functools, pathlib\n"
        "from tests.integration.scenes import CONFIG, make\n"
        "from cluster.ray_runner import RayRunner\n"
        "from worldloom.inline import InlineRunner\n"
        "kind = {'inline': InlineRunner, 'ray': RayRunner}[sys.argv[1]]\n"
        "source, out = map(pathlib.Path, sys.argv[2:])\n"
        "make(source, out, CONFIG, functools.partial(kind, workers=2))\n"
    )
    command = [sys.executable, "-c", program, kind, str(source), str(tmp_path)]
    artifacts = tmp_path / reference.artifacts.name
    total = len(list(reference.artifacts.rglob("result.json")))
    with subprocess.Popen(command, cwd=ROOT) as driver:
        _wait_until(lambda: len(list(artifacts.rglob("result.json"))) >= total // 2, driver)
        driver.kill()
    assert driver.returncode == -9
    _wait_until_quiet(artifacts)
    finished = _stamps(artifacts, "result.json")
    assert total // 2 <= len(finished) < total

    resumed = make(source, tmp_path, CONFIG, partial(InlineRunner, workers=2))
    _assert_same_scene(resumed, reference)
    after = _stamps(artifacts, "result.json")
    assert {path: after[path] for path in finished} == finished, "finished work is not redone"
    assert len(after) == total


def _stamps(folder: Path, pattern: str = "*") -> dict[Path, tuple[int, int]]:
    """Inode and time of each file: a file that is written again gets others."""
    stats = {path: path.stat() for path in folder.rglob(pattern) if path.is_file()}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}


def _wait_until(condition: Callable[[], bool], driver: subprocess.Popen[bytes]) -> None:
    while not condition():
        assert driver.poll() is None, "the run ended before it was half done"
        time.sleep(0.01)


def _wait_until_quiet(folder: Path) -> None:
    """Waits until workers that outlive their driver for a moment have written their last."""
    before = None
    while before != (before := _stamps(folder)):
        time.sleep(1)
    assert os.listdir(folder)
