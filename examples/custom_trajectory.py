"""Plans a camera path through a few key poses, saves it, and films a mesh along it."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from worldloom import (
    Camera,
    CameraIntrinsics,
    CameraPose,
    CameraTrajectory,
    interpolate_poses,
    save_trajectory,
)
from worldloom.render import MeshRenderer
from worldloom.synthetic import SceneSpec, build_scene, encode_video


def looking(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns `world_from_cam` of a level camera in a world whose y points up."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/path"))
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--width", type=int, default=320)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    mesh = build_scene(SceneSpec(layout="corner", frames=2)).mesh
    centre = mesh.vertices_in_world.mean(axis=0)
    reach = np.ptp(mesh.vertices_in_world, axis=0).max()
    places = [centre + reach * np.array(offset) for offset in ((0.2, 0.3, 0.9), (0.5, 0.5, 0.6))]
    places.append(centre + reach * np.array([0.9, 0.3, 0.2]))
    keys = [
        CameraPose(place, looking(place, centre)[:3, :3], index * (options.frames - 1) // 2)
        for index, place in enumerate(places)
    ]
    poses = interpolate_poses(keys, options.frames, method="spline")

    width, height = options.width, options.width * 3 // 4 // 2 * 2
    lens = CameraIntrinsics.from_fov_deg(70.0, width, height)
    trajectory = CameraTrajectory.from_poses(poses, lens)
    save_trajectory(trajectory, options.out / "camera.json", format="worldstereo")
    save_trajectory(trajectory, options.out / "transforms.json", format="transforms")

    renderer = MeshRenderer(mesh, background=(226, 229, 233))
    cameras: tuple[Camera, ...] = trajectory.cameras
    frames = [renderer.render(camera).image for camera in cameras]
    (options.out / "video.mp4").write_bytes(encode_video(frames, width, height))
    cv2.imwrite(str(options.out / "first.png"), cv2.cvtColor(frames[0], cv2.COLOR_RGB2BGR))
    print(f"{len(frames)} frames and their cameras in {options.out}")


if __name__ == "__main__":
    main()
