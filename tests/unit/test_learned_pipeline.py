"""The whole method with a depth model: of use, of no use, and broken."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.corner import SPEC, corner_frames, made, share_within
from tests.models import save_model, save_tiny_model, tiny_model
from worldloom.api import reconstruct_files
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError, InputError, ReconstructionError
from worldloom.inline import InlineRunner
from worldloom.learned import (
    ALIGN,
    AlignmentConfig,
    AlignWork,
    LearnedConfig,
    ModelCard,
    ModelRef,
    Prediction,
)
from worldloom.pipeline import reconstruct
from worldloom.reconstruction import Reconstruction
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Progress
from worldloom.store import ArtifactKey
from worldloom.synthetic import build_scene, write_scene
from worldloom.texture import TextureConfig

BASE = ReconstructionConfig(resolution=128, texture=TextureConfig(textures=False))


def silent(_progress: Progress) -> None:
    """Takes no notice."""


def run(folder: Path, frames: list[Frame], config: ReconstructionConfig) -> Reconstruction:
    bench = BenchConfig(str(folder))
    return reconstruct(frames, config, InlineRunner(bench, workers=2), Bench(bench), silent)


def with_model(folder: Path) -> ReconstructionConfig:
    return replace(BASE, learned=LearnedConfig(depth_model=str(folder)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def scene(store: Path) -> tuple[list[Frame], list[np.ndarray]]:
    return corner_frames(Bench(BenchConfig(str(store))))


@pytest.fixture(scope="module")
def without(store: Path, scene: tuple[list[Frame], list[np.ndarray]]) -> Reconstruction:
    return run(store, scene[0], BASE)


def assert_same(one: Reconstruction, other: Reconstruction) -> None:
    np.testing.assert_array_equal(one.mesh.vertices_in_world, other.mesh.vertices_in_world)
    np.testing.assert_array_equal(one.mesh.faces, other.mesh.faces)
    np.testing.assert_array_equal(one.mesh.colors, other.mesh.colors)
    np.testing.assert_array_equal(
        one.point_cloud.points_in_world, other.point_cloud.points_in_world
    )
    np.testing.assert_array_equal(one.point_cloud.confidence, other.point_cloud.confidence)


def test_off_nothing_is_predicted(without: Reconstruction):
    assert without.models == ()
    assert {"predict", "align"}.isdisjoint(report.stage for report in without.stages)
    assert all(view.learned is None for view in without.views)


def test_a_model_of_random_weights_does_no_harm(
    store: Path,
    scene: tuple[list[Frame], list[np.ndarray]],
    without: Reconstruction,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    config = with_model(save_tiny_model(tmp_path / "tiny"))
    with caplog.at_level("INFO", "worldloom"):
        result = run(store, scene[0], config)
    assert not result.failures
    assert [model.licence for model in result.models] == ["apache-2.0"]
    assert "depth model tiny, licence apache-2.0" in caplog.text
    refusals = [view.learned.refusal for view in result.views if view.learned is not None]
    assert len(refusals) == len(scene[0])
    assert all(refusal is not None for refusal in refusals)
    assert f"not used in {len(scene[0])} of {len(scene[0])} views" in caplog.text
    assert_same(result, without)


def test_a_model_that_gives_no_numbers_is_refused_in_every_view_and_the_job_ends(
    store: Path,
    scene: tuple[list[Frame], list[np.ndarray]],
    without: Reconstruction,
    tmp_path: Path,
):
    model = tiny_model()
    model.get_parameter("head.conv3.bias").data.fill_(float("nan"))
    result = run(store, scene[0], with_model(save_model(model, tmp_path / "nan")))
    for view in result.views:
        assert view.learned is not None
        assert view.learned.refusal == "12288 pixels of the prediction are not numbers"
    assert_same(result, without)


class Oracle:
    """Knows the inverse depth of every view, in a unit of its own."""

    def __init__(self, ref: ModelRef, known: dict[bytes, np.ndarray]) -> None:
        self.card = ModelCard(ref, "oracle", "none")
        self._known = known

    def predict(self, image: np.ndarray) -> Prediction:
        values = self._known[image.tobytes()]
        return Prediction(values, np.ones(values.shape, bool))


@pytest.fixture
def oracle(
    store: Path, scene: tuple[list[Frame], list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Puts the truth in the place of the model."""
    bench = Bench(BenchConfig(str(store)))
    known: dict[bytes, np.ndarray] = {}
    for frame, depth in zip(*scene, strict=True):
        small = cv2.resize(depth, (128, 96), interpolation=cv2.INTER_NEAREST)
        inverse = np.where(small > 0, 1 / np.maximum(small, 1e-9), 0)
        known[bench.image(frame, 128, 96).tobytes()] = (7 * inverse - 2).astype(np.float32)

    def load(_bench: Bench, ref: ModelRef) -> Oracle:
        return Oracle(ref, known)

    return lambda: monkeypatch.setattr("worldloom.learned._predict.load_estimator", load)


def test_a_model_that_knows_is_used(
    store: Path,
    scene: tuple[list[Frame], list[np.ndarray]],
    without: Reconstruction,
    oracle: Callable[[], None],
    tmp_path: Path,
):
    # Another seed, hence other keys than those of the model of random weights.
    config = with_model(save_tiny_model(tmp_path / "stand-in", seed=5))
    oracle()
    result = run(store, scene[0], config)
    for view in result.views:
        assert view.learned is not None
        assert view.learned.refusal is None
        assert view.learned.inlier_share is not None
        assert view.learned.inlier_share > 0.8
    bench = Bench(BenchConfig(str(store)))
    shares = [
        np.mean(
            [
                share_within(bench.depth_map(ref).depth, depth, 0.02)
                for ref, depth in zip(made_.depth, scene[1], strict=True)
            ]
        )
        for made_ in (result, without)
    ]
    assert shares[0] >= shares[1]


def test_alignment_at_another_size_than_that_of_the_prediction(
    scene: tuple[list[Frame], list[np.ndarray]], tmp_path: Path
):
    bench = Bench(BenchConfig(str(tmp_path)))
    frame, truth = scene[0][0], scene[1][0]
    height, width = truth.shape
    half = truth[::2, ::2]
    empty = np.zeros_like(half)
    prior, checked, guess = (ArtifactKey(f"test/{name}") for name in ("prior", "checked", "guess"))
    bench.write_arrays(prior, "prior.npz", depth=half, confidence=empty)
    normals = np.zeros((*half.shape, 3), np.float32)
    bench.write_arrays(checked, "depth.npz", depth=empty, confidence=empty, normal_in_world=normals)
    sky = np.ones(truth.shape, bool)
    sky[:3] = False
    bench.write_arrays(guess, "prediction.npz", values=3 * truth + 1, known=sky)
    ref = DepthRef(frame, checked, width // 2, height // 2)
    result = made(ALIGN, bench, AlignWork(guess, "depth", ref, prior, AlignmentConfig()))
    assert result.alignment.refusal is None
    assert result.alignment.scale == pytest.approx(1 / 3, rel=0.02)
    aligned = bench.arrays(result.artifact, "aligned.npz")["depth"]
    assert aligned.shape == half.shape
    assert (aligned[:2] == 0).all()
    assert share_within(aligned[2:], half[2:], 0.03) > 0.95


def test_a_missing_model_ends_the_job_before_it_begins(
    store: Path, scene: tuple[list[Frame], list[np.ndarray]], tmp_path: Path
):
    with pytest.raises(InputError, match=f"no depth model at {tmp_path / 'gone'}"):
        run(store, scene[0], with_model(tmp_path / "gone"))


def test_a_model_that_cannot_be_loaded_is_the_reason_given(
    store: Path, scene: tuple[list[Frame], list[np.ndarray]], tmp_path: Path
):
    folder = save_tiny_model(tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ReconstructionError, match=f"cannot load the depth model {folder}"):
        run(store, scene[0], with_model(folder))


def test_a_model_without_refinement_makes_no_sense():
    with pytest.raises(ConfigError, match="refinement of depth, which is off"):
        replace(BASE, depth_estimation=False, learned=LearnedConfig(depth_model="anything"))


def test_the_manifest_shows_the_licence(tmp_path: Path):
    write_scene(build_scene(SPEC), tmp_path / "in")
    scene = reconstruct_files(
        [tmp_path / "in" / "video.mp4"],
        tmp_path / "out",
        with_model(save_tiny_model(tmp_path / "tiny")),
        trajectories=[tmp_path / "in" / "camera.json"],
    )
    evidence = scene.metadata["evidence"]
    assert isinstance(evidence, dict)
    (model,) = evidence["models"]
    assert model["licence"] == "apache-2.0"
    assert model["ref"]["path"] == str(tmp_path / "tiny")
    assert all(view["learned"]["refusal"] for view in evidence["views"])
    warnings = scene.metadata["warnings"]
    assert isinstance(warnings, (list, tuple))
    assert any("the depth model is not used in 6 of 6 views" in text for text in warnings)
