"""The exposure of one view that nothing was made from."""

import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.exposure._samples import BRIGHTEST, DARKEST
from worldloom.response import Response, ViewExposure, log_exposure


def fit_exposure(
    view_id: int,
    rendered: UInt8[np.ndarray, "h w 3"],
    image: UInt8[np.ndarray, "h w 3"],
    covered: Bool[np.ndarray, "h w"],
    response: Response,
) -> ViewExposure:
    """Returns the exposure with which a rendering is most like the image of a view.

    The median over the pixels of the difference of log exposures, channel by channel; pixels that
    are clipped or nearly black in either are left out. Without any, the gain is 1.

    Args:
        view_id: Of the view.
        rendered: The scene as the view sees it, sRGB.
        image: What the view shows.
        covered: Pixels to compare.
        response: Tone curve.
    """
    gains = [1.0, 1.0, 1.0]
    for channel in range(3):
        ours, theirs = rendered[..., channel], image[..., channel]
        used = covered & (np.minimum(ours, theirs) >= DARKEST)
        used &= np.maximum(ours, theirs) <= BRIGHTEST
        if used.any():
            pair = np.stack([theirs[used], ours[used]]).astype(np.float64)
            logs = log_exposure(pair, response)
            gains[channel] = float(np.exp(np.median(logs[0] - logs[1])))
    return ViewExposure(view_id, response, (gains[0], gains[1], gains[2]))
