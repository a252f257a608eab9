"""WorldMirror: the prior camera file, with camera-to-world poses by camera id.

`extrinsics` and `intrinsics` are lists of `{camera_id, matrix}`; OpenCV axes; K in pixels of the
original image, the centre of the top-left pixel at 0.5. A camera id is a frame number, or the file
name of the image without its extension.
"""

from pathlib import Path
from typing import cast

from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import (
    Lens,
    frame_order,
    lens_from_matrix,
    require_pinhole,
    rigid_transform,
    trajectory_from,
)
from worldloom.cameras.formats._source import TrajectorySource, write_json


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads a prior camera file.

    Raises:
        TrajectoryError: a key is missing, ids do not pair up, or a matrix is wrong.
    """
    document = source.json_object()
    poses = _by_id(document, "extrinsics", source.origin)
    names = list(poses)
    transforms = [
        rigid_transform(poses[name], "extrinsics", source.origin.at(name)) for name in names
    ]
    if source.intrinsics is not None:
        lenses = [Lens(source.intrinsics)] * len(names)
        return trajectory_from(source, transforms, lenses, frame_order(names))
    calibrations = _by_id(document, "intrinsics", source.origin)
    if set(poses) != set(calibrations):
        lonely = min(set(poses) ^ set(calibrations))
        raise source.origin.at(lonely).error(
            f"{len(poses)} extrinsics and {len(calibrations)} intrinsics do not pair up: this "
            "camera_id has only one of them; write both for every camera"
        )
    return trajectory_from(
        source,
        transforms,
        [
            lens_from_matrix(
                calibrations[name], source.image_size, "intrinsics", source.origin.at(name)
            )
            for name in names
        ],
        frame_order(names),
    )


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a prior camera file; frames without a name are known by their number.

    Raises:
        TrajectoryError: a lens is distorted, or the file cannot be written.
    """
    require_pinhole(trajectory, Origin(path), "WorldMirror's prior camera file")
    ids = trajectory.frame_names or tuple(str(index) for index in trajectory.frame_indices)
    write_json(
        path,
        {
            "num_cameras": len(trajectory),
            "extrinsics": [
                {"camera_id": name, "matrix": camera.world_from_cam.tolist()}
                for name, camera in zip(ids, trajectory, strict=True)
            ],
            "intrinsics": [
                {"camera_id": name, "matrix": camera.pixel_from_cam.tolist()}
                for name, camera in zip(ids, trajectory, strict=True)
            ],
        },
    )


def _by_id(document: dict[str, object], key: str, origin: Origin) -> dict[str, object]:
    entries = document.get(key)
    if not isinstance(entries, list):
        raise origin.error(
            f"has no list {key!r} of {{camera_id, matrix}} (it has {sorted(document)}); add it"
        )
    matrices: dict[str, object] = {}
    for position, value in enumerate(cast("list[object]", entries)):
        entry = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        if "camera_id" not in entry or "matrix" not in entry:
            raise origin.at(position).error(
                f"entry {position} of {key!r} needs camera_id and matrix; add what is missing"
            )
        name = str(entry["camera_id"])
        if name in matrices:
            raise origin.at(name).error(f"camera_id comes twice in {key!r}; remove one of them")
        matrices[name] = entry["matrix"]
    return matrices
