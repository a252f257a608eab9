"""Video files: probing without decoding, and frame-accurate streaming decode by PyAV."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from worldloom.errors import VideoError
from worldloom.ingest._limits import IngestLimits

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv"})
PixelFormat = Literal["rgb24", "gray"]
_MATROSKA_MAGIC = b"\x1a\x45\xdf\xa3"
_MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_DAMAGED = "the file is damaged or was not copied to its end: copy or encode it again"


@dataclass(frozen=True)
class Video:
    """A video file whose header has been read."""

    path: Path
    width_px: int
    """Width as shown, after the rotation that the file asks for."""
    height_px: int
    frame_count: int
    """Frames that the file holds, counted packet by packet."""
    hint: str = ""
    """What looks odd about the file; goes into messages when numbers do not match."""


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """One frame of a video; pixels only where they were asked for."""

    index: int
    """Place in the order of presentation, from 0."""
    pixels: UInt8[np.ndarray, "h w *c"] | None


def probe_video(path: Path, limits: IngestLimits) -> Video:
    """Reads the header and the packet table of a video and decodes its first frame.

    Args:
        path: The file.
        limits: Caps.

    Raises:
        InputError: the file is missing or empty.
        VideoError: it is not a video that can be read, or it breaks off early.
        LimitError: it is above a cap.
    """
    limits.check_video_file(path)
    with _opened(path) as (container, stream):
        limits.check_size(path, stream.codec_context.width, stream.codec_context.height)
        duration_s = (container.duration or 0) / av.time_base
        limits.check_duration(path, duration_s)
        announced, found, end_s = stream.frames, 0, 0.0
        limits.check_frames(path, announced)
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _broken(path, found, f"packet {found} is cut short")
            if packet.size and not packet.is_discard:
                found += 1
                limits.check_frames(path, found)
                if packet.pts is not None:
                    end_s = max(
                        end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    )
    if found < announced:
        raise _broken(path, found, f"it holds {found} of the {announced} frames it announces")
    if found == 0:
        raise _broken(path, 0, "it holds no frames")
    height_px, width_px = _first_shape(path, limits)
    hint = ""
    if duration_s - end_s > max(1.0, 0.1 * duration_s):
        hint = f"its header announces {duration_s:.1f} s, its last frame ends at {end_s:.1f} s"
    return Video(path, width_px, height_px, found, hint)


def count_frames(path: Path, limits: IngestLimits) -> int:
    """Counts the frames of a video by decoding it, where the packet table is in doubt.

    Raises:
        VideoError: a frame cannot be decoded.
        LimitError: a frame is above the cap.
    """
    return sum(1 for _ in decode_frames(path, None, limits, wanted=lambda _: False))


def decode_frames(
    path: Path,
    frame_count: int | None,
    limits: IngestLimits,
    *,
    wanted: Callable[[int], bool],
    pixel_format: PixelFormat = "rgb24",
    threads: int = 1,
) -> Iterator[DecodedFrame]:
    """Decodes a video once, from its start to its end, one frame in memory at a time.

    Frames are numbered in the order of presentation, whatever their time stamps say.

    Args:
        path: The file.
        frame_count: Number of frames that must come out; None where that is not known.
        limits: Caps; the size is checked again on each frame.
        wanted: Which frames to convert to pixels; the others come without.
        pixel_format: `rgb24` (h, w, 3) or `gray` (h, w).
        threads: Threads of the decoder; the pixels do not depend on it.

    Raises:
        VideoError: a frame cannot be decoded, changes its size, or the count is another.
        LimitError: a frame is above the cap.
    """
    index = 0
    size: tuple[int, int] | None = None
    with _opened(path, max_pixels=limits.max_pixels, threads=threads) as (container, stream):
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames, None)
            except FFmpegError as error:
                raise _broken(path, index, f"the decoder failed ({error.strerror})") from error
            if frame is None:
                break
            size = _checked_size(path, index, frame, size, limits)
            pixels = _pixels(frame, pixel_format) if wanted(index) else None
            yield DecodedFrame(index, pixels)
            index += 1
    if frame_count is not None and index != frame_count:
        raise _broken(path, index, f"{index} frames decode, {frame_count} were expected")


@contextmanager
def _opened(
    path: Path, max_pixels: int | None = None, threads: int = 1
) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """Opens the video stream of a file.

    The container format comes from the content and is fixed, and the protocol is fixed: a playlist
    under the name of a video would otherwise make the reader open other files.
    """
    try:
        # Titles and the like are not used, so that they may be in any encoding.
        container = av.open(
            f"file:{path}", format=_container_format(path), metadata_errors="replace"
        )
    except FFmpegError as error:
        raise _broken(path, None, f"its header cannot be read ({error.strerror})") from error
    with container:
        if not container.streams.video:
            raise VideoError(f"{path} holds no video stream; give a video", path=str(path))
        stream = container.streams.video[0]
        # PyAV's types do not say so, but there is none where FFmpeg does not know the codec.
        if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise VideoError(
                f"{path} is of a codec that is not known here; encode it again, for example with "
                "`ffmpeg -i IN OUT.mp4`",
                path=str(path),
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        if max_pixels is not None:
            stream.codec_context.options = {"max_pixels": str(max_pixels)}
        yield container, stream


def _container_format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(_MATROSKA_MAGIC):
        return "matroska"
    if head[4:8] in _MOV_BOXES:
        return "mov"
    raise VideoError(
        f"{path} is not an mp4, mov, webm or mkv file, whatever its name says; "
        "convert it, for example with `ffmpeg -i IN OUT.mp4`",
        path=str(path),
    )


def _first_shape(path: Path, limits: IngestLimits) -> tuple[int, int]:
    for frame in decode_frames(path, None, limits, wanted=lambda _: True):
        if frame.pixels is not None:
            return frame.pixels.shape[0], frame.pixels.shape[1]
    raise _broken(path, 0, "no frame can be decoded")


def _checked_size(
    path: Path,
    index: int,
    frame: VideoFrame,
    size: tuple[int, int] | None,
    limits: IngestLimits,
) -> tuple[int, int]:
    if frame.is_corrupt:
        raise _broken(path, index, "it decodes with errors")
    found = (frame.width, frame.height)
    limits.check_size(path, *found)
    if size is not None and found != size:
        raise VideoError(
            f"{path}: frame {index} is {found[0]}x{found[1]}, those before are "
            f"{size[0]}x{size[1]}; encode the video at one size",
            path=str(path),
            frame=index,
        )
    return found


def _pixels(frame: VideoFrame, pixel_format: PixelFormat) -> UInt8[np.ndarray, "h w *c"]:
    """Converts a frame, turned as its file asks: what players and frame extractors show."""
    pixels = frame.to_ndarray(format=pixel_format)
    quarter_turns = round(frame.rotation / 90)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _broken(path: Path, frame: int | None, what: str) -> VideoError:
    where = "" if frame is None else f" at frame {frame}"
    return VideoError(f"{path}{where}: {what}; {_DAMAGED}", path=str(path), frame=frame)
