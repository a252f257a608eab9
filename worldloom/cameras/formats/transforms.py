"""nerfstudio and instant-ngp: `transforms.json`, camera-to-world with OpenGL axes.

Axes: +x right, +y up, +z backwards. Intrinsics stand at the top or in each frame: `fl_x fl_y cx cy
w h`, or `camera_angle_x`/`camera_angle_y` (radians), and Brown-Conrady distortion `k1 k2 p1 p2 k3`.
The centre of the top-left pixel is (0.5, 0.5): both programs sample pixel x at x + 0.5.
nerfstudio's `applied_transform` and `applied_scale`, what was done to the world of the original
data, are undone, so that poses come back in that world.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from jaxtyping import Float64

from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import (
    Lens,
    frame_names,
    frame_order,
    inverse,
    lens_from_numbers,
    rigid_transform,
    trajectory_from,
)
from worldloom.cameras.formats._source import ImageSize, TrajectorySource, write_json

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Turns camera coordinates between the two conventions, either way."""

_PINHOLE_MODELS = {"", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"}
_PANORAMA_MODEL = "EQUIRECTANGULAR"


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads a `transforms.json`; frames are ordered by file name, as both programs do.

    Raises:
        TrajectoryError: a key is missing, a matrix is wrong, or the lens is no pinhole lens.
    """
    document = source.json_object()
    listed = document.get("frames")
    if not isinstance(listed, list):
        raise source.origin.error(
            f"has no list 'frames' (it has {sorted(document)}); give a transforms.json"
        )
    image_size = source.image_size or _pictured_size(source.path.parent, document)
    names: list[str] = []
    poses: list[Float64[np.ndarray, "4 4"]] = []
    lenses: list[Lens] = []
    for position, value in enumerate(cast("list[object]", listed)):
        if not isinstance(value, dict):
            raise source.origin.at(position).error("is no object; mend the file")
        frame = cast("dict[str, object]", value)
        if isinstance(frame.get("file_path"), str):
            names.append(str(frame["file_path"]))
        origin = source.origin.at(str(frame.get("file_path", position)))
        if "transform_matrix" not in frame:
            raise origin.error("has no 'transform_matrix'; add its pose or remove the frame")
        pose = rigid_transform(frame["transform_matrix"], "transform_matrix", origin)
        poses.append(pose @ OPENGL_FROM_OPENCV)
        given = source.intrinsics
        entries = {**document, **frame}
        lenses.append(Lens(given) if given else _lens(entries, image_size, origin))
    if names and len(names) != len(poses):
        raise source.origin.error(
            f"{len(names)} of {len(poses)} frames have a file_path; give it to all or to none"
        )
    poses = _in_original_world(poses, document, source.origin)
    order = frame_order(names) if names else None
    return trajectory_from(source, poses, lenses, order)


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a `transforms.json`; frames without a name are named by their number.

    Raises:
        TrajectoryError: the file cannot be written.
    """
    lenses = [camera.intrinsics for camera in trajectory]
    with_size = not trajectory.size_is_inferred
    shared = len(set(lenses)) == 1
    document: dict[str, object] = {"camera_model": "OPENCV"}
    if shared:
        document |= _lens_entries(lenses[0], with_size)
    frames: list[dict[str, object]] = []
    for name, camera in zip(frame_names(trajectory), trajectory, strict=True):
        frame: dict[str, object] = {"file_path": name}
        if not shared:
            frame |= _lens_entries(camera.intrinsics, with_size)
        frame["transform_matrix"] = (camera.world_from_cam @ OPENGL_FROM_OPENCV).tolist()
        frames.append(frame)
    write_json(path, {**document, "frames": frames})


def _lens_entries(lens: CameraIntrinsics, with_size: bool) -> dict[str, object]:
    entries: dict[str, object] = {
        "fl_x": lens.fx,
        "fl_y": lens.fy,
        "cx": lens.cx,
        "cy": lens.cy,
    }
    if with_size:
        entries |= {"w": lens.width_px, "h": lens.height_px}
    for key in ("k1", "k2", "p1", "p2", "k3"):
        entries[key] = dict(k1=lens.k1, k2=lens.k2, p1=lens.p1, p2=lens.p2, k3=lens.k3)[key]
    return entries


def _lens(entries: dict[str, object], image_size: ImageSize | None, origin: Origin) -> Lens:
    model = str(entries.get("camera_model", ""))
    if model == _PANORAMA_MODEL:
        raise origin.error(
            "its pictures are panoramas; give them to `worldloom panorama`, or to "
            "reconstruct_from_panorama"
        )
    if model not in _PINHOLE_MODELS or entries.get("is_fisheye"):
        raise origin.error(
            f"camera model {model or 'fisheye'!r} is not supported; undistort the images to a "
            "pinhole camera first"
        )
    if _number(entries, "k4", origin):
        raise origin.error("distortion k4 is not supported; undistort the images first")
    size = _size(entries, image_size, origin)
    cx, cy = _number(entries, "cx", origin), _number(entries, "cy", origin)
    if size is not None:
        cx = size[0] / 2 if cx is None else cx
        cy = size[1] / 2 if cy is None else cy
    if cx is None or cy is None:
        raise origin.error(
            "holds neither the image size (w, h) nor the principal point (cx, cy), and none of its "
            "images is there; add w and h, or pass image_size=(width, height)"
        )
    width = 2 * cx if size is None else float(size[0])
    height = 2 * cy if size is None else float(size[1])
    fx = _focal_px(entries, "fl_x", "camera_angle_x", width, origin)
    fy = _focal_px(entries, "fl_y", "camera_angle_y", height, origin)
    if fx is None and fy is None:
        raise origin.error("has no focal length; add fl_x and fl_y, or camera_angle_x")
    lens = {"fx": fx or fy or 0.0, "fy": fy or fx or 0.0, "cx": cx, "cy": cy}
    lens |= {key: _number(entries, key, origin) or 0.0 for key in ("k1", "k2", "p1", "p2", "k3")}
    return lens_from_numbers(lens, size, "intrinsics", origin)


def _pictured_size(folder: Path, document: dict[str, object]) -> ImageSize | None:
    """Returns the size of the first picture there is, where the file says nothing about sizes.

    So it is in the files of the original NeRF's synthetic scenes, which leave out the suffix too.
    """
    frames = cast("list[object]", document["frames"])
    entries = [cast("dict[str, object]", frame) for frame in frames if isinstance(frame, dict)]
    if any({"w", "cx"} & entry.keys() for entry in (document, *entries)):
        return None
    for entry in entries:
        for suffix in ("", ".png", ".jpg"):
            picture = folder / f"{entry.get('file_path', '')}{suffix}"
            pixels = cv2.imread(str(picture)) if picture.is_file() else None
            if pixels is not None:
                return pixels.shape[1], pixels.shape[0]
    return None


def _size(
    entries: dict[str, object], image_size: ImageSize | None, origin: Origin
) -> ImageSize | None:
    width, height = _number(entries, "w", origin), _number(entries, "h", origin)
    if width is None or height is None:
        return image_size
    if width != int(width) or height != int(height):
        raise origin.error(f"image size {width}x{height} is not whole; write whole pixels")
    return int(width), int(height)


def _focal_px(
    entries: dict[str, object], focal: str, angle: str, extent_px: float, origin: Origin
) -> float | None:
    given = _number(entries, focal, origin)
    if given is not None:
        return given
    angle_rad = _number(entries, angle, origin)
    if angle_rad is None:
        return None
    if not 0 < angle_rad < math.pi:
        raise origin.error(f"{angle} is {angle_rad:.6g}; give radians within 0 and pi")
    return extent_px / (2 * math.tan(angle_rad / 2))


def _number(entries: dict[str, object], key: str, origin: Origin) -> float | None:
    value = entries.get(key)
    if value is None:
        return None
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        # JSON may hold whole numbers that no float can.
        with suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number):
        shown = str(value)[:40] if isinstance(value, int) else repr(value)
        raise origin.error(f"{key} is {shown}, not a finite number; mend the file")
    return number


def _in_original_world(
    poses: list[Float64[np.ndarray, "4 4"]], document: dict[str, object], origin: Origin
) -> list[Float64[np.ndarray, "4 4"]]:
    scale = _number(document, "applied_scale", origin)
    scale = 1.0 if scale is None else scale
    if scale <= 0:
        raise origin.error(f"applied_scale is {scale:.6g}; it must be positive")
    matrix = document.get("applied_transform")
    if matrix is None and scale == 1.0:
        return poses
    file_from_original = np.eye(4)
    if matrix is not None:
        file_from_original = rigid_transform(matrix, "applied_transform", origin)
    original: list[Float64[np.ndarray, "4 4"]] = []
    for pose in poses:
        unscaled = pose.copy()
        unscaled[:3, 3] /= scale
        original.append(inverse(file_from_original) @ unscaled)
    return original
