"""Writing a synthetic scene the way that recorded ones come: video, cameras, depth, truth mesh."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.cameras import save_trajectory
from worldloom.errors import ConfigError, ExportError
from worldloom.export import write_atomically, write_mesh
from worldloom.render import RenderedView
from worldloom.synthetic._scene import SyntheticScene

VIDEO_FILE = "video.mp4"
CAMERA_FILE = "camera.json"
DEPTH_FOLDER = "depth"
MESH_FILE = "gt_mesh.ply"
_FRAMES_PER_SECOND = 24


def write_scene(scene: SyntheticScene, folder: Path, every_depth: int = 2) -> None:
    """Renders a scene and writes `video.mp4`, `camera.json`, `depth/NNNN.png` and `gt_mesh.ply`.

    The video is H.264 (yuv420p, crf 14). `camera.json` has the WorldStereo form: world-to-camera,
    OpenCV axes, centre of the top-left pixel (0.5, 0.5). Depth is 16-bit, millimetres, 0 = unknown,
    named by frame number. Frames are held one at a time.

    Args:
        scene: The scene; its image sides must be even, which the video format asks for.
        folder: Where to write; made where it does not exist.
        every_depth: Depth is written for every k-th frame.

    Raises:
        ConfigError: an odd image side, or `every_depth` below 1.
        ExportError: a file cannot be written.
        TrajectoryError: `camera.json` cannot be written.
    """
    spec = scene.spec
    if spec.width_px % 2 or spec.height_px % 2:
        raise ConfigError(
            f"a video needs even sides, got {spec.width_px}x{spec.height_px}; change width_px "
            "or height_px",
            field="width_px",
        )
    if every_depth < 1:
        raise ConfigError(f"every_depth must be at least 1: {every_depth}", field="every_depth")
    depth_folder = folder / DEPTH_FOLDER
    try:
        depth_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot make {depth_folder}: {error.strerror}; choose another folder",
            path=str(depth_folder),
        ) from error
    save_trajectory(scene.trajectory, folder / CAMERA_FILE)
    write_mesh(scene.mesh, folder / MESH_FILE)
    images = _saving_depth(scene.frames(), depth_folder, every_depth)
    write_atomically(folder / VIDEO_FILE, encode_video(images, spec.width_px, spec.height_px))


def encode_video(
    images: Iterable[UInt8[np.ndarray, "_ _ 3"]], width_px: int, height_px: int, crf: int = 14
) -> bytes:
    """Encodes RGB images as H.264 in an mp4.

    One thread, so that the bytes do not depend on the machine's number of cores.

    Args:
        images: Frames, consumed one by one.
        width_px: Their width, even.
        height_px: Their height, even.
        crf: x264's quality; lower is better and larger, 14 is close to the original.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # Without "mbtree=0" the bytes differ between processes once rays have been cast in them.
        options = {
            "crf": str(crf),
            "preset": "medium",
            "threads": "1",
            "x264-params": "mbtree=0",
        }
        stream = container.add_stream("libx264", rate=_FRAMES_PER_SECOND, options=options)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def depth_png(depth_m: Float32[np.ndarray, "h w"]) -> bytes:
    """Encodes depth as a 16-bit PNG in millimetres; what does not fit is unknown (0)."""
    millimetres = np.rint(depth_m * 1000)
    millimetres = np.where(millimetres <= 65535, millimetres, 0).astype(np.uint16)
    return cv2.imencode(".png", millimetres)[1].tobytes()


def _saving_depth(
    views: Iterable[RenderedView], folder: Path, every: int
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yields the images of views, writing the depth of every k-th on the way."""
    for index, view in enumerate(views):
        if index % every == 0:
            write_atomically(folder / f"{index:04d}.png", depth_png(view.depth))
        yield view.image
