"""Predictions brought to known depth: exact on affine data, refused where it cannot be told."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldloom.errors import ConfigError
from worldloom.learned import AlignmentConfig, Prediction, align_prediction

CONFIG = AlignmentConfig()
HEIGHT, WIDTH = 60, 80


def true_depth() -> np.ndarray:
    """A room: a slanted floor, and a box before it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    depth = 2 + 3 * (HEIGHT - rows) / HEIGHT + 0.5 * np.sin(columns / 9)
    depth[20:35, 30:50] = 1.5
    return depth.astype(np.float32)


def predicted(
    depth: np.ndarray, quantity: str, scale: float = 0.3, shift: float = -0.05
) -> Prediction:
    """A prediction of which `scale * values + shift` is the quantity."""
    wanted = 1 / depth if quantity == "inverse_depth" else depth
    return Prediction(((wanted - shift) / scale).astype(np.float32), np.ones(depth.shape, bool))


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
def test_affine_predictions_are_brought_to_the_truth(quantity: str):
    truth = true_depth()
    known = np.where(np.random.default_rng(1).random(truth.shape) < 0.3, truth, 0)
    found = align_prediction(predicted(truth, quantity), known.astype(np.float32), quantity, CONFIG)
    assert found.alignment.refusal is None
    assert found.alignment.known_px == int((known > 0).sum())
    assert found.alignment.inlier_share == 1
    assert found.alignment.scale == pytest.approx(0.3, rel=1e-4)
    assert found.alignment.shift == pytest.approx(-0.05, abs=1e-4)
    np.testing.assert_allclose(found.depth, truth, rtol=1e-4)


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
@pytest.mark.parametrize("outliers", [0.2, 0.4])
def test_outliers_do_not_move_it(quantity: str, outliers: float):
    truth = true_depth()
    dice = np.random.default_rng(2)
    wrong = dice.random(truth.shape) < outliers
    known = np.where(wrong, truth * dice.uniform(0.2, 6, truth.shape), truth).astype(np.float32)
    found = align_prediction(predicted(truth, quantity), known, quantity, CONFIG)
    assert found.alignment.refusal is None
    assert found.alignment.inlier_share == pytest.approx(1 - outliers, abs=0.05)
    assert found.alignment.scale == pytest.approx(0.3, rel=1e-3)
    near = found.depth > 0
    assert near.mean() > 0.99
    np.testing.assert_allclose(found.depth[near], truth[near], rtol=2e-3)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-5.0, 5.0))
def test_unit_and_offset_of_the_model_do_not_matter(scale: float, shift: float):
    truth = true_depth()
    wanted = 1 / truth.astype(np.float64)
    values = (wanted / wanted.mean() - shift) / scale
    prediction = Prediction(values.astype(np.float32), np.ones(truth.shape, bool))
    found = align_prediction(prediction, truth, "inverse_depth", CONFIG)
    assert found.alignment.refusal is None
    np.testing.assert_allclose(found.depth, truth, rtol=1e-3)


def test_the_same_input_gives_the_same_bits():
    truth = true_depth()
    dice = np.random.default_rng(3)
    noisy = (truth * dice.uniform(0.9, 1.1, truth.shape)).astype(np.float32)
    prediction = predicted(truth, "depth")
    first = align_prediction(prediction, noisy, "depth", CONFIG)
    again = align_prediction(prediction, noisy, "depth", CONFIG)
    assert first.alignment == again.alignment
    np.testing.assert_array_equal(first.depth, again.depth)


def test_what_the_model_does_not_know_stays_unknown():
    truth = true_depth()
    prediction = predicted(truth, "depth")
    prediction.known[:10] = False
    prediction.values[:10] = np.nan
    found = align_prediction(prediction, truth, "depth", CONFIG)
    assert found.alignment.refusal is None
    assert (found.depth[:10] == 0).all()
    np.testing.assert_allclose(found.depth[10:], truth[10:], rtol=1e-4)


def test_far_beyond_what_is_known_nothing_is_claimed():
    truth = true_depth()
    known = truth.copy()
    truth[:5] = 50
    known[:5] = 0
    found = align_prediction(predicted(truth, "depth"), known, "depth", CONFIG)
    assert (found.depth[:5] == 0).all()
    np.testing.assert_allclose(found.depth[5:], truth[5:], rtol=1e-4)
    # An inverse depth below zero is behind the camera.
    prediction = predicted(true_depth(), "inverse_depth")
    prediction.values[:5] -= 10
    found = align_prediction(prediction, known, "inverse_depth", CONFIG)
    assert (found.depth[:5] == 0).all()


NOISE = np.random.default_rng(4).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
ALL = np.ones((HEIGHT, WIDTH), bool)
ENDLESS = np.full_like(NOISE, np.inf)
BROKEN = np.where(NOISE > 2, np.nan, NOISE).astype(np.float32)


@pytest.mark.parametrize(
    ("prediction", "known", "reason"),
    [
        (Prediction(BROKEN, ALL), true_depth(), r"\d+ pixels of the prediction are not numbers"),
        (
            Prediction(ENDLESS, ALL),
            true_depth(),
            "4800 pixels of the prediction are not numbers",
        ),
        (Prediction(NOISE, ALL), true_depth() * 0, "known at 0 pixels, 200 are needed"),
        (Prediction(NOISE, ~ALL), true_depth(), "known at 0 pixels, 200 are needed"),
        (Prediction(NOISE * 0, ALL), true_depth(), "no line of rising depth"),
        (Prediction(NOISE, ALL), true_depth() * 0 + 2, "no line of rising depth"),
        (Prediction(NOISE, ALL), true_depth(), r"% of the known depth agrees"),
        (Prediction(-true_depth(), ALL), true_depth(), r"no line of rising depth"),
        (
            Prediction(true_depth(), ALL),
            (2 + 0.005 * true_depth()).astype(np.float32),
            "too flat to tell the scale",
        ),
    ],
    ids=["nan", "inf", "nothing", "sky", "constant", "wall", "noise", "reversed", "flat"],
)
def test_what_cannot_be_told_is_refused_with_its_reason(
    prediction: Prediction, known: np.ndarray, reason: str
):
    found = align_prediction(prediction, known, "depth", CONFIG)
    assert found.alignment.refusal is not None
    assert re.search(reason, found.alignment.refusal)
    assert (found.depth == 0).all()


@pytest.mark.parametrize(
    ("field", "value"), [("tolerance", 0.0), ("min_inlier_share", 1.5), ("min_known_px", 1)]
)
def test_settings_that_cannot_work_are_named(field: str, value: float):
    with pytest.raises(ConfigError, match=field):
        AlignmentConfig(**{field: value})  # type: ignore[arg-type]
