"""Ingest: every kept frame as an undistorted image in the store, each source read once."""

import hashlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.errors import ConfigError, InputError
from worldloom.ingest._binding import require_parallax
from worldloom.ingest._limits import IngestLimits
from worldloom.ingest._panorama import PanoramaViews
from worldloom.ingest._pictures import Picture, decode_picture
from worldloom.ingest._source import Panorama, Source
from worldloom.ingest._stored import (
    INGEST_STAGE,
    INGEST_VERSION,
    FrameContent,
    Ingested,
    data_from_mask_level,
    distorted_lens,
    find_frame,
    read_content,
    sha256_of,
    store_frame,
)
from worldloom.ingest._video import DecodedFrame, Video, decode_frames
from worldloom.scene import Frame
from worldloom.stage import Outcome, ProgressCallback, ProgressCounter
from worldloom.store import Store, artifact_key

_LOOK_AHEAD = 2
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _VideoContent:
    """A video and its mask, decoded to the end."""

    source_sha256: str
    mask_sha256: str | None


@dataclass(frozen=True)
class _DecodedToEnd:
    """The whole video could be decoded."""

    frames: int


def ingest(
    sources: Sequence[Source],
    store: Store,
    *,
    every: int = 1,
    limits: IngestLimits,
    on_progress: ProgressCallback,
    workers: int = 1,
    need_parallax: bool = True,
) -> tuple[Frame, ...]:
    """Puts the frames of all sources into the store, undistorted, with their masks.

    Each video is decoded once, from start to end, a few frames at a time; images are read one by
    one. What is in the store already is not made again, and a video that is there whole is not
    decoded. An image is stored by what it shows, so moved files and changed poses cost nothing.

    Args:
        sources: From `open_sources`.
        store: Where `image.png` (RGB) and `mask.png` (255 = data) of each frame go.
        every: Keeps the frames whose number in their source is a multiple of this.
        limits: Caps; sizes are checked again while decoding.
        on_progress: Called after each frame.
        workers: Threads that undistort and encode; results do not depend on it.
        need_parallax: False where depth does not come from the views.

    Returns:
        One frame a kept image, with dense view ids: sources in order, then frame number.

    Raises:
        ConfigError: `every` or `workers` is below 1.
        VideoError: a frame cannot be decoded, or a video breaks off early.
        InputError: the kept frames show no parallax, or an image changed since it was opened.
        StoreError: a frame cannot be written.
    """
    for name, value in (("every", every), ("workers", workers)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}", field=name)
    kept = [(source, positions) for source in sources if (positions := _kept(source, every))]
    if not kept:
        raise InputError(f"every={every} keeps no frame of the input; make it smaller")
    if need_parallax:
        require_parallax([source.trajectory.subset(positions) for source, positions in kept])
    total = sum(len(positions) for _, positions in kept)
    counter = ProgressCounter(INGEST_STAGE, total, on_progress)
    frames: list[Frame] = []
    with ThreadPoolExecutor(workers, thread_name_prefix=INGEST_STAGE) as pool:
        desk = _Desk(store, limits, pool, workers)
        for source, positions in kept:
            with closing(desk.store_source(source, positions)) as results:
                for position, result in zip(positions, results, strict=True):
                    frames.append(_frame(len(frames), source, position, result))
                    counter.add(Outcome(result.stored, reused=result.reused))
    return tuple(frames)


def _kept(source: Source, every: int) -> list[int]:
    """Returns the positions in a source of the frames to keep."""
    indices = source.trajectory.frame_indices
    return [position for position, index in enumerate(indices) if index % every == 0]


def _frame(view_id: int, source: Source, position: int, result: Ingested) -> Frame:
    index = source.trajectory.frame_indices[position]
    camera = source.trajectory.cameras[position]
    if result.stored.pinhole is not None:
        camera = Camera(result.stored.pinhole, camera.world_from_cam)
    return Frame(
        view_id=view_id,
        name=f"{source.name}/{index:04d}",
        trajectory=source.name,
        index=index,
        camera=camera,
        image=result.key,
        has_mask=result.stored.has_mask,
    )


@dataclass(frozen=True, eq=False)
class _Desk:
    """The means of one call of `ingest`."""

    store: Store
    limits: IngestLimits
    pool: ThreadPoolExecutor
    workers: int

    def store_source(
        self, source: Source, positions: Sequence[int]
    ) -> Generator[Ingested, None, None]:
        """Stores the frames at some positions of a source and yields them in that order."""
        if isinstance(source.media, Video):
            return self._store_video(source, source.media, positions)
        if isinstance(source.media, Panorama):
            return self._store_panorama(source, source.media, positions)
        cameras = source.trajectory.cameras
        jobs = [
            partial(self._store_picture, source.media[position], distorted_lens(cameras[position]))
            for position in positions
        ]
        return self._in_order(jobs)

    def _store_picture(self, picture: Picture, lens: CameraIntrinsics | None) -> Ingested:
        self.limits.check_image_file(picture.path)
        data = read_content(picture.path)
        content = FrameContent(hashlib.sha256(data).hexdigest(), 0, lens, None)
        found = find_frame(self.store, content)
        if found is not None:
            return found
        decoded = decode_picture(picture, data)
        return store_frame(self.store, content, decoded.rgb, decoded.data)

    def _store_panorama(
        self, source: Source, panorama: Panorama, positions: Sequence[int]
    ) -> Generator[Ingested, None, None]:
        self.limits.check_image_file(panorama.picture.path)
        views = PanoramaViews(self.store, panorama, read_content(panorama.picture.path))
        for position in positions:
            yield views.stored(source.trajectory.cameras[position])

    def _store_video(
        self, source: Source, video: Video, positions: Sequence[int]
    ) -> Generator[Ingested, None, None]:
        mask_sha256 = None if source.mask is None else sha256_of(source.mask.path)
        whole = _VideoContent(sha256_of(video.path), mask_sha256)
        cameras, indices = source.trajectory.cameras, source.trajectory.frame_indices
        contents = {
            indices[position]: FrameContent(
                whole.source_sha256, indices[position], distorted_lens(cameras[position]),
                mask_sha256,
            )
            for position in positions
        }  # fmt: skip
        found = {index: find_frame(self.store, content) for index, content in contents.items()}
        finished = [result for result in found.values() if result is not None]
        whole_key = artifact_key(f"{INGEST_STAGE}_video", INGEST_VERSION, whole)
        # Damage behind the last kept frame is found only at the end, so an end that was never
        # reached is decoded again, even when all frames are there.
        if len(finished) == len(found) and self.store.result(whole_key, _DecodedToEnd):
            _logger.info("%s: all %d frames are in the store", source.name, len(finished))
            yield from finished
            return
        with closing(self._in_order(self._video_jobs(source, video, contents, found))) as results:
            yield from results
        self.store.commit(whole_key, _DecodedToEnd(video.frame_count))

    def _video_jobs(
        self,
        source: Source,
        video: Video,
        contents: dict[int, FrameContent],
        found: dict[int, Ingested | None],
    ) -> Iterator[Callable[[], Ingested]]:
        """Decodes a video, and its mask beside it, and yields a job for each kept frame."""

        def wanted(index: int) -> bool:
            return index in contents and found[index] is None

        decode = partial(decode_frames, limits=self.limits, wanted=wanted, threads=self.workers)
        masks: Iterable[Bool[np.ndarray, "h w"] | None] = itertools.repeat(None)
        if source.mask is not None:
            levels = decode(source.mask.path, source.mask.frame_count, pixel_format="gray")
            masks = _data_masks(levels)
        frames = decode(video.path, video.frame_count)
        for frame, data in zip(frames, masks, strict=source.mask is not None):
            result = found.get(frame.index)
            if result is not None:
                yield partial(_same, result)
            elif frame.pixels is not None:
                content = contents[frame.index]
                yield partial(store_frame, self.store, content, frame.pixels, data)

    def _in_order(self, jobs: Iterable[Callable[[], Ingested]]) -> Generator[Ingested, None, None]:
        """Executes jobs in the pool, a bounded number ahead, and yields results in their order."""
        ahead: deque[Future[Ingested]] = deque()
        failure: InputError | None = None
        upcoming = iter(jobs)
        try:
            while True:
                try:
                    job = next(upcoming, None)
                except InputError as error:
                    # What was decoded before the damage is stored first.
                    failure = error
                    break
                if job is None:
                    break
                ahead.append(self.pool.submit(job))
                if len(ahead) >= _LOOK_AHEAD * self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
        if failure is not None:
            raise failure


def _data_masks(levels: Iterable[DecodedFrame]) -> Iterator[Bool[np.ndarray, "h w"] | None]:
    for level in levels:
        yield None if level.pixels is None else data_from_mask_level(level.pixels)


def _same(result: Ingested) -> Ingested:
    return result
