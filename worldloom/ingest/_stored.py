"""One stored image: what names it, how its pixels are undistorted, encoded and written."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.cameras import Camera, CameraIntrinsics, Undistortion, undistortion
from worldloom.errors import InputError, StoreError
from worldloom.store import ArtifactKey, Store, artifact_key

INGEST_STAGE = "ingest"
INGEST_VERSION = 1
_NO_DATA_LEVEL = 128
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)


@dataclass(frozen=True)
class FrameContent:
    """All that a stored image depends on: neither where its source lies nor the pose."""

    source_sha256: str
    """Digest of the video, or of the image file."""
    index: int
    """Frame of the video in the order of presentation; 0 for an image file."""
    lens: CameraIntrinsics | None
    """Distorted lens; None where nothing is undistorted."""
    mask_sha256: str | None
    """Digest of the mask video."""

    @property
    def key(self) -> ArtifactKey:
        """Key of the stored image."""
        return artifact_key(INGEST_STAGE, INGEST_VERSION, self)


@dataclass(frozen=True)
class StoredFrame:
    """What is known of a stored image."""

    width_px: int
    height_px: int
    has_mask: bool
    """True where some pixels hold no data."""
    pinhole: CameraIntrinsics | None
    """Camera after undistortion; None where nothing was undistorted."""


@dataclass(frozen=True)
class Ingested:
    """A stored image and how it came about."""

    key: ArtifactKey
    stored: StoredFrame
    reused: bool
    """True where it was in the store already."""


def find_frame(store: Store, content: FrameContent) -> Ingested | None:
    """Returns the stored image of some content; None where it is not there."""
    stored = store.result(content.key, StoredFrame)
    return None if stored is None else Ingested(content.key, stored, reused=True)


def store_frame(
    store: Store,
    content: FrameContent,
    rgb: UInt8[np.ndarray, "h w 3"],
    data: Bool[np.ndarray, "h w"] | None,
) -> Ingested:
    """Undistorts, encodes and writes one image; safe to do twice.

    Args:
        store: Where `image.png` and, where pixels hold no data, `mask.png` go.
        content: What names it.
        rgb: Pixels as decoded.
        data: True where there is data; None where all of it is.

    Raises:
        StoreError: it cannot be written.
    """
    pinhole = None
    if content.lens is not None:
        undistorted = _undistortion(content.lens)
        pinhole = undistorted.intrinsics
        rgb = undistorted.apply(rgb)
        data = _undistorted_mask(undistorted, data)
    return store_pixels(store, content.key, rgb, data, pinhole)


def store_pixels(
    store: Store,
    key: ArtifactKey,
    rgb: UInt8[np.ndarray, "h w 3"],
    data: Bool[np.ndarray, "h w"] | None,
    pinhole: CameraIntrinsics | None = None,
) -> Ingested:
    """Encodes and writes one undistorted image; safe to do twice.

    Args:
        store: Where `image.png` and, where pixels hold no data, `mask.png` go.
        key: What names it.
        rgb: Pixels of a pinhole camera.
        data: True where there is data; None where all of it is.
        pinhole: Camera after undistortion; None where nothing was undistorted.

    Raises:
        StoreError: it cannot be written.
    """
    has_mask = data is not None and not bool(data.all())
    store.write(key, "image.png", _png(rgb[..., ::-1]))
    if data is not None and has_mask:
        store.write(key, "mask.png", _png(np.where(data, 255, 0).astype(np.uint8)))
    stored = StoredFrame(rgb.shape[1], rgb.shape[0], has_mask, pinhole)
    store.commit(key, stored)
    return Ingested(key, stored, reused=False)


def data_from_mask_level(level: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Returns where there is data, from a frame of a mask video in which white is no data.

    The video is lossy: levels of 128 and above are no data, and so are the pixels next to those,
    into which the codec has bled the colour of the hole (measured on WorldStereo renders: 40% of
    the contrast is gone in the first ring around a hole, none in the second).
    """
    hole = (level >= _NO_DATA_LEVEL).astype(np.uint8)
    return np.asarray(cv2.dilate(hole, np.ones((3, 3), np.uint8))) == 0


def distorted_lens(camera: Camera) -> CameraIntrinsics | None:
    """Returns the lens of a camera whose images have to be undistorted, else None."""
    return camera.intrinsics if camera.intrinsics.is_distorted else None


def read_content(path: Path) -> bytes:
    """Reads a file that was there a moment ago.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _gone(path, error) from error


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file that was there a moment ago, in hex digits.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _gone(path, error) from error


def _undistorted_mask(
    undistorted: Undistortion, data: Bool[np.ndarray, "h w"] | None
) -> Bool[np.ndarray, "h w"] | None:
    if data is None:
        return None if undistorted.valid.all() else undistorted.valid
    return undistorted.apply_mask(np.where(data, 255, 0).astype(np.uint8)) == 255


@lru_cache(maxsize=4)
def _undistortion(lens: CameraIntrinsics) -> Undistortion:
    return undistortion(lens)


def _png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    done, data = cv2.imencode(".png", pixels, _PNG)
    if not done:
        raise StoreError("an image could not be encoded as PNG; is there enough memory?")
    return data.tobytes()


def _gone(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be read any more: {error.strerror}; leave the input in place and run again",
        path=str(path),
    )
