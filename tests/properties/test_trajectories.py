import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldloom.cameras import (
    Camera,
    CameraIntrinsics,
    CameraPose,
    CameraTrajectory,
    EulerDeg,
    TrajectoryFormat,
    interpolate_poses,
    load_trajectory,
    save_trajectory,
    undistortion,
)

quickly = settings(deadline=None, max_examples=40, derandomize=True)

coordinates = st.floats(-1e3, 1e3, allow_nan=False, width=64)
positions = arrays(np.float64, 3, elements=coordinates)
quaternions = (
    arrays(np.float64, 4, elements=st.floats(-1, 1))
    .filter(lambda q: np.linalg.norm(q) > 0.05)
    .map(lambda q: q / np.linalg.norm(q))
)
angles = st.floats(-180, 180)


# Strategies draw plain numbers, and tests build cameras of them: what the runtime type checker
# does while cameras are built must not happen inside of a strategy.
@st.composite
def lens_values(draw, distorted=False, longest=4096):
    width, height = draw(st.integers(16, longest)), draw(st.integers(16, longest))
    focal = draw(st.floats(0.3, 4)) * width
    values = {
        "fx": focal,
        "fy": focal * draw(st.floats(0.8, 1.25)),
        "cx": width * draw(st.floats(0.4, 0.6)),
        "cy": height * draw(st.floats(0.4, 0.6)),
        "width_px": width,
        "height_px": height,
    }
    if distorted:
        values |= {key: draw(st.floats(-0.02, 0.02)) for key in ("k1", "k2", "p1", "p2")}
    return values


def path_values(largest=5, distorted=False):
    poses = st.lists(st.tuples(positions, quaternions), min_size=1, max_size=largest)
    return st.tuples(poses, lens_values(distorted))


def trajectory(values):
    poses, lens = values
    numbered = [CameraPose(*pose, i) for i, pose in enumerate(poses)]
    return CameraTrajectory.from_poses(numbered, CameraIntrinsics(**lens))


def assert_rotation(matrix, atol=1e-13):
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=atol)
    assert np.linalg.det(matrix) > 0


@given(quaternions)
@quickly
def test_quaternion_to_matrix_and_back(quaternion):
    pose = CameraPose(np.zeros(3), quaternion)
    assert_rotation(pose.rotation_matrix)
    sign = 1 if np.dot(pose.quaternion_wxyz, quaternion) > 0 else -1
    np.testing.assert_allclose(pose.quaternion_wxyz, sign * quaternion, atol=1e-14)
    assert pose.quaternion_wxyz[0] >= 0
    again = CameraPose(np.zeros(3), pose.rotation_matrix)
    np.testing.assert_allclose(again.rotation_matrix, pose.rotation_matrix, atol=1e-15)


@given(quaternions)
@quickly
def test_quaternion_turns_vectors_as_hamilton_has_it(quaternion):
    w, v = quaternion[0], quaternion[1:]
    matrix = CameraPose(np.zeros(3), quaternion).rotation_matrix
    for x in np.eye(3):
        turned = x + 2 * np.cross(v, np.cross(v, x) + w * x)
        np.testing.assert_allclose(matrix @ x, turned, atol=1e-14)


@given(quaternions)
@quickly
def test_euler_angles_reproduce_every_rotation(quaternion):
    matrix = CameraPose(np.zeros(3), quaternion).rotation_matrix
    euler = CameraPose(np.zeros(3), matrix).euler_deg
    assert -90 - 1e-9 <= euler.pitch <= 90 + 1e-9
    np.testing.assert_allclose(CameraPose(np.zeros(3), euler).rotation_matrix, matrix, atol=2e-15)


@given(angles, st.sampled_from([-90.0, 90.0, 90 - 1e-9, -90 + 1e-7, 89.999]), angles)
@quickly
def test_euler_angles_hold_at_the_poles(roll, pitch, yaw):
    matrix = CameraPose(np.zeros(3), EulerDeg(roll, pitch, yaw)).rotation_matrix
    euler = CameraPose(np.zeros(3), matrix).euler_deg
    np.testing.assert_allclose(CameraPose(np.zeros(3), euler).rotation_matrix, matrix, atol=1e-14)


@given(angles, st.floats(-89, 89), angles)
@quickly
def test_euler_angles_to_matrix_and_back(roll, pitch, yaw):
    euler = CameraPose(np.zeros(3), EulerDeg(roll, pitch, yaw)).euler_deg
    for got, expected in ((euler.roll, roll), (euler.pitch, pitch), (euler.yaw, yaw)):
        assert abs((got - expected + 180) % 360 - 180) < 1e-10


@given(path_values())
@quickly
def test_inverse_and_projection(values):
    camera = trajectory(values)[0]
    identity = camera.cam_from_world @ camera.world_from_cam
    np.testing.assert_allclose(identity, np.eye(4), atol=1e-10)
    lens = camera.intrinsics
    pixels = np.array([[0.5, 0.5], [lens.width_px - 0.5, lens.height_px / 3], [lens.cx, lens.cy]])
    depths = np.array([0.1, 3.0, 50.0])
    points = camera.unproject(pixels, depths)
    back, depth = camera.project(points)
    np.testing.assert_allclose(depth, depths, atol=1e-9)
    np.testing.assert_allclose(back, pixels, atol=1e-8 * lens.fx / depths.min())


@given(path_values(), st.integers(8, 3000), st.integers(8, 3000))
@quickly
def test_resizing_an_image_moves_projections_with_it(values, width, height):
    path = trajectory(values)
    camera, small = path[0], path.resized(width, height)[0]
    lens = camera.intrinsics
    scale = np.array([width / lens.width_px, height / lens.height_px])
    points = camera.unproject(np.array([[1.0, 2.0], [7.0, 5.0]]), np.array([2.0, 9.0]))
    pixels, _ = camera.project(points)
    resized, _ = small.project(points)
    np.testing.assert_allclose(resized, pixels * scale, rtol=1e-9, atol=1e-6)
    again = small.resized(lens.width_px, lens.height_px).intrinsics
    np.testing.assert_allclose(again.matrix, lens.matrix, rtol=1e-12)


@given(path_values(largest=6), st.sampled_from(["linear", "spline", "bezier"]), st.data())
@quickly
def test_paths_pass_through_key_poses_and_stay_rotations(values, method, data):
    keys = trajectory(values).poses()
    for before, after in pairwise(keys):
        # Half a turn has no shortest way round, and splines of it are as good as arbitrary.
        cosine = (np.trace(before.rotation_matrix.T @ after.rotation_matrix) - 1) / 2
        assume(cosine > np.cos(np.radians(150)))
    times = sorted(data.draw(st.lists(st.floats(0, len(keys) - 1), max_size=6)))
    between = interpolate_poses(keys, times=times, method=method)
    for pose in between:
        assert_rotation(pose.rotation_matrix, atol=1e-12)
        assert np.isfinite(pose.position_in_world).all()
    passed = interpolate_poses(keys, len(keys), method=method)
    for pose, key in zip(passed, keys, strict=True):
        np.testing.assert_allclose(pose.world_from_cam, key.world_from_cam, atol=1e-8)
        assert pose.fov_deg == pytest.approx(key.fov_deg)


@given(lens_values(distorted=True, longest=500))
@settings(quickly, max_examples=15)
def test_undistortion_leaves_no_hole(values):
    lens = CameraIntrinsics(**values)
    diagonal = np.hypot(lens.width_px / lens.fx, lens.height_px / lens.fy)
    assume(diagonal < 2)
    plan = undistortion(lens)
    assert plan.valid.all()
    assert not plan.intrinsics.is_distorted


# Largest difference of an entry of the pose, relative to the size of the world.
TOLERANCE = {
    TrajectoryFormat.WORLDSTEREO: 1e-12,
    TrajectoryFormat.WORLDSTEREO_PANORAMA: 1e-12,
    TrajectoryFormat.WORLDMIRROR: 1e-15,
    TrajectoryFormat.TRANSFORMS: 1e-15,
    TrajectoryFormat.COLMAP_BINARY: 1e-12,
    TrajectoryFormat.COLMAP_TEXT: 1e-12,
    TrajectoryFormat.OPENCV: 1e-12,
    TrajectoryFormat.TUM: 1e-12,
}


@given(path_values(), st.sampled_from(list(TrajectoryFormat)))
@settings(quickly, max_examples=120)
def test_every_format_round_trips(values, kind):
    path = trajectory(values)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / ("a.xml" if kind is TrajectoryFormat.OPENCV else "file")
        save_trajectory(path, place, kind)
        lens = path[0].intrinsics
        options = {"intrinsics": lens} if kind is TrajectoryFormat.TUM else {}
        back = load_trajectory(place, image_size=(lens.width_px, lens.height_px), **options)
    size = max(1.0, np.abs(path.centres_in_world).max())
    difference = np.abs(back.world_from_cams - path.world_from_cams).max() / size
    assert difference <= TOLERANCE[kind]
    assert back.frame_indices == path.frame_indices
    assert not back.size_is_inferred
    for camera in back:
        np.testing.assert_allclose(camera.pixel_from_cam, path[0].pixel_from_cam, rtol=1e-13)
        assert camera.intrinsics.width_px == lens.width_px
        assert camera.intrinsics.height_px == lens.height_px


@given(
    path_values(distorted=True),
    st.sampled_from(["transforms", "opencv", "colmap-binary", "colmap-text"]),
)
@quickly
def test_distortion_round_trips(values, kind):
    path = trajectory(values)
    with tempfile.TemporaryDirectory() as folder:
        save_trajectory(path, Path(folder) / "file", kind)
        back = load_trajectory(Path(folder) / "file")
    for camera in back:
        assert camera.intrinsics.distortion == path[0].intrinsics.distortion
        np.testing.assert_allclose(camera.pixel_from_cam, path[0].pixel_from_cam, rtol=1e-13)


@given(path_values(), arrays(np.float64, (3, 3), elements=st.floats(-2e-4, 2e-4)))
@quickly
def test_rounding_of_a_file_is_removed(values, noise):
    path = trajectory(values)
    transform = path[0].world_from_cam.copy()
    transform[:3, :3] += noise
    mended = CameraTrajectory((Camera(path[0].intrinsics, transform),), (0,))[0].world_from_cam
    assert_rotation(mended[:3, :3])
    assert np.abs(mended - path[0].world_from_cam).max() < 1e-3
    np.testing.assert_array_equal(mended[:3, 3], transform[:3, 3])
