import math
import pickle
from types import ModuleType

import cv2
import numpy as np
import pytest

import worldloom.cameras
from worldloom.cameras import (
    Camera,
    CameraIntrinsics,
    CameraPose,
    CameraTrajectory,
    EulerDeg,
    interpolate_poses,
    undistortion,
)
from worldloom.codec import from_json, to_json
from worldloom.errors import TrajectoryError

LENS = CameraIntrinsics(100.0, 110.0, 64.0, 48.0, 128, 96)


def trajectory(*centres: float, **options: object) -> CameraTrajectory:
    cameras = []
    for x in centres:
        pose = np.eye(4)
        pose[0, 3] = x
        cameras.append(Camera(LENS, pose))
    return CameraTrajectory(tuple(cameras), tuple(range(len(centres))), **options)


# Each case is the turn of the camera and where its axes then point in the world.
@pytest.mark.parametrize(
    ("euler", "axis", "expected"),
    [
        ({"roll": 0, "pitch": 0, "yaw": 90}, "forward", [1, 0, 0]),
        ({"roll": 0, "pitch": 90, "yaw": 0}, "forward", [0, -1, 0]),
        ({"roll": 90, "pitch": 0, "yaw": 0}, "right", [0, 1, 0]),
        ({"roll": 0, "pitch": 45, "yaw": 90}, "forward", [math.sqrt(0.5), -math.sqrt(0.5), 0]),
    ],
)
def test_euler_angles_turn_right_up_and_clockwise(euler, axis, expected):
    matrix = CameraPose([0, 0, 0], euler).rotation_matrix
    column = {"right": 0, "forward": 2}[axis]
    np.testing.assert_allclose(matrix[:, column], expected, atol=1e-15)


def test_all_forms_of_a_rotation_agree():
    by_euler = CameraPose([1, 2, 3], EulerDeg(roll=10, pitch=-20, yaw=130))
    by_matrix = CameraPose([1, 2, 3], by_euler.rotation_matrix)
    by_quaternion = CameraPose([1, 2, 3], list(-by_euler.quaternion_wxyz))
    for pose in (by_matrix, by_quaternion):
        np.testing.assert_allclose(pose.rotation_matrix, by_euler.rotation_matrix, atol=1e-15)
        np.testing.assert_allclose(pose.quaternion_wxyz, by_euler.quaternion_wxyz, atol=1e-15)
    assert by_matrix.euler_deg.yaw == pytest.approx(130)
    assert by_matrix.euler_deg.pitch == pytest.approx(-20)
    assert by_matrix.euler_deg.roll == pytest.approx(10)
    assert by_quaternion.quaternion_wxyz[0] > 0


def test_quaternion_is_scalar_first():
    half = math.sqrt(0.5)
    pose = CameraPose([0, 0, 0], [half, 0, half, 0])
    np.testing.assert_allclose(pose.rotation_matrix @ [0, 0, 1], [1, 0, 0], atol=1e-15)


def test_pose_is_immutable():
    pose = CameraPose([0, 0, 0])
    with pytest.raises(ValueError, match="read-only"):
        pose.position_in_world[0] = 1


@pytest.mark.parametrize(
    ("position", "rotation", "message"),
    [
        ([0, 0, math.nan], [1, 0, 0, 0], "3 finite numbers"),
        ([0, 0], [1, 0, 0, 0], "3 finite numbers"),
        ([0, 0, 0], [1, 0, 0, math.nan], "not finite"),
        ([0, 0, 0], [0, 0, 0, 0], "length 0"),
        ([0, 0, 0], [1, 1, 0, 0], "length 1.41"),
        ([0, 0, 0], [10, 20, 30], "Euler degrees by name"),
        ([0, 0, 0], {"roll": 0, "pitch": 0}, "exactly roll, pitch and yaw"),
        ([0, 0, 0], {"roll": 0, "pitch": 0, "yaw": math.inf}, "finite"),
        ([0, 0, 0], EulerDeg(yaw=math.nan), "finite"),
        ([0, 0, 0], np.diag([1.0, 1.0, -1.0]), "reflection"),
        ([0, 0, 0], np.diag([2.0, 2.0, 2.0]), "scale of 2"),
        ([0, 0, 0], np.diag([1.0, 2.0, 1.0]), "not a rotation"),
        ([0, 0, 0], np.zeros((3, 3)), "not a rotation"),
        ([0, 0, 0], np.full((3, 3), np.nan), "not finite"),
        ([0, 0, 0], np.eye(4), "ambiguous"),
    ],
)
def test_pose_rejects(position, rotation, message):
    with pytest.raises(TrajectoryError, match=message) as caught:
        CameraPose(position, rotation, frame_index=7)
    assert caught.value.ids["frame"] == 7
    assert pickle.loads(pickle.dumps(caught.value)).ids == caught.value.ids


@pytest.mark.parametrize("fov_deg", [0, 180, -1, math.nan])
def test_pose_rejects_field_of_view(fov_deg):
    with pytest.raises(TrajectoryError, match="field of view"):
        CameraPose([0, 0, 0], fov_deg=fov_deg)


def test_pose_rejects_negative_frame():
    with pytest.raises(TrajectoryError, match="start at 0"):
        CameraPose([0, 0, 0], frame_index=-1)


def test_trajectory_makes_rotations_orthonormal():
    pose = np.eye(4)
    pose[:3, :3] = np.round(CameraPose([0, 0, 0], EulerDeg(5, 6, 7)).rotation_matrix, 4)
    checked = CameraTrajectory((Camera(LENS, pose),), (0,))[0].world_from_cam[:3, :3]
    np.testing.assert_allclose(checked.T @ checked, np.eye(3), atol=1e-14)
    assert np.abs(checked - pose[:3, :3]).max() < 1e-4


def test_trajectory_keeps_exact_rotations_bit_for_bit():
    pose = CameraPose([1, 2, 3], EulerDeg(5, 6, 7)).world_from_cam
    assert CameraTrajectory((Camera(LENS, pose),), (0,))[0].world_from_cam is pose


def test_trajectory_is_a_sequence():
    path = trajectory(0, 1, 1, 2)
    assert len(path) == 4
    assert [camera.world_from_cam[0, 3] for camera in path] == [0, 1, 1, 2]
    np.testing.assert_array_equal(path.centres_in_world[:, 0], [0, 1, 1, 2])
    assert path.every(2).frame_indices == (0, 2)
    named = trajectory(0, 1, 2, frame_names=("a", "b", "c"), name="t")
    assert named.subset([0, 2]).frame_names == ("a", "c")
    assert named.subset([0, 2]).name == "t"


def test_trajectory_survives_json():
    path = trajectory(0, 1, name="t", size_is_inferred=True)
    back = from_json(to_json(path), CameraTrajectory)
    np.testing.assert_array_equal(back.world_from_cams, path.world_from_cams)
    assert (back.name, back.size_is_inferred, back[0].intrinsics) == ("t", True, LENS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.__setitem__((0, 3), np.nan), "not finite"),
        (lambda p: p.__setitem__((3, 0), 1.0), "last row"),
        (lambda p: p.__setitem__((0, 0), -1.0), "reflection"),
        (lambda p: p.__setitem__((0, 0), 3.0), "not a rotation"),
    ],
)
def test_trajectory_rejects_a_pose_and_names_the_frame(change, message):
    pose = np.eye(4)
    change(pose)
    cameras = (Camera(LENS, np.eye(4)), Camera(LENS, pose))
    with pytest.raises(TrajectoryError, match=message) as caught:
        CameraTrajectory(cameras, (4, 9), name="left")
    assert caught.value.ids == {"path": "left", "frame": 9}
    assert "left, frame 9" in str(caught.value)


def test_trajectory_rejects_wrong_counts_and_order():
    camera = Camera(LENS, np.eye(4))
    with pytest.raises(TrajectoryError, match="empty"):
        CameraTrajectory((), ())
    with pytest.raises(TrajectoryError, match="1 cameras but 2 frame indices"):
        CameraTrajectory((camera,), (0, 1))
    with pytest.raises(TrajectoryError, match="2 cameras but 1 frame names"):
        CameraTrajectory((camera, camera), (0, 1), ("a",))
    for indices in ((1, 1), (1, 0), (-1, 0)):
        with pytest.raises(TrajectoryError, match="must increase"):
            CameraTrajectory((camera, camera), indices)
    with pytest.raises(TrajectoryError, match="no camera at position 2"):
        CameraTrajectory((camera, camera), (0, 1)).subset([0, 2])
    with pytest.raises(TrajectoryError, match="1 or more"):
        CameraTrajectory((camera, camera), (0, 1)).every(0)


def test_poses_round_trip_and_field_of_view_zooms():
    poses = [CameraPose([i, 0, 0], EulerDeg(yaw=10 * i), i * 3) for i in range(3)]
    path = CameraTrajectory.from_poses(poses, LENS, name="arc")
    again = CameraTrajectory.from_poses(path.poses(), LENS)
    np.testing.assert_array_equal(path.world_from_cams, again.world_from_cams)
    assert path.frame_indices == again.frame_indices == (0, 3, 6)
    assert again[0].intrinsics == LENS
    zoomed = CameraTrajectory.from_poses([CameraPose([0, 0, 0], fov_deg=90)], LENS)[0].intrinsics
    assert zoomed.fx == pytest.approx(64)
    assert zoomed.fy / zoomed.fx == pytest.approx(1.1)
    with pytest.raises(TrajectoryError, match="3 poses but 2 intrinsics"):
        CameraTrajectory.from_poses(poses, [LENS, LENS])


def test_intrinsics_from_field_of_view():
    lens = CameraIntrinsics.from_fov_deg(90, 640, 480)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((320, 320, 320, 240))
    assert lens.fov_deg == pytest.approx(90)
    with pytest.raises(TrajectoryError, match="field of view"):
        CameraIntrinsics.from_fov_deg(180, 640, 480)
    with pytest.raises(TrajectoryError, match="field of view"):
        lens.with_fov_deg(0)


def test_inferred_size_is_replaced_but_not_a_known_one():
    inferred = trajectory(0, 1, size_is_inferred=True)
    real = inferred.with_image_size(130, 96)
    assert (real[0].intrinsics.width_px, real[0].intrinsics.cx) == (130, 64.0)
    assert not real.size_is_inferred
    assert real.with_image_size(130, 96) is real
    with pytest.raises(TrajectoryError, match="calibrated for 130x96"):
        real.with_image_size(128, 96)
    for other in ((64, 48), (256, 192), (96, 72)):
        with pytest.raises(TrajectoryError, match="does not belong to an image of"):
            inferred.with_image_size(*other)
    assert inferred.resized(64, 48)[0].intrinsics.fx == 50


def turned(**angles: float) -> CameraPose:
    return CameraPose([angles.get("yaw", 0.0), 0, 1], EulerDeg(**angles))


@pytest.mark.parametrize("method", ["linear", "spline", "bezier"])
def test_interpolation_of_uniform_motion_is_uniform(method):
    keys = [CameraPose([i * 2.0, 0, 0], EulerDeg(yaw=30 * i), i * 4, 50 + i) for i in range(4)]
    path = interpolate_poses(keys, 13, method=method)
    for index, pose in enumerate(path):
        assert pose.frame_index == index
        np.testing.assert_allclose(pose.position_in_world, [index / 2, 0, 0], atol=1e-12)
        assert pose.euler_deg.yaw == pytest.approx(index * 7.5, abs=1e-6)
        assert pose.fov_deg == pytest.approx(50 + index / 4)


@pytest.mark.parametrize("method", ["spline", "bezier"])
def test_smooth_methods_have_no_jump_of_velocity(method):
    keys = [turned(yaw=0), turned(yaw=40, pitch=20), turned(yaw=-30, roll=50), turned(yaw=10)]
    step = 1e-4
    for knot in (1.0, 2.0):
        before, at, after = interpolate_poses(
            keys, times=[knot - step, knot, knot + step], method=method
        )
        left = (at.world_from_cam - before.world_from_cam) / step
        right = (after.world_from_cam - at.world_from_cam) / step
        speed = np.abs(left).max()
        np.testing.assert_allclose(left, right, atol=2e-3 * speed)


def test_spline_has_no_jump_of_acceleration():
    keys = [turned(yaw=0), turned(yaw=40, pitch=20), turned(yaw=-30, roll=50), turned(yaw=10)]
    step = 1e-3
    times = [1 + i * step for i in range(-4, 5)]
    path = np.stack(
        [p.world_from_cam for p in interpolate_poses(keys, times=times, method="spline")]
    )
    accelerations = (path[2:] - 2 * path[1:-1] + path[:-2]) / step**2
    np.testing.assert_allclose(
        accelerations[0], accelerations[-1], atol=0.02 * np.abs(accelerations).max()
    )


def test_interpolation_takes_the_short_way_round():
    keys = [CameraPose([0, 0, 0], EulerDeg(yaw=170)), CameraPose([0, 0, 0], EulerDeg(yaw=-170))]
    for method in ("linear", "spline", "bezier"):
        middle = interpolate_poses(keys, 3, method=method)[1]
        assert abs(middle.euler_deg.yaw) == pytest.approx(180)


def test_interpolation_of_one_key_pose_stands_still():
    key = CameraPose([1, 2, 3], EulerDeg(yaw=5))
    path = interpolate_poses([key], 3, method="spline")
    assert len(path) == 3
    np.testing.assert_allclose(path[2].world_from_cam, key.world_from_cam, atol=1e-15)


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ([], {"count": 3}, "at least one"),
        ([turned(), turned()], {}, "either count or times"),
        ([turned(), turned()], {"count": 2, "times": [0.0]}, "either count or times"),
        ([turned(), turned()], {"count": 0}, "1 or more"),
        ([turned(), turned()], {"times": [1.5]}, "outside the span"),
        ([turned(), turned()], {"times": [math.nan]}, "outside the span"),
        ([CameraPose([0, 0, 0], frame_index=i) for i in (0, 3, 2)], {"count": 3}, "follows 3"),
        (
            [CameraPose([0, 0, 0], fov_deg=50), turned()],
            {"count": 3},
            "1 of 2 have a field of view",
        ),
    ],
)
def test_interpolation_rejects(keys, options, message):
    with pytest.raises(TrajectoryError, match=message):
        interpolate_poses(keys, **options)


BARREL = CameraIntrinsics(220, 222, 158, 121, 320, 240, -0.25, 0.06, 0.001, -0.002, -0.003)
PINCUSHION = CameraIntrinsics(300, 300, 161, 119, 320, 240, 0.2, 0.1)


@pytest.mark.parametrize("lens", [BARREL, PINCUSHION])
def test_undistortion_has_data_everywhere_and_agrees_with_opencv(lens):
    plan = undistortion(lens)
    pinhole = plan.intrinsics
    assert plan.valid.all()
    assert not pinhole.is_distorted
    assert (pinhole.width_px, pinhole.height_px) == (320, 240)
    assert pinhole.fy / pinhole.fx == pytest.approx(lens.fy / lens.fx)
    to_corner = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    map_x, map_y = cv2.initUndistortRectifyMap(
        to_corner @ lens.matrix,
        np.array(lens.distortion),
        np.eye(3),
        to_corner @ pinhole.matrix,
        (320, 240),
        cv2.CV_32FC1,
    )
    np.testing.assert_allclose(plan.map_x, map_x, atol=1e-3)
    np.testing.assert_allclose(plan.map_y, map_y, atol=1e-3)
    margin_px = min(
        plan.map_x.min(), plan.map_y.min(), 319 - plan.map_x.max(), 239 - plan.map_y.max()
    )
    assert -0.01 <= margin_px < 0.5, "the view is as wide as the data allow"


def test_undistortion_straightens_a_photographed_line():
    plan = undistortion(BARREL)
    columns, rows = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)], axis=-1)
    # An image whose value is the column that a pinhole camera sees, photographed with the lens.
    bent = cv2.undistortPoints(
        (pixels[:, :2] - 0.5)[:, None],
        BARREL.matrix - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]),
        np.array(BARREL.distortion),
    )[:, 0, 0].reshape(240, 320)
    image = np.clip(128 + 100 * bent, 0, 255).round().astype(np.uint8)
    straight = plan.apply(image).astype(float)
    expected = 128 + 100 * (columns - plan.intrinsics.cx) / plan.intrinsics.fx
    assert np.abs(straight - expected).max() < 1.5


def test_undistortion_of_a_pinhole_is_the_identity():
    plan = undistortion(LENS)
    image = np.random.default_rng(1).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    assert plan.intrinsics == LENS
    assert plan.valid.all()
    np.testing.assert_array_equal(plan.apply(image), image)
    np.testing.assert_array_equal(plan.apply_mask(image[..., 0]), image[..., 0])


def test_undistortion_rejects_a_lens_that_folds():
    with pytest.raises(TrajectoryError, match="folds over"):
        undistortion(CameraIntrinsics(100, 100, 160, 120, 320, 240, k1=-0.9))


def test_public_names():
    public = {
        name
        for name, value in vars(worldloom.cameras).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == {
        "Camera",
        "CameraIntrinsics",
        "CameraPose",
        "CameraTrajectory",
        "EulerDeg",
        "InterpolationMethod",
        "TrajectoryFormat",
        "Undistortion",
        "interpolate_poses",
        "load_colmap_points",
        "load_poses",
        "load_trajectory",
        "save_trajectory",
        "undistortion",
    }
