"""Cameras in OpenUSD: one prim a trajectory, a time code a view."""

# pxr fills its modules from C++ when it is imported, where pyright cannot see it.
# pyright: reportAttributeAccessIssue=false

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from worldloom.cameras import Camera, CameraTrajectory

_APERTURE = 36.0
"""Width of the film, tenths of the unit of the world, as USD counts; only ratios matter."""
_USD_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])


def add_cameras(stage: Any, path: str, trajectory: CameraTrajectory) -> None:
    """Adds the views of each trajectory as one camera that moves: view k at time code k.

    Positions and quaternions are sampled, so that what players put in between stays rigid.
    Principal points off the middle become aperture offsets.

    Args:
        stage: The stage.
        path: Scope of the cameras.
        trajectory: Views named `trajectory/index`; others count as one trajectory.
    """
    from pxr import Sdf, Tf, UsdGeom

    UsdGeom.Scope.Define(stage, path)
    for name, cameras in _by_trajectory(trajectory).items():
        prim = UsdGeom.Camera.Define(
            stage, Sdf.Path(path).AppendChild(Tf.MakeValidIdentifier(name))
        )
        _sample(prim, cameras)
    longest = max(len(cameras) for cameras in _by_trajectory(trajectory).values())
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(longest - 1)
    stage.SetTimeCodesPerSecond(24)


def _by_trajectory(trajectory: CameraTrajectory) -> dict[str, list[Camera]]:
    names = trajectory.frame_names or ("",) * len(trajectory)
    groups: dict[str, list[Camera]] = {}
    for name, camera in zip(names, trajectory, strict=True):
        groups.setdefault(name.rpartition("/")[0] or trajectory.name, []).append(camera)
    return groups


def _sample(prim: Any, cameras: list[Camera]) -> None:
    from pxr import Gf, UsdGeom

    move = prim.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble)
    turn = prim.AddOrientOp(UsdGeom.XformOp.PrecisionDouble)
    matrices = np.stack([camera.world_from_cam[:3, :3] @ _USD_FROM_OPENCV for camera in cameras])
    quaternions = Rotation.from_matrix(matrices).as_quat(scalar_first=True)
    # q and -q turn alike, but what lies between two samples goes the long way round.
    for k in range(1, len(quaternions)):
        if quaternions[k] @ quaternions[k - 1] < 0:
            quaternions[k] *= -1
    for k, camera in enumerate(cameras):
        lens = camera.intrinsics
        move.Set(Gf.Vec3d(*camera.centre_in_world.tolist()), k)
        turn.Set(Gf.Quatd(*quaternions[k].tolist()), k)
        size = _APERTURE / lens.width_px
        focal = lens.fx * size
        # A pixel may be wider than high; the focal length is one, so the film takes it up.
        height = size * lens.fx / lens.fy
        prim.CreateFocalLengthAttr().Set(focal, k)
        prim.CreateHorizontalApertureAttr().Set(_APERTURE, k)
        prim.CreateVerticalApertureAttr().Set(lens.height_px * height, k)
        offset = (lens.width_px / 2 - lens.cx) * size
        prim.CreateHorizontalApertureOffsetAttr().Set(offset, k)
        prim.CreateVerticalApertureOffsetAttr().Set((lens.cy - lens.height_px / 2) * height, k)
