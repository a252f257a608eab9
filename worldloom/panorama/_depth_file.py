"""Depth panoramas as they come: arrays and 16-bit pictures, brought to distances along the ray."""

import hashlib
import io
import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.lib import format as npy
from PIL import Image

from worldloom.errors import ConfigError, InputError
from worldloom.panorama._distance import distance_from_face_z, known_share

DepthKind = Literal["ray", "face-z"]

DEPTH_SUFFIXES = (".npy", ".npz", ".png", ".tif", ".tiff", ".exr")
_MILLIMETRE = 0.001
_FARTHEST = 1e9
"""Beyond this a number stands for the sky; some renderers write 1e10."""
_LEAST_SHARE = 1e-4
_MOST_CHANNELS = 4
_LARGEST_NUMBER = 16
_DAMAGE = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError),
    *(tokenize.TokenError, RecursionError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise on damaged, encrypted and strange files."""


@dataclass(frozen=True, eq=False)
class DepthSource:
    """Where the depth of a panorama is, and how to read its numbers."""

    content: Path | np.ndarray
    """File (.npy, .npz with one array or one that is called depth, 16-bit .png or .tif, float .tif,
    .exr where OpenCV has it), or the array itself, (h w)."""
    kind: DepthKind = "ray"
    """ray: distance along the ray. face-z: depth along the axis of the cube face that the ray falls
    on."""
    scale: float | None = None
    """World units that 1 in the file stands for; unset: 0.001 for whole numbers (millimetres), 1
    for floats."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(DepthKind):
            raise ConfigError(
                f"the kind of depth must be ray or face-z, got {self.kind!r}", field="depth_kind"
            )
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise ConfigError(
                f"depth_scale must be above 0, got {self.scale}; give the world units that 1 in "
                "the file stands for",
                field="depth_scale",
            )

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.content) if isinstance(self.content, Path) else "the depth array"

    def read(self, width_px: int, height_px: int) -> Float32[np.ndarray, "h w"]:
        """Reads the distances of a panorama of some size.

        Returns:
            Distance along the ray, world unit; 0 = unknown. Zeros and infinities are unknown: sky.

        Raises:
            InputError: the file cannot be read, is of another size, or holds what is no depth.
        """
        if isinstance(self.content, Path):
            raw = _read(self.content, most=_MOST_CHANNELS * width_px * height_px)
        else:
            raw = self.content
        if raw.ndim != 2:
            raise self._error(
                f"has the shape {raw.shape}, not (height, width); give one channel of depth"
            )
        if raw.shape != (height_px, width_px):
            raise self._error(
                f"has {raw.shape[1]}x{raw.shape[0]} pixels, the panorama {width_px}x{height_px}; "
                "resize one of the two (depth by its nearest pixels)"
            )
        if raw.dtype.kind not in "uif":
            raise self._error(f"holds {raw.dtype}, not numbers; give floats or whole numbers")
        whole = raw.dtype.kind in "ui"
        scale = self.scale if self.scale is not None else (_MILLIMETRE if whole else 1.0)
        depth = raw.astype(np.float64) * scale
        self._check(depth)
        depth = np.where(depth < _FARTHEST, depth, 0)
        if self.kind == "face-z":
            depth = distance_from_face_z(depth)
        return depth.astype(np.float32)

    def _check(self, depth: np.ndarray) -> None:
        broken = int(np.isnan(depth).sum())
        if broken:
            raise self._error(
                f"is not a number (NaN) at {broken} pixels; write 0 where the depth is unknown"
            )
        negative = int((depth < 0).sum())
        if negative:
            raise self._error(
                f"is negative at {negative} pixels; give distances, and 0 where they are unknown"
            )
        if known_share(np.where(depth < _FARTHEST, depth, 0).astype(np.float32)) < _LEAST_SHARE:
            raise self._error(
                "is zero or infinite everywhere, so there is no surface; check the file and its "
                "scale"
            )

    def _error(self, what: str) -> InputError:
        path = str(self.content) if isinstance(self.content, Path) else None
        return InputError(f"depth of the panorama: {self.name} {what}", path=path)


def content_digest(distance: Float32[np.ndarray, "h w"]) -> str:
    """Returns the SHA-256 (64 hex digits) of distances."""
    return hashlib.sha256(np.ascontiguousarray(distance).tobytes()).hexdigest()


def _read(path: Path, most: int) -> np.ndarray:
    """Reads a file of no more values than a panorama of the size that is wanted can have."""
    suffix = path.suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise InputError(
            f"{path} is no depth that can be read; give one of {', '.join(DEPTH_SUFFIXES)}",
            path=str(path),
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path of the depth", path=str(path))
    return _array(path, most) if suffix in (".npy", ".npz") else _picture(path, most)


def _array(path: Path, most: int) -> np.ndarray:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                return _one_array(file, path, most).squeeze()
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                if "depth" not in names and len(names) != 1:
                    raise InputError(
                        f"{path} holds the arrays {', '.join(names) or 'none'}; keep one, or call "
                        "it depth",
                        path=str(path),
                    )
                chosen = "depth" if "depth" in names else names[0]
                with archive.open(archive.namelist()[names.index(chosen)]) as member:
                    return _one_array(cast("io.BufferedIOBase", member), path, most).squeeze()
    except _DAMAGE as error:
        raise InputError(
            f"{path} cannot be read as an array ({error}); write it again with numpy.save",
            path=str(path),
        ) from error


def _one_array(file: io.BufferedIOBase, path: Path, most: int) -> np.ndarray:
    """Reads an array after its header was looked at: a few bytes can announce any size."""
    file.seek(0)
    version = npy.read_magic(file)
    if version != (1, 0):
        # Later versions are for records, and let a header announce gigabytes of itself.
        raise ValueError(f"it has version {version} of numpy's format, not (1, 0)")
    shape, _, kind = npy.read_array_header_1_0(file)
    if kind.hasobject or kind.itemsize > _LARGEST_NUMBER or min(shape, default=1) < 0:
        raise ValueError(f"it holds {kind} in the shape {shape}")
    if math.prod(shape) > most:
        raise InputError(
            f"{path} has the shape {shape}, more than the panorama has; give depth of its size",
            path=str(path),
        )
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _check_header(path: Path, most: int) -> None:
    """Looks at the size that a picture announces before it is decoded; damage shows later."""
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            width_px, height_px = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: {error}; give depth of its size", path=str(path)) from error
    except (OSError, SyntaxError, ValueError):
        return
    if width_px * height_px > most:
        raise InputError(
            f"{path} has {width_px}x{height_px} pixels, more than the panorama; give depth of its "
            "size",
            path=str(path),
        )


def _picture(path: Path, most: int) -> np.ndarray:
    _check_header(path, most)
    try:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        # OpenCV refuses OpenEXR by exception where it is built in but not switched on.
        raise _unreadable(path) from error
    if image is None:
        raise _unreadable(path)
    if image.ndim == 3 and path.suffix.lower() == ".exr":
        # Renderers write depth into all channels.
        return image[..., 0]
    if image.dtype == np.uint8:
        raise InputError(
            f"{path} holds 8 bits a pixel, too few for depth; give 16 bits, or floats as .npy",
            path=str(path),
        )
    return image


def _unreadable(path: Path) -> InputError:
    hint = "this OpenCV reads no OpenEXR: " if path.suffix.lower() == ".exr" else "it is damaged: "
    return InputError(
        f"{path} cannot be decoded; {hint}save the depth as .npy, or as a 16-bit .png",
        path=str(path),
    )
