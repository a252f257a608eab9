"""What gains do to colours: nothing at 1, invertible, and as the light would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldloom.response import (
    LEVEL_STEPS,
    RESPONSES,
    Response,
    ViewExposure,
    corrected,
    correction_curves,
    exposed,
    level_slope,
    log_exposure,
)

LEVELS = np.arange(256, dtype=np.float64)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
gains = st.floats(0.25, 4.0)


@pytest.mark.parametrize("response", RESPONSES)
def test_a_gain_of_one_changes_nothing(response: Response) -> None:
    as_it_is = ViewExposure(0, response, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(
        correction_curves(as_it_is), np.tile(LEVELS * LEVEL_STEPS, (3, 1))
    )
    np.testing.assert_array_equal(corrected(RAMP, as_it_is), RAMP)
    np.testing.assert_array_equal(exposed(RAMP, as_it_is), RAMP)


@pytest.mark.parametrize("response", RESPONSES)
@given(gain=gains)
def test_curves_keep_the_order_of_colours(response: Response, gain: float) -> None:
    curves = correction_curves(ViewExposure(0, response, (gain, 1.0, 1 / gain)))
    assert (np.diff(curves, axis=1) >= 0).all()
    assert (curves[:, 0] >= 0).all()
    assert (curves[:, 255] >= 253 * LEVEL_STEPS).all(), "white stays white"


@pytest.mark.parametrize("response", RESPONSES)
@given(gain=gains)
def test_a_gain_moves_the_log_exposure_by_its_logarithm(response: Response, gain: float) -> None:
    shown = exposed(RAMP, ViewExposure(0, response, (gain, gain, gain)))[0, :, 0]
    inside = (shown > 24) & (shown < 232) & (LEVELS > 24) & (LEVELS < 232)
    moved = log_exposure(shown.astype(np.float64), response) - log_exposure(LEVELS, response)
    slope = level_slope(shown.astype(np.float64), response)
    error_levels = (moved - np.log(gain)) * slope
    # Rounding, and the half level by which a logarithm of sRGB black is kept finite.
    assert np.abs(error_levels[inside]).max() < 1.2


@pytest.mark.parametrize("response", RESPONSES)
def test_the_slope_is_the_derivative(response: Response) -> None:
    step = 1e-4
    rise = log_exposure(LEVELS + step, response) - log_exposure(LEVELS - step, response)
    smooth = np.abs((LEVELS + 0.5) / 256 - 0.04045) > 1 / 256
    slope = level_slope(LEVELS, response)[smooth]
    np.testing.assert_allclose(slope, (2 * step / rise)[smooth], rtol=1e-5)


def test_linear_gains_are_those_of_light() -> None:
    gain = 1.5
    light = ((LEVELS / 255 + 0.055) / 1.055) ** 2.4
    wanted = 255 * (1.055 * (light / gain) ** (1 / 2.4) - 0.055)
    found = correction_curves(ViewExposure(0, "linear", (gain, 1.0, 1.0)))[0] / LEVEL_STEPS
    middle = (LEVELS > 20) & (LEVELS < 240)
    np.testing.assert_allclose(found[middle], wanted[middle], atol=0.01)
    brighter = correction_curves(ViewExposure(0, "linear", (0.5, 1.0, 1.0)))[0] / LEVEL_STEPS
    assert brighter[255] > 300, "cut after the mean, not before it"


def test_small_gains_move_mid_grey_alike_in_both_responses() -> None:
    grey = np.array([127.5])
    film, plain = (level_slope(grey, response)[0] for response in RESPONSES)
    assert film == pytest.approx(plain, rel=0.03)
