"""How cameras turn light into 8 bits, and what a gain of the light does to colours.

A gain acts on the light; what it does to a colour depends on the tone curve behind it. Two are
known. `linear`: the curve of sRGB (IEC 61966-2-1) and nothing else, as of renderers and of raw
development without a look. `filmic`: a curve with a toe and a shoulder, as of phones, films and
generated video; light x becomes v with x = (v / (1 - v))^1.1, the saturating response of Naka and
Rushton (1966). Its exponent is such that a small gain moves mid grey as far as in sRGB; black stays
black and white stays white, so nothing is clipped.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

Response = Literal["filmic", "linear"]
RESPONSES: tuple[Response, ...] = ("filmic", "linear")
LEVEL_STEPS = 256
"""Fixed-point steps of a level of corrected colour, so that sums do not depend on any order."""
_FILMIC_EXPONENT = 1.1
_CLIPPED_FROM, _CLIPPED_TO = 240.0, 255.0
"""Levels between which a colour of a linear camera goes over into being clipped."""


@dataclass(frozen=True)
class ViewExposure:
    """The exposure and white balance of one view, relative to the mean of the views."""

    view_id: int
    response: Response
    """Tone curve behind the gain."""
    gain_rgb: tuple[float, float, float]
    """Gain of the light of each channel: above 1 the view is brighter than the others. The colours
    of the scene are those of the view with the gain undone."""


def log_exposure(
    levels: Float64[np.ndarray, "*n"], response: Response
) -> Float64[np.ndarray, "*n"]:
    """Returns the natural logarithm of the light behind colours.

    Args:
        levels: 0 to 255; half a level is added, so that black has a logarithm.
        response: Tone curve.
    """
    share = (levels + 0.5) / 256
    if response == "filmic":
        return _FILMIC_EXPONENT * np.log(share / (1 - share))
    return np.log(_light_from_srgb(share))


def level_slope(levels: Float64[np.ndarray, "*n"], response: Response) -> Float64[np.ndarray, "*n"]:
    """Returns by how many levels a colour moves for a change of its log exposure by 1.

    Args:
        levels: 0 to 255.
        response: Tone curve.
    """
    share = (levels + 0.5) / 256
    if response == "filmic":
        return 256 / _FILMIC_EXPONENT * share * (1 - share)
    toe = 256 * share
    power = 256 / 2.4 * (share + 0.055)
    return np.where(share <= 0.04045, toe, power)


def correction_curves(exposure: ViewExposure) -> Int32[np.ndarray, "3 256"]:
    """Returns what each level of each channel becomes with the gain undone.

    Levels above 255 are kept: they count in a mean with those of other views, and are cut after it.
    A gain of 1 changes nothing.

    Args:
        exposure: Of the view.

    Returns:
        In 256ths of a level (`LEVEL_STEPS`).
    """
    curves = [_curve(exposure.response, 1 / gain) for gain in exposure.gain_rgb]
    return np.rint(np.stack(curves) * LEVEL_STEPS).astype(np.int32)


def corrected(
    image: UInt8[np.ndarray, "h w 3"], exposure: ViewExposure
) -> Float32[np.ndarray, "h w 3"]:
    """Returns an image with the gain of its view undone, sRGB levels; may go beyond 255."""
    curves = (correction_curves(exposure) / LEVEL_STEPS).astype(np.float32)
    return np.stack([curves[channel][image[..., channel]] for channel in range(3)], axis=-1)


def exposed(
    image: UInt8[np.ndarray, "h w 3"], exposure: ViewExposure
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns colours of the scene as a view with this exposure shows them, sRGB."""
    curves = [_curve(exposure.response, gain) for gain in exposure.gain_rgb]
    table = np.rint(np.clip(np.stack(curves), 0, 255)).astype(np.uint8)
    return np.stack([table[channel][image[..., channel]] for channel in range(3)], axis=-1)


def _curve(response: Response, gain: float) -> Float64[np.ndarray, "256"]:
    """Levels after a gain of the light of each level."""
    levels = np.arange(256, dtype=np.float64)
    if response == "filmic":
        share = (levels + 0.5) / 256
        odds = share / (1 - share) * gain ** (1 / _FILMIC_EXPONENT)
        return np.clip(256 * odds / (1 + odds) - 0.5, 0, 255)
    moved = 255 * _srgb_from_light(_light_from_srgb(levels / 255) * gain)
    if gain >= 1:
        return moved
    # What is clipped may be of any brightness: white lamps stay white in views that are darkened.
    share = np.clip((levels - _CLIPPED_FROM) / (_CLIPPED_TO - _CLIPPED_FROM), 0, 1)
    return moved + (levels - moved) * (share**2 * (3 - 2 * share))


def _light_from_srgb(share: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _srgb_from_light(light: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
