from dataclasses import replace

import cv2
import numpy as np
import pytest

from worldloom.cameras import Camera, CameraTrajectory, load_trajectory, undistortion
from worldloom.errors import TrajectoryError


@pytest.mark.data
def test_recorded_trajectories_load(shared_data):
    fox = load_trajectory(shared_data / "fox" / "transforms.json")
    assert len(fox) == 67
    assert fox.frame_names[:2] == ("images/0001.jpg", "images/0002.jpg")
    assert fox.name == "fox"
    lens = fox[0].intrinsics
    assert (lens.fx, lens.cy, lens.width_px, lens.height_px) == (1375.52, 965.268, 1080, 1920)
    assert lens.distortion == (0.0578421, -0.0805099, -0.000980296, 0.00015575, 0.0)
    # The phone was held upright and walked around the fox: views meet in front of the cameras.
    forward = np.stack([camera.forward_in_world for camera in fox])
    projector = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    target = np.linalg.solve(
        projector.sum(axis=0), (projector @ fox.centres_in_world[:, :, None]).sum(axis=0)
    )
    for camera in fox:
        assert camera.project(target.T)[1] > 0

    panorama = load_trajectory(shared_data / "worldstereo/subway/pano_bank/cameras.json")
    assert panorama.frame_indices == tuple(range(27))
    assert panorama.frame_names[26] == "0026"
    assert panorama.size_is_inferred
    assert (panorama[0].intrinsics.width_px, panorama[0].intrinsics.height_px) == (832, 480)
    assert np.abs(panorama.centres_in_world).max() == 0

    for count, place in ((21, "worldstereo/kitchen/renders/traj_left"), (100, "atrium/traj1")):
        path = load_trajectory(shared_data / place / "camera.json")
        assert len(path) == count
        rotations = path.world_from_cams[:, :3, :3]
        gram = rotations.transpose(0, 2, 1) @ rotations
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-12)
    assert load_trajectory(shared_data / "worldstereo/kitchen/renders/traj_up").name == "traj_up"
    with pytest.raises(TrajectoryError, match="folder holds"):
        load_trajectory(shared_data / "worldstereo")


@pytest.mark.data
def test_recorded_panorama_starts_where_its_videos_do(shared_data):
    scene = shared_data / "worldstereo" / "subway"
    panorama = load_trajectory(scene / "pano_bank" / "cameras.json")
    for video in sorted(scene.glob("view*/traj*/camera.json")):
        first = load_trajectory(video)[0].world_from_cam
        distance = np.abs(panorama.world_from_cams - first).max(axis=(1, 2))
        assert distance.min() < 1e-6, video


def epipolar_error_px(trajectory, images, first, second):
    """Median distance of matched features from their epipolar lines, by the known poses."""
    plan = undistortion(trajectory[0].intrinsics)
    detector = cv2.SIFT_create(1500)
    points, descriptors = [], []
    for position in (first, second):
        image = cv2.imread(str(images / trajectory.frame_names[position]), cv2.IMREAD_GRAYSCALE)
        keys, described = detector.detectAndCompute(plan.apply(image), None)
        points.append(np.array([(*key.pt, 0.5) for key in keys]) + 0.5)
        descriptors.append(described)
    pairs = cv2.BFMatcher().knnMatch(descriptors[0], descriptors[1], 2)
    good = [best for best, other in pairs if best.distance < 0.7 * other.distance]
    assert len(good) > 100
    left = points[0][[match.queryIdx for match in good]]
    right = points[1][[match.trainIdx for match in good]]
    move = trajectory[second].cam_from_world @ trajectory[first].world_from_cam
    essential = np.cross(move[:3, 3], move[:3, :3], axisb=0).T
    inverse = np.linalg.inv(plan.intrinsics.matrix)
    fundamental = inverse.T @ essential @ inverse
    lines = left @ fundamental.T
    back = right @ fundamental
    norm = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
    return float(np.median(np.abs((right * lines).sum(axis=1)) / norm))


@pytest.mark.data
def test_poses_and_lens_of_a_phone_video_fit_its_features(shared_data):
    fox = load_trajectory(shared_data / "fox" / "transforms.json")
    pair = [fox.frame_names.index(f"images/{name}.jpg") for name in ("0033", "0039")]
    assert epipolar_error_px(fox, shared_data / "fox", *pair) < 0.7
    bent = tuple(
        Camera(replace(camera.intrinsics, k1=0.0, k2=0.0, p1=0.0, p2=0.0), camera.world_from_cam)
        for camera in fox
    )
    straight = CameraTrajectory(bent, fox.frame_indices, fox.frame_names)
    assert epipolar_error_px(straight, shared_data / "fox", *pair) > 2
