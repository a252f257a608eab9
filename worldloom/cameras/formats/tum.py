"""TUM: text lines `timestamp tx ty tz qx qy qz qw`, camera to world, OpenCV axes, no intrinsics.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Frames are numbered by line.
"""

from pathlib import Path

import numpy as np

from worldloom.cameras._rotation import matrix_from_quaternion
from worldloom.cameras._rotation import quaternion_from_matrix as quaternion_from
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import Lens, numbers, trajectory_from
from worldloom.cameras.formats._source import TrajectorySource, write_file

_COLUMNS = "timestamp tx ty tz qx qy qz qw"


def is_pose_line(line: str) -> bool:
    """Tells whether a line holds eight numbers."""
    words = line.replace(",", " ").split()
    try:
        return len([float(word) for word in words]) == 8
    except ValueError:
        return False


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads a TUM trajectory; the caller gives the intrinsics of all frames.

    Raises:
        TrajectoryError: there are no intrinsics, a line is no pose, or time runs backwards.
    """
    if source.intrinsics is None:
        raise source.origin.error(
            "TUM trajectories hold no intrinsics; pass intrinsics=CameraIntrinsics(...)"
        )
    poses = []
    time_s = -np.inf
    for number, line in enumerate(source.text().splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        origin = source.origin.at(len(poses))
        if not is_pose_line(line):
            raise origin.error(f"line {number} is not `{_COLUMNS}`: {line[:80]!r}; mend the line")
        values = [float(word) for word in line.replace(",", " ").split()]
        row = numbers(values, (8,), f"line {number}", origin)
        if row[0] < time_s:
            raise origin.error(f"line {number} is earlier than the line before; sort by timestamp")
        time_s = row[0]
        pose = np.eye(4)
        pose[:3, :3] = matrix_from_quaternion(row[[7, 4, 5, 6]], origin)
        pose[:3, 3] = row[1:4]
        poses.append(pose)
    return trajectory_from(source, poses, [Lens(source.intrinsics)] * len(poses))


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a TUM trajectory; the timestamp is the frame number, intrinsics are not kept.

    Raises:
        TrajectoryError: the file cannot be written.
    """
    lines = [f"# {_COLUMNS}"]
    for camera, index in zip(trajectory.cameras, trajectory.frame_indices, strict=True):
        w, x, y, z = quaternion_from(camera.world_from_cam[:3, :3])
        row = (*camera.centre_in_world, x, y, z, w)
        lines.append(" ".join([str(index), *(repr(float(value)) for value in row)]))
    write_file(path, ("\n".join(lines) + "\n").encode())
