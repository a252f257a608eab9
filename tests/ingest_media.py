"""Tiny videos, images and trajectory files in which every frame shows its own number."""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from jaxtyping import UInt8

WIDTH_PX, HEIGHT_PX = 64, 48
_BITS = 8
_CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}


def coded_image(
    number: int, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns an image whose upper half shows a number in binary, and whose lower half is red."""
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[height_px // 2 :] = (200, 40, 40)
    for bit in range(_BITS):
        if number >> bit & 1:
            image[: height_px // 2, bit * width_px // _BITS : (bit + 1) * width_px // _BITS] = 255
    return image


def number_shown(image: UInt8[np.ndarray, "h w 3"]) -> int:
    """Reads the number of a coded image, which may have been compressed."""
    height_px, width_px = image.shape[:2]
    blocks = image[: height_px // 2].mean(axis=(0, 2)).reshape(_BITS, width_px // _BITS)
    levels = blocks[:, 2:-2].mean(axis=1)
    return sum(1 << bit for bit, level in enumerate(levels) if level > 128)


def write_video(
    path: Path,
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    *,
    codec: str | None = None,
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encodes a video with B-frames.

    Args:
        path: Where to; the suffix gives the container.
        images: Frames.
        codec: Encoder; by default that of the container.
        ticks: Time stamp of each frame in 1/1000 s; by default 16 frames a second.
        options: Options of the encoder.
        container_options: Options of the container.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec or _CODECS[path.suffix], rate=16)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "12", "bf": "2", "g": "12", **(options or {})}
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = ticks[number] if ticks is not None else round(number * 62.5)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def coded_video(path: Path, frames: int, **options: Any) -> Path:
    """Encodes the numbers 0, 1, 2, ..."""
    return write_video(path, [coded_image(number) for number in range(frames)], **options)


def hole_image(
    left: int, right: int, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a mask image: white (no data) in the columns from `left` to below `right`."""
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[:, left:right] = 255
    return image


def write_image(path: Path, image: UInt8[np.ndarray, "h w c"]) -> Path:
    """Writes an RGB or RGBA image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = [2, 1, 0, 3][: image.shape[2]]
    assert cv2.imwrite(str(path), image[..., order])
    return path


def coded_folder(folder: Path, frames: int, suffix: str = ".png", **size: int) -> Path:
    """Writes the numbers 0, 1, 2, ... as images."""
    for number in range(frames):
        write_image(folder / f"frame{number}{suffix}", coded_image(number, **size))
    return folder


def extrinsics(frames: int, step: float = 0.1, start: float = 0.0) -> list[list[list[float]]]:
    """Returns world-to-camera transforms of cameras that move along x."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, 0, 3] = -(start + step * np.arange(frames))
    return poses.tolist()


def write_camera_json(
    path: Path,
    frames: int,
    *,
    width_px: float = WIDTH_PX,
    height_px: float = HEIGHT_PX,
    step: float = 0.1,
    start: float = 0.0,
    **more: object,
) -> Path:
    """Writes a WorldStereo trajectory of cameras that move along x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = [[60.0, 0.0, width_px / 2], [0.0, 60.0, height_px / 2], [0.0, 0.0, 1.0]]
    poses = extrinsics(frames, step, start)
    content = {"extrinsic": poses, "intrinsic": [matrix] * frames, **more}
    path.write_text(json.dumps(content))
    return path


def write_transforms_json(path: Path, names: Sequence[str], **more: object) -> Path:
    """Writes an instant-ngp dataset of cameras that move along x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames: list[dict[str, object]] = []
    for number, name in enumerate(names):
        world_from_cam = np.diag([1.0, -1.0, -1.0, 1.0])
        world_from_cam[0, 3] = 0.1 * number
        frames.append({"file_path": name, "transform_matrix": world_from_cam.tolist()})
    lens = {"fl_x": 60.0, "fl_y": 60.0, "cx": WIDTH_PX / 2, "cy": HEIGHT_PX / 2}
    size = {"w": WIDTH_PX, "h": HEIGHT_PX}
    path.write_text(json.dumps({**lens, **size, **more, "frames": frames}))
    return path


def coded_scene(folder: Path, frames: int = 6, start: float = 0.0) -> Path:
    """Writes a video and its trajectory."""
    coded_video(folder / "video.mp4", frames)
    write_camera_json(folder / "camera.json", frames, start=start)
    return folder
