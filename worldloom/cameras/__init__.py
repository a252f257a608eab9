"""Cameras: intrinsics, poses, trajectories and the files that hold them."""

from worldloom.cameras._camera import Camera as Camera
from worldloom.cameras._files import TrajectoryFormat as TrajectoryFormat
from worldloom.cameras._files import load_colmap_points as load_colmap_points
from worldloom.cameras._files import load_poses as load_poses
from worldloom.cameras._files import load_trajectory as load_trajectory
from worldloom.cameras._files import save_trajectory as save_trajectory
from worldloom.cameras._interpolation import InterpolationMethod as InterpolationMethod
from worldloom.cameras._interpolation import interpolate_poses as interpolate_poses
from worldloom.cameras._intrinsics import CameraIntrinsics as CameraIntrinsics
from worldloom.cameras._pose import CameraPose as CameraPose
from worldloom.cameras._rotation import EulerDeg as EulerDeg
from worldloom.cameras._trajectory import CameraTrajectory as CameraTrajectory
from worldloom.cameras._undistortion import Undistortion as Undistortion
from worldloom.cameras._undistortion import undistortion as undistortion
