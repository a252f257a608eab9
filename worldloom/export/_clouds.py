"""Export of the point cloud of a scene."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from worldloom.errors import ExportError
from worldloom.export._axes import placement
from worldloom.export._cloud import CloudView
from worldloom.export._e57 import write_e57
from worldloom.export._files import staged
from worldloom.export._formats import format_of
from worldloom.export._las import write_las
from worldloom.export._pcd import write_pcd, write_pcd_text
from worldloom.export._ply import write_cloud_view
from worldloom.export._xyz import write_xyz
from worldloom.scene import ReconstructedScene

CloudFormat = Literal["ply", "pcd", "pcd-ascii", "xyz", "las", "laz", "e57"]
CLOUD_FORMATS: tuple[CloudFormat, ...] = get_args(CloudFormat)
_WRITERS: dict[CloudFormat, Callable[[CloudView, Path], None]] = {
    "ply": write_cloud_view,
    "pcd": write_pcd,
    "pcd-ascii": write_pcd_text,
    "xyz": write_xyz,
    "las": write_las,
    "laz": write_las,
    "e57": write_e57,
}


def export_point_cloud(
    scene: ReconstructedScene,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002, the word of the format's users
    include_colors: bool = True,
    include_normals: bool = True,
    *,
    up: str = "auto",
    axes: str = "format",
) -> Path:
    """Writes the point cloud of a scene.

    Args:
        scene: What `reconstruct_scene` or `load_scene` returned.
        path: File to write; without a suffix it gets that of `format`.
        format: ply, pcd (binary), pcd-ascii, xyz, las, laz or e57; None is told by the suffix.
        include_colors: Write colours.
        include_normals: Write normals; e57 holds none.
        up: Axis of the world that points up: x, y, z, -x, -y or -z; `auto` asks the cameras. It
            matters only where `axes` turns the world.
        axes: `format` and `world` keep the axes of the input, which none of these formats says
            anything about; `y-up` and `z-up` turn the world so that this axis points up.

    Returns:
        The file that was written.

    Raises:
        ExportError: the format is none of these or does not go with the suffix, the cloud is empty
            or not finite, or the file cannot be written.
        ConfigError: `up` or `axes` make no sense.
    """
    kind, file = format_of(Path(path), format, CLOUD_FORMATS, "point cloud")
    cloud = scene.point_cloud
    if not len(cloud):
        raise ExportError(
            "the point cloud has no points; there is nothing to write", path=str(file), format=kind
        )
    if not np.isfinite(cloud.points_in_world).all():
        raise ExportError(
            "the point cloud has positions that are not finite; clean it first",
            path=str(file),
            format=kind,
        )
    place = placement(scene.cameras, up, axes, "world")
    with staged(file) as temporary:
        _WRITERS[kind](CloudView(cloud, place, include_colors, include_normals), temporary)
    return file
