"""Reads a scene folder with nothing but numpy and trimesh: the formats are open."""

import argparse
import json
from pathlib import Path

import numpy as np
import trimesh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()

    manifest = json.loads((options.folder / "scene.json").read_text())
    print("counts:", manifest["counts"])
    if manifest["degraded"]:
        print(f"incomplete: {len(manifest['failures'])} work items could not be made")

    mesh = trimesh.load(options.folder / "mesh.ply", process=False)
    low, high = mesh.bounds
    print("mesh:", len(mesh.vertices), "vertices,", len(mesh.faces), "faces, size", high - low)

    cloud = trimesh.load(options.folder / "point_cloud.ply")
    print("cloud:", len(cloud.vertices), "points, mean colour", cloud.colors[:, :3].mean(axis=0))

    # cameras.json holds cam_from_world, OpenCV axes, pixel centres at (0.5, 0.5).
    cameras = json.loads((options.folder / "cameras.json").read_text())
    cam_from_world = np.array(cameras["extrinsic"])
    intrinsics = np.array(cameras["intrinsic"])
    world_from_cam = np.linalg.inv(cam_from_world)
    print("cameras:", len(cam_from_world), "first at", world_from_cam[0, :3, 3])

    # Where the first point is in the first view.
    point = np.append(cloud.vertices[0], 1.0)
    in_cam = (cam_from_world[0] @ point)[:3]
    x, y, _ = intrinsics[0] @ in_cam / in_cam[2]
    print(f"the first point lies at pixel ({x:.1f}, {y:.1f}), depth {in_cam[2]:.3f}")


if __name__ == "__main__":
    main()
