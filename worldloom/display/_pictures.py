"""Pictures that live in a page: encoded, as data URIs."""

import base64

import cv2
import numpy as np
from jaxtyping import UInt8

from worldloom.errors import ExportError


def jpeg_uri(image: UInt8[np.ndarray, "h w 3"], quality: int = 82) -> str:
    """Returns an sRGB image as a data URI.

    Args:
        image: At least one pixel.
        quality: 1 to 100, as libjpeg means it.

    Raises:
        ExportError: it cannot be encoded.
    """
    flags = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise ExportError(
            "a picture could not be encoded as JPEG; is there enough memory?", format="jpeg"
        )
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def shrunk(image: UInt8[np.ndarray, "h w 3"], width_px: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Returns an image at most `width_px` wide, area-averaged."""
    height, width = image.shape[:2]
    if width <= width_px:
        return image
    size = (width_px, max(1, round(height * width_px / width)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
