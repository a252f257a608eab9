"""Monocular depth models: what their files say, loading, predicting."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.corner import corner_frames, made
from tests.models import README, save_tiny_model
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, InputError, WorldloomError
from worldloom.learned import (
    PREDICT,
    DepthEstimator,
    LearnedConfig,
    PredictWork,
    load_estimator,
    read_model_card,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path / "store")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def own(model: Path, tmp_path: Path) -> Path:
    """A copy of the model that a test may damage."""
    return Path(shutil.copytree(model, tmp_path / "own"))


def named(folder: Path, **settings: Any) -> LearnedConfig:
    return LearnedConfig(depth_model=str(folder), **settings)


def test_the_card_tells_name_licence_and_what_is_predicted(model: Path):
    card = read_model_card(named(model))
    assert card.name == "tiny"
    assert card.licence == "apache-2.0"
    assert card.ref.path == str(model)
    assert card.ref.quantity == "inverse_depth"
    assert len(card.ref.weights_sha256) == 64


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        (README, "apache-2.0"),
        ("---\nlicense: other\nlicense_name: 'my terms'\n---\n", "other: my terms"),
        ("---\ntags: [x]\n---\nlicense: mit\n", "unknown: see the model's page"),
        ("", "unknown: see the model's page"),
        ("---\nlicense:\n---\n", "unknown: see the model's page"),
    ],
)
def test_the_licence_is_that_of_the_front_matter(own: Path, readme: str, licence: str):
    (own / "README.md").write_text(readme)
    assert read_model_card(named(own)).licence == licence


def test_without_a_readme_the_licence_is_unknown(own: Path):
    (own / "README.md").unlink()
    assert read_model_card(named(own)).licence == "unknown: see the model's page"


def test_the_digest_is_that_of_weights_and_settings(model: Path, own: Path, tmp_path: Path):
    digest = read_model_card(named(model)).ref.weights_sha256
    assert read_model_card(named(own)).ref.weights_sha256 == digest
    (own / "README.md").write_text("other words")
    assert read_model_card(named(own)).ref.weights_sha256 == digest
    other = save_tiny_model(tmp_path / "other", seed=1)
    assert read_model_card(named(other)).ref.weights_sha256 != digest
    settings = own / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("0.485", "0.5"))
    assert read_model_card(named(own)).ref.weights_sha256 != digest


def test_a_metric_model_predicts_depth_and_the_user_has_the_last_word(tmp_path: Path):
    metric = save_tiny_model(tmp_path / "metric", kind="metric")
    assert read_model_card(named(metric)).ref.quantity == "depth"
    told = named(metric, depth_model_predicts="inverse_depth")
    assert read_model_card(told).ref.quantity == "inverse_depth"


def test_a_model_in_a_cache_is_found_by_its_id(model: Path, tmp_path: Path):
    home = tmp_path / "cache" / "models--anybody--tiny-hf"
    shutil.copytree(model, home / "snapshots" / "abc123")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc123")
    config = LearnedConfig(depth_model="anybody/tiny-hf", depth_model_cache=str(tmp_path / "cache"))
    card = read_model_card(config)
    assert card.name == "anybody/tiny-hf"
    assert card.ref.weights_sha256 == read_model_card(named(model)).ref.weights_sha256
    with pytest.raises(InputError, match=r"holds no depth model anybody/else\. .*hf download"):
        read_model_card(replace(config, depth_model="anybody/else"))
    with pytest.raises(InputError, match="there is no cache folder"):
        read_model_card(replace(config, depth_model_cache=str(tmp_path / "nowhere")))


def test_a_missing_model_is_named_with_the_remedy(tmp_path: Path):
    gone = tmp_path / "gone"
    with pytest.raises(InputError, match=f"no depth model at {gone}.*hf download") as caught:
        read_model_card(named(gone))
    assert caught.value.ids == {"path": str(gone)}


def test_a_folder_without_a_model_is_named(tmp_path: Path, own: Path):
    (own / "empty").mkdir()
    with pytest.raises(InputError, match=r"own/empty holds no config\.json"):
        read_model_card(named(own / "empty"))
    with pytest.raises(InputError, match=r"holds no model\.pt"):
        pretend_moge(read_model_card, named(own, depth_model_kind="moge-2"))
    (own / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        read_model_card(named(own))
    (own / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match=r"a bert model .*--depth-model-predicts"):
        read_model_card(named(own))
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    with pytest.raises(InputError, match="holds no weights"):
        read_model_card(named(own))


def test_a_package_that_is_not_installed_is_named(model: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match=r"needs the package moge.*pip install git"):
        read_model_card(named(model, depth_model_kind="moge-2"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'worldloom\[learned\]'"):
        read_model_card(named(model))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="no model in it is named"):
        LearnedConfig(depth_model_cache="/cache")
    with pytest.raises(ConfigError, match="empty"):
        LearnedConfig(depth_model="")
    with pytest.raises(ConfigError, match="no model is named"):
        read_model_card(LearnedConfig())


def test_a_model_predicts_at_the_size_of_the_image_the_same_every_time(bench: Bench, model: Path):
    ref = read_model_card(named(model)).ref
    estimator = load_estimator(bench, ref)
    assert isinstance(estimator, DepthEstimator)
    found = estimator.predict(IMAGE)
    assert found.values.shape == (30, 40)
    assert found.values.dtype == np.float32
    assert found.known.all()
    assert found.values.std() > 0
    np.testing.assert_array_equal(found.values, estimator.predict(IMAGE).values)
    assert not np.array_equal(found.values, estimator.predict(255 - IMAGE).values)
    assert torch.get_num_threads() == 1


def test_a_bench_keeps_one_model(bench: Bench, model: Path, tmp_path: Path):
    ref = read_model_card(named(model)).ref
    other = read_model_card(named(save_tiny_model(tmp_path / "other", seed=1))).ref
    first = load_estimator(bench, ref)
    assert load_estimator(bench, ref) is first
    assert load_estimator(bench, other) is not first
    assert load_estimator(bench, ref) is not first


def test_a_model_that_changed_since_the_job_began_is_refused(bench: Bench, own: Path):
    ref = read_model_card(named(own)).ref
    settings = own / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("0.485", "0.5"))
    with pytest.raises(InputError, match="not the one that the job began with"):
        load_estimator(bench, ref)
    shutil.rmtree(own)
    with pytest.raises(InputError, match="every node"):
        load_estimator(bench, ref)


def test_weights_that_lack_a_tensor_are_refused_not_made_up(bench: Bench, own: Path):
    settings = json.loads((own / "config.json").read_text())
    settings["backbone_config"]["num_hidden_layers"] = 3
    (own / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="tensors are missing or of another shape"):
        load_estimator(bench, read_model_card(named(own)).ref)


@pytest.mark.parametrize("damage", ["weights", "type", "processor"])
def test_a_model_that_cannot_be_loaded_is_named(bench: Bench, own: Path, damage: str):
    match damage:
        case "weights":
            (own / "model.safetensors").write_bytes(b"no weights")
        case "type":
            (own / "config.json").write_text('{"model_type": "from_the_future"}')
        case _:
            (own / "preprocessor_config.json").unlink()
    ref = read_model_card(named(own, depth_model_predicts="depth")).ref
    with pytest.raises(InputError, match=f"cannot load the depth model {own}"):
        load_estimator(bench, ref)


def test_prediction_of_a_frame_is_an_artifact_of_image_and_weights(
    bench: Bench, model: Path, tmp_path: Path
):
    frames, _ = corner_frames(bench)
    ref = read_model_card(named(model)).ref
    work = PredictWork(frames[0], ref, 80, 60)
    result = made(PREDICT, bench, work)
    arrays = bench.arrays(result.artifact, "prediction.npz")
    assert arrays["values"].shape == (60, 80)
    assert arrays["known"].all()
    expected = load_estimator(bench, ref).predict(bench.image(frames[0], 80, 60))
    np.testing.assert_array_equal(arrays["values"], expected.values)
    other = read_model_card(named(save_tiny_model(tmp_path / "other", seed=1))).ref
    assert PREDICT.key(replace(work, model=other)) != PREDICT.key(work)


class FakeMoge:
    """Stands for `moge.model.v2.MoGeModel`: the top row is sky."""

    @classmethod
    def from_pretrained(cls, path: str) -> "FakeMoge":
        if Path(path).read_bytes() != b"moge":
            raise KeyError("model_config")
        return cls()

    def eval(self) -> "FakeMoge":
        return self

    def infer(self, image: torch.Tensor, use_fp16: bool) -> dict[str, torch.Tensor]:
        assert image.dtype == torch.float32
        assert not use_fp16
        depth = 1 + image.mean(dim=0)
        depth[0] = torch.inf
        return {"depth": depth}


def pretend_moge(function: Any, *arguments: Any) -> Any:
    """Calls a function where the package moge seems to be installed."""
    with pytest.MonkeyPatch.context() as patch:
        names = ("moge", "moge.model", "moge.model.v2")
        for name in names:
            module = ModuleType(name)
            module.__spec__ = SimpleNamespace()  # type: ignore[assignment]
            patch.setitem(sys.modules, name, module)
        sys.modules["moge.model.v2"].MoGeModel = FakeMoge  # type: ignore[attr-defined]
        return function(*arguments)


def test_moge_is_loaded_from_a_file_and_its_sky_is_unknown(bench: Bench, tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(b"moge")
    for path in (tmp_path, tmp_path / "model.pt"):
        card = pretend_moge(read_model_card, named(path, depth_model_kind="moge-2"))
        assert card.ref.path == str(tmp_path / "model.pt")
        assert card.ref.quantity == "depth"
    estimator = pretend_moge(load_estimator, bench, card.ref)
    assert isinstance(estimator, DepthEstimator)
    found = estimator.predict(IMAGE)
    assert not found.known[0].any()
    assert found.known[1:].all()
    np.testing.assert_allclose(found.values[1:], 1 + IMAGE[1:].mean(axis=2) / 255, rtol=1e-5)
    assert (found.values[0] == 0).all()


def test_a_checkpoint_that_is_no_moge_model_is_named(bench: Bench, tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(b"other")
    card = pretend_moge(read_model_card, named(tmp_path, depth_model_kind="moge-2"))
    with pytest.raises(WorldloomError, match=r"moge cannot load .*model\.pt as MoGe 2"):
        pretend_moge(load_estimator, bench, card.ref)
