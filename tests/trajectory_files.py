"""Trajectories, and the files that hold them, for tests."""

import json

import numpy as np
import pytest

from worldloom.cameras import (
    CameraIntrinsics,
    CameraPose,
    CameraTrajectory,
    EulerDeg,
    TrajectoryFormat,
    load_trajectory,
)
from worldloom.errors import TrajectoryError

PINHOLE = CameraIntrinsics(100.5, 110.25, 64.0, 48.0, 128, 96)
OPENCV = CameraIntrinsics(100.5, 110.25, 60.0, 50.0, 128, 96, 0.1, -0.02, 0.001, -0.002)
IDENTITY = np.eye(4).tolist()
K = [[100.0, 0, 64], [0, 100, 48], [0, 0, 1]]
FILES = {
    TrajectoryFormat.WORLDSTEREO: "camera.json",
    TrajectoryFormat.WORLDSTEREO_PANORAMA: "cameras.json",
    TrajectoryFormat.WORLDMIRROR: "camera_params.json",
    TrajectoryFormat.TRANSFORMS: "transforms.json",
    TrajectoryFormat.COLMAP_BINARY: "model",
    TrajectoryFormat.COLMAP_TEXT: "text_model",
    TrajectoryFormat.OPENCV: "cameras.yml",
    TrajectoryFormat.TUM: "path.tum",
}


def arc(lens=PINHOLE, count=4, **options):
    poses = [
        CameraPose([i * 0.3, -i, i**2], EulerDeg(10 * i, -5 * i, 80 * i), i) for i in range(count)
    ]
    path = CameraTrajectory.from_poses(poses, lens)
    return CameraTrajectory(path.cameras, path.frame_indices, **options)


def written(path, document):
    path.write_text(json.dumps(document))
    return path


def refused(path, match, **options):
    with pytest.raises(TrajectoryError, match=match) as caught:
        load_trajectory(path, **options)
    assert str(path.name) in str(caught.value)
    return caught.value


# What each format says of one and the same camera: at (1, 2, 3), turned 90° to the right about
# the world's y, so that it looks along +x. Written by hand from the definition of each format.
