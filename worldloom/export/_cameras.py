"""Export of the cameras of a scene."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from worldloom.cameras import CameraTrajectory, save_trajectory
from worldloom.errors import ExportError
from worldloom.export._axes import Placement, placement
from worldloom.scene import ReconstructedScene


def export_cameras(
    scene: ReconstructedScene,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002, the word of the format's users
    *,
    up: str = "auto",
    axes: str = "format",
) -> Path:
    """Writes the cameras of a scene.

    Args:
        scene: What `reconstruct_scene` or `load_scene` returned.
        path: File to write; COLMAP: a folder.
        format: A `TrajectoryFormat`: worldstereo, worldstereo-panorama, worldmirror, transforms,
            colmap-binary, colmap-text, opencv or tum; None is told by the name.
        up: Axis of the world that points up: x, y, z, -x, -y or -z; `auto` asks the cameras.
        axes: `format` and `world` keep the world of the input; `y-up` and `z-up` turn it as they
            turn mesh and cloud, so that the cameras fit an exported obj (`y-up`).

    Returns:
        The file or folder that was written.

    Raises:
        TrajectoryError: the format is unknown or cannot hold the cameras, or the file cannot be
            written.
        ExportError: the folder cannot be made.
        ConfigError: `up` or `axes` make no sense.
    """
    file = Path(path)
    place = placement(scene.cameras, up, axes, "world")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot make {file.parent}: {error.strerror or error}; choose another folder",
            path=str(file),
        ) from error
    save_trajectory(_turned(scene.cameras, place), file, format=format)
    return file


def _turned(trajectory: CameraTrajectory, place: Placement) -> CameraTrajectory:
    if not place.is_turned:
        return trajectory
    turn = np.eye(4)
    turn[:3, :3] = place.turn
    cameras = (
        replace(camera, world_from_cam=turn @ camera.world_from_cam) for camera in trajectory
    )
    return replace(trajectory, cameras=tuple(cameras))
