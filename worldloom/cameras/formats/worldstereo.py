"""WorldStereo: `camera.json` of a video, and `cameras.json` of a panorama bank.

Both hold `extrinsic` (world to camera, OpenCV axes) and `intrinsic` (K, pixels, the centre of the
top-left pixel at 0.5): the first as two lists over the frames, the second as an object by frame
name. The first may say the image size too (`width`, `height`).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import (
    Lens,
    frame_order,
    inverse,
    lens_from_matrix,
    require_pinhole,
    rigid_transform,
    trajectory_from,
)
from worldloom.cameras.formats._source import ImageSize, TrajectorySource, write_json

_log = logging.getLogger(__name__)


def read_video(source: TrajectorySource) -> CameraTrajectory:
    """Reads a `camera.json`.

    Raises:
        TrajectoryError: a key is missing, counts differ, or a matrix is wrong.
    """
    document = source.json_object()
    extrinsics = _list(document, "extrinsic", source.origin)
    origins = [source.origin.at(index) for index in range(len(extrinsics))]
    poses = [
        inverse(rigid_transform(matrix, "extrinsic", origin))
        for matrix, origin in zip(extrinsics, origins, strict=True)
    ]
    if source.intrinsics is not None:
        return trajectory_from(source, poses, [Lens(source.intrinsics)] * len(poses))
    intrinsics = _list(document, "intrinsic", source.origin)
    if len(extrinsics) != len(intrinsics):
        raise source.origin.error(
            f"{len(extrinsics)} extrinsic but {len(intrinsics)} intrinsic matrices; write one of "
            "each a frame"
        )
    size = _size(document, source)
    lenses = [
        lens_from_matrix(matrix, size, "intrinsic", origin)
        for matrix, origin in zip(intrinsics, origins, strict=True)
    ]
    return trajectory_from(source, poses, lenses)


def read_panorama(source: TrajectorySource) -> CameraTrajectory:
    """Reads the `cameras.json` of a panorama bank; frames are ordered by name.

    Raises:
        TrajectoryError: a key is missing, or a matrix is wrong.
    """
    document = source.json_object()
    poses, lenses = [], []
    for name, entry in document.items():
        origin = source.origin.at(name)
        if not isinstance(entry, dict):
            raise origin.error("is no object with extrinsic and intrinsic; mend the file")
        matrices = cast("dict[str, object]", entry)
        given = source.intrinsics
        for key in ("extrinsic",) if given else ("extrinsic", "intrinsic"):
            if key not in matrices:
                raise origin.error(f"has no {key!r}; add the matrix")
        poses.append(inverse(rigid_transform(matrices["extrinsic"], "extrinsic", origin)))
        lenses.append(
            Lens(given)
            if given
            else lens_from_matrix(matrices["intrinsic"], source.image_size, "intrinsic", origin)
        )
    order = frame_order(list(document))
    return trajectory_from(source, poses, lenses, order)


def write_video(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a `camera.json`. It holds neither image size nor frame numbers nor names.

    Raises:
        TrajectoryError: a lens is distorted, or the file cannot be written.
    """
    require_pinhole(trajectory, Origin(path), "WorldStereo's camera.json")
    if trajectory.frame_indices != tuple(range(len(trajectory))):
        _log.warning(
            "%s: camera.json counts frames from 0 without gaps; the frame numbers %d to %d of %s "
            "are not kept",
            path,
            trajectory.frame_indices[0],
            trajectory.frame_indices[-1],
            trajectory.name,
        )
    write_json(
        path,
        {
            "extrinsic": [camera.cam_from_world.tolist() for camera in trajectory],
            "intrinsic": [camera.pixel_from_cam.tolist() for camera in trajectory],
        },
    )


def write_panorama(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a `cameras.json`; frames without a name are named by their number.

    Raises:
        TrajectoryError: a lens is distorted, or the file cannot be written.
    """
    require_pinhole(trajectory, Origin(path), "WorldStereo's cameras.json")
    names = trajectory.frame_names or tuple(f"{index:04d}" for index in trajectory.frame_indices)
    write_json(
        path,
        {
            name: {
                "intrinsic": camera.pixel_from_cam.tolist(),
                "extrinsic": camera.cam_from_world.tolist(),
            }
            for name, camera in zip(names, trajectory, strict=True)
        },
    )


def _size(document: dict[str, object], source: TrajectorySource) -> ImageSize | None:
    width, height = document.get("width"), document.get("height")
    if width is None or height is None:
        return source.image_size
    if not isinstance(width, int) or not isinstance(height, int):
        raise source.origin.error(f"image size {width} x {height} is not whole; write whole pixels")
    return width, height


def _list(document: dict[str, object], key: str, origin: Origin) -> Sequence[object]:
    if key not in document:
        raise origin.error(f"has no {key!r} (it has {sorted(document)}); add the matrices")
    value = document[key]
    if not isinstance(value, list):
        raise origin.error(f"{key!r} is no list of matrices; write one a frame")
    return cast("list[object]", value)
