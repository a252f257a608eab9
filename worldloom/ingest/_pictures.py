"""Image files: probing by header, decoding, and the order of a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, UnidentifiedImageError

from worldloom.errors import InputError, LimitError, VideoError
from worldloom.ingest._limits import IngestLimits

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_ALPHA_DATA = 128


@dataclass(frozen=True)
class Picture:
    """An image file whose header has been read."""

    path: Path
    width_px: int
    """Width of the pixel grid as stored; an orientation tag is not applied."""
    height_px: int
    has_alpha: bool
    """True where transparent pixels (alpha below 128) stand for no data."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """The pixels of an image file."""

    rgb: UInt8[np.ndarray, "h w 3"]
    data: Bool[np.ndarray, "h w"] | None
    """True where there is data; None where all of it is."""


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Returns a sort key by which `frame9` comes before `frame10`."""
    parts = re.findall(r"\d+|\D+", text)
    keys = ((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
    return (*keys, (-2, text))


def list_pictures(folder: Path) -> list[Path]:
    """Returns the image files of a folder in natural order; none of its subfolders."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if is_picture(path))
    return sorted(found, key=lambda path: natural_key(path.name))


def is_picture(path: Path) -> bool:
    """Tells whether a path is named like an image and is a file."""
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def probe_picture(path: Path, limits: IngestLimits) -> Picture:
    """Reads the header of an image file.

    Args:
        path: The file.
        limits: Caps.

    Raises:
        InputError: the file is missing or empty.
        VideoError: it is not an image.
        LimitError: it is above a cap.
    """
    limits.check_image_file(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width_px, height_px = image.size
            has_alpha = "A" in image.getbands() or "transparency" in image.info
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LimitError(
            f"{path}: {error}; make the image smaller",
            path=str(path),
            limit=Image.MAX_IMAGE_PIXELS,
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path) from error
    limits.check_size(path, width_px, height_px)
    return Picture(path, width_px, height_px, has_alpha)


def decode_picture(picture: Picture, content: bytes) -> DecodedPicture:
    """Decodes an image to 8-bit RGB in its stored pixel grid.

    Cameras are calibrated on the stored grid (COLMAP and nerfstudio both ignore the orientation
    tag), so the tag is not applied here.

    Args:
        picture: What was probed.
        content: The bytes of the file.

    Raises:
        VideoError: the data are damaged, or are not those that were probed.
    """
    data = np.frombuffer(content, np.uint8)
    keep_grid = cv2.IMREAD_IGNORE_ORIENTATION
    rgb = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | keep_grid)
    if rgb is None:
        raise _unreadable(picture.path)
    if rgb.shape != (picture.height_px, picture.width_px, 3):
        raise InputError(
            f"{picture.path} changed while it was read; leave the input alone and run again",
            path=str(picture.path),
        )
    opaque = _opaque(data) if picture.has_alpha else None
    return DecodedPicture(np.asarray(rgb, np.uint8), opaque)


def _opaque(data: UInt8[np.ndarray, " n"]) -> Bool[np.ndarray, "h w"] | None:
    full = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)  # as stored; it ignores the orientation too
    if full is None or full.ndim != 3 or full.shape[2] != 4:
        return None
    alpha = full[..., 3]
    opaque = alpha >= (_ALPHA_DATA if alpha.dtype == np.uint8 else _ALPHA_DATA * 257)
    return None if opaque.all() else opaque


def _unreadable(path: Path) -> VideoError:
    return VideoError(
        f"{path} cannot be decoded as an image; it is damaged or of another format: "
        "copy it again, or convert it to PNG or JPEG",
        path=str(path),
    )
