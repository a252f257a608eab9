"""Worldloom: 3D scenes from camera-controlled video, on a laptop or a cluster."""

from worldloom.api import reconstruct_files as reconstruct_files
from worldloom.api import reconstruct_scene as reconstruct_scene
from worldloom.cameras import Camera as Camera
from worldloom.cameras import CameraIntrinsics as CameraIntrinsics
from worldloom.cameras import CameraPose as CameraPose
from worldloom.cameras import CameraTrajectory as CameraTrajectory
from worldloom.cameras import interpolate_poses as interpolate_poses
from worldloom.cameras import load_trajectory as load_trajectory
from worldloom.cameras import save_trajectory as save_trajectory
from worldloom.config import ReconstructionConfig as ReconstructionConfig
from worldloom.errors import WorldloomError as WorldloomError
from worldloom.export import export_cameras as export_cameras
from worldloom.export import export_mesh as export_mesh
from worldloom.export import export_point_cloud as export_point_cloud
from worldloom.inline import InlineRunner as InlineRunner
from worldloom.panoramas import reconstruct_from_panorama as reconstruct_from_panorama
from worldloom.panoramas import reconstruct_panoramas as reconstruct_panoramas
from worldloom.scene import DepthMap as DepthMap
from worldloom.scene import Frame as Frame
from worldloom.scene import Mesh as Mesh
from worldloom.scene import PointCloud as PointCloud
from worldloom.scene import ReconstructedScene as ReconstructedScene
from worldloom.scene import Splats as Splats
from worldloom.scene import Texture as Texture
from worldloom.scene import UnwrappedMesh as UnwrappedMesh
