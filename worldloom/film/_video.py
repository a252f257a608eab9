"""Pictures to a video."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from jaxtyping import UInt8

from worldloom.errors import ExportError
from worldloom.export import staged


def write_video(
    images: Iterator[UInt8[np.ndarray, "_ _ 3"]], path: Path, fps: float, crf: int
) -> None:
    """Writes an mp4 (H.264, BT.709) as its pictures come, whole or not at all.

    Args:
        images: Of one size with even sides, sRGB.
        path: The file.
        fps: Frames a second.
        crf: Quality as x264 counts it.

    Raises:
        ExportError: it cannot be written.
    """
    with staged(path) as temporary:
        try:
            _encode(images, temporary, fps, crf)
        except av.error.FFmpegError as error:
            raise ExportError(
                f"cannot write {path}: {error}; free space or choose another folder",
                path=str(path),
                format="mp4",
            ) from error


def _encode(images: Iterator[UInt8[np.ndarray, "_ _ 3"]], path: Path, fps: float, crf: int) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    # One thread and no "mbtree", so that the same pictures make the same bytes anywhere.
    options = {"crf": str(crf), "threads": "1", "x264-params": "mbtree=0"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
