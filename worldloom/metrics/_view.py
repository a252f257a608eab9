"""Rendered views against images that were kept out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from skimage.metrics import structural_similarity

from worldloom.errors import ConfigError
from worldloom.render import RenderedView

_QUANTISATION = 1 / 12
_SSIM_WINDOW_PX = 7


@dataclass(frozen=True)
class ViewScore:
    """Agreement of a rendered view with the image."""

    psnr_db: float | None
    """Over covered pixels, all channels, peak 255; None where nothing is covered. The error is not
    taken below that of rounding to 8 bits (1/12 level squared), so 58.9 dB is the most."""
    ssim: float | None
    """Mean over covered pixels of the structural similarity (Wang et al., 2004; 7x7 window); pixels
    without cover are set to the image, so that they lend nothing to their neighbours. None where
    nothing is covered or the image is smaller than the window."""
    coverage: float
    """Share of the pixels with data that the rendering covers."""
    covered_pixels: int


def score_view(
    rendered: RenderedView,
    image: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> ViewScore:
    """Scores a rendered view.

    Args:
        rendered: Rendered with the camera of the image.
        image: What the camera saw, sRGB.
        mask: True where the image holds data; None for everywhere.

    Raises:
        ConfigError: the sizes differ, or the image holds no data.
    """
    if rendered.image.shape != image.shape:
        raise ConfigError(
            f"a view of {rendered.image.shape[:2]} pixels cannot be compared with an image of "
            f"{image.shape[:2]}; render with the camera resized to the image",
            field="image",
        )
    data = np.ones(image.shape[:2], bool) if mask is None else mask
    if not data.any():
        raise ConfigError("the image holds no data; nothing can be scored", field="mask")
    covered = rendered.hit & data
    count = int(covered.sum())
    coverage = count / int(data.sum())
    if not count:
        return ViewScore(None, None, coverage, 0)
    error = rendered.image[covered].astype(np.float64) - image[covered]
    square = max(float((error**2).mean()), _QUANTISATION)
    return ViewScore(
        psnr_db=float(10 * np.log10(255**2 / square)),
        ssim=_similarity(np.where(covered[..., None], rendered.image, image), image, covered),
        coverage=coverage,
        covered_pixels=count,
    )


def _similarity(
    rendered: UInt8[np.ndarray, "h w 3"],
    image: UInt8[np.ndarray, "h w 3"],
    covered: Bool[np.ndarray, "h w"],
) -> float | None:
    if min(image.shape[:2]) < _SSIM_WINDOW_PX:
        return None
    result = structural_similarity(
        image, rendered, win_size=_SSIM_WINDOW_PX, channel_axis=-1, data_range=255, full=True
    )
    return float(np.asarray(result[1])[covered].mean())
