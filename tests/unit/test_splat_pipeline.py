"""The methods `splat` and `hybrid` in one process, on a small exact scene."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corner import corner_frames
from worldloom.bench import Bench, BenchConfig
from worldloom.config import Method, ReconstructionConfig
from worldloom.errors import ConfigError, StageError
from worldloom.inline import InlineRunner
from worldloom.metrics import score_against_mesh
from worldloom.pipeline import reconstruct, split_holdout
from worldloom.quality import appraise
from worldloom.reconstruction import Reconstruction
from worldloom.scene import Frame
from worldloom.splat import SplatConfig, TrainedChunk, _train
from worldloom.stage import Progress
from worldloom.surface import SurfaceConfig
from worldloom.synthetic import SceneSpec, build_scene
from worldloom.texture import TextureConfig

SPEC = SceneSpec(layout="corner", frames=8, width_px=160, height_px=120)
SPLAT = SplatConfig(steps=150, sh_interval=100, sh_degree=1)


def silent(_progress: Progress) -> None:
    """Takes no notice."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def frames(folder: Path) -> list[Frame]:
    return corner_frames(Bench(BenchConfig(str(folder))), SPEC)[0]


def made(folder: Path, frames: list[Frame], method: Method, **changes: object) -> Reconstruction:
    config = replace(
        ReconstructionConfig(
            method=method, holdout=4, splat=SPLAT, texture=TextureConfig(textures=False)
        ),
        **changes,
    )
    used, _ = split_holdout(frames, 4)
    bench = BenchConfig(str(folder))
    return reconstruct(used, config, InlineRunner(bench), Bench(bench), silent)


@pytest.mark.parametrize("method", ["splat", "hybrid"])
def test_splats_and_their_mesh_are_those_of_the_scene(
    folder: Path, frames: list[Frame], method: Method
) -> None:
    result = made(folder, frames, method)
    assert result.splats is not None
    assert result.training is not None
    assert not result.failures
    assert result.training.gaussians == len(result.splats) > 1000
    assert result.training.steps == SPLAT.steps
    truth = build_scene(SPEC)
    score = score_against_mesh(result.mesh, truth.mesh, truth.trajectory.cameras)
    assert score.fscore > 0.75
    _, kept_out = split_holdout(frames, 4)
    appraisal = appraise(Bench(BenchConfig(str(folder))), result, kept_out, title="corner")
    metrics = appraisal.metrics
    assert metrics["holdout_coverage"] == 1
    assert metrics["gaussians"] == len(result.splats)
    assert metrics["train_steps"] == SPLAT.steps
    psnr_db, of_mesh = metrics["holdout_psnr_db"], metrics["mesh_holdout_psnr_db"]
    assert psnr_db is not None
    assert of_mesh is not None
    assert psnr_db > 23
    ssim = metrics["holdout_ssim"]
    assert ssim is not None
    assert ssim > 0.7


def test_a_scene_of_several_chunks_has_no_gaussian_twice(folder: Path, frames: list[Frame]) -> None:
    result = made(folder, frames, "splat", surface=SurfaceConfig(chunk_blocks=60))
    assert len(result.chunks) > 1
    assert result.splats is not None
    evidence = result.evidence["splats"]
    assert isinstance(evidence, dict)
    assert evidence["halo_gaussians"] > 0
    single = made(folder, frames, "splat").splats
    assert single is not None
    assert len(result.splats) == pytest.approx(len(single), rel=0.15)


def test_a_chunk_that_fails_in_a_later_round_stays_in_the_scene(
    folder: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, failed = _train.train, 0

    def failing_once(learner: Any, *arguments: Any) -> Any:
        nonlocal failed
        if learner.state().step > 0 and not failed:
            failed += 1
            raise StageError("no memory left", stage="train-splats", subject="chunk 0")
        return train(learner, *arguments)

    monkeypatch.setattr(_train, "train", failing_once)
    splat = replace(SPLAT, steps=20, seed=4, rounds=2)
    result = made(folder, frames, "splat", splat=splat, surface=SurfaceConfig(chunk_blocks=60))
    assert [failure.stage for failure in result.failures] == ["train-splats"]
    evidence = result.evidence["splats"]
    assert isinstance(evidence, dict)
    chunks: list[TrainedChunk] = evidence["chunks"]
    assert [chunk.has_halo for chunk in chunks] == [True, *[False] * (len(chunks) - 1)]
    assert [chunk.steps for chunk in chunks] == [10, *[20] * (len(chunks) - 1)]
    kept = made(folder, frames, "splat", splat=splat, surface=SurfaceConfig(chunk_blocks=60))
    assert result.splats is not None
    assert kept.splats is not None
    assert not kept.failures
    assert len(result.splats) == pytest.approx(len(kept.splats), rel=0.02)


def test_a_round_in_which_every_chunk_fails_is_the_last(
    folder: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = _train.train

    def failing_later(learner: Any, *arguments: Any) -> Any:
        if learner.state().step > 0:
            raise StageError("no memory left", stage="train-splats", subject="a chunk")
        return train(learner, *arguments)

    monkeypatch.setattr(_train, "train", failing_later)
    splat = replace(SPLAT, steps=20, seed=6, rounds=2)
    result = made(folder, frames, "splat", splat=splat, surface=SurfaceConfig(chunk_blocks=60))
    assert result.splats is not None
    evidence = result.evidence["splats"]
    assert isinstance(evidence, dict)
    chunks: list[TrainedChunk] = evidence["chunks"]
    assert [chunk.steps for chunk in chunks] == [10] * len(chunks)
    assert len(result.failures) == len(chunks) > 1


def test_cuda_is_taken_where_it_is_and_refused_where_it_is_not(
    folder: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = made(folder, frames, "splat")
    evidence = plain.evidence["splats"]
    assert isinstance(evidence, dict)
    assert evidence["backend"] == "cpu"
    monkeypatch.setattr("worldloom.inline.cuda_available", lambda: False)
    with pytest.raises(ConfigError, match="--chunk-gpus"):
        made(folder, frames, "splat", splat=replace(SPLAT, backend="cuda"))


def test_training_that_fails_leaves_the_surface_of_the_images(
    folder: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise StageError("no memory left", stage="train-splats", subject="chunk 0")

    monkeypatch.setattr("worldloom.splat._train.train", failing)
    result = made(folder, frames, "splat", splat=replace(SPLAT, seed=9))
    plain = made(folder, frames, "mvs")
    assert result.splats is None
    assert [failure.stage for failure in result.failures] == ["train-splats"]
    np.testing.assert_array_equal(result.mesh.vertices_in_world, plain.mesh.vertices_in_world)
    assert plain.training is None
