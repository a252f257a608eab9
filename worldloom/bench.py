"""The bench that a stage function works at: the store and the caches of its process."""

import io
import zipfile
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from threadpoolctl import threadpool_limits

from worldloom.cache import ByteCache
from worldloom.errors import StoreError
from worldloom.scene import DepthMap, DepthRef, Frame
from worldloom.store import ArtifactKey, Store


@dataclass(frozen=True)
class BenchConfig:
    """What it takes to set up a bench in any process."""

    store_uri: str
    """Root of the artifact store: absolute path, s3:// or gs://."""
    cache_mib: int = 256
    """Decoded images and arrays kept, MiB; more saves decoding, costs memory."""


class Bench:
    """Store and byte-bounded caches of one process; threads share it.

    Numeric libraries are held to one thread here: parallelism is over work items, and results must
    not depend on the number of cores.

    Args:
        config: Where the store is, and the bound of the cache.
    """

    def __init__(self, config: BenchConfig) -> None:
        cv2.setNumThreads(1)
        threadpool_limits(1)
        self.config = config
        self.store = Store(config.store_uri)
        self.cache = ByteCache(config.cache_mib * 2**20)

    def image(self, frame: Frame, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the image of a frame at a size, RGB; area-averaged where smaller than stored."""
        key = (frame.image, "image", width_px, height_px)
        return self.cache.get(key, lambda: (self._image(frame, width_px, height_px),))[0]

    def mask(self, frame: Frame, width_px: int, height_px: int) -> Bool[np.ndarray, "h w"]:
        """Returns where a frame holds data, at a size; a pixel counts only if all of it does."""
        key = (frame.image, "mask", width_px, height_px)
        return self.cache.get(key, lambda: (self._mask(frame, width_px, height_px),))[0]

    def depth_map(self, ref: DepthRef) -> DepthMap:
        """Returns a stored depth map, cached."""
        return DepthMap(ref.frame.view_id, ref.camera, **self.arrays(ref.artifact, "depth.npz"))

    def arrays(self, key: ArtifactKey, name: str) -> dict[str, np.ndarray]:
        """Returns the arrays of an `.npz` file of an artifact, cached."""

        def load() -> tuple[np.ndarray, ...]:
            data = io.BytesIO(self.store.read(key, name))
            try:
                with np.load(data, allow_pickle=False) as file:
                    names = np.array(sorted(file.files))
                    return (names, *(file[field] for field in names))
            except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
                raise _damaged(key, name, str(error)) from error

        names, *arrays = self.cache.get((key, name), load)
        return dict(zip(names.tolist(), arrays, strict=True))

    def write_arrays(self, key: ArtifactKey, name: str, **arrays: np.ndarray) -> None:
        """Writes arrays as an `.npz` file of an artifact."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        self.store.write(key, name, buffer.getbuffer())

    def _image(self, frame: Frame, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
        stored = self._decode(frame.image, "image.png", cv2.IMREAD_COLOR_RGB)
        if stored.shape[:2] == (height_px, width_px):
            return stored
        return cv2.resize(stored, (width_px, height_px), interpolation=cv2.INTER_AREA)

    def _mask(self, frame: Frame, width_px: int, height_px: int) -> Bool[np.ndarray, "h w"]:
        if not frame.has_mask:
            return np.ones((height_px, width_px), bool)
        stored = self._decode(frame.image, "mask.png", cv2.IMREAD_GRAYSCALE)
        if stored.shape != (height_px, width_px):
            stored = cv2.resize(stored, (width_px, height_px), interpolation=cv2.INTER_AREA)
        return stored >= 254

    def _decode(self, key: ArtifactKey, name: str, flags: int) -> np.ndarray:
        data = np.frombuffer(self.store.read(key, name), np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None
        if image is None:
            raise _damaged(key, name, "not an image")
        return image


def _damaged(key: ArtifactKey, name: str, why: str) -> StoreError:
    return StoreError(
        f"{name} of {key} is damaged ({why}); delete that folder and run again", key=key
    )
