import json
import logging
import math
import struct

import cv2
import numpy as np
import pytest

from tests.trajectory_files import (
    FILES,
    IDENTITY,
    OPENCV,
    PINHOLE,
    K,
    arc,
    refused,
    written,
)
from worldloom.cameras import (
    Camera,
    CameraIntrinsics,
    CameraTrajectory,
    TrajectoryFormat,
    load_colmap_points,
    load_trajectory,
    save_trajectory,
)
from worldloom.errors import TrajectoryError

CAM_FROM_WORLD = [[0, 0, -1, 3], [0, 1, 0, -2], [1, 0, 0, -1], [0, 0, 0, 1]]
WORLD_FROM_CAM = [[0, 0, 1, 1], [0, 1, 0, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]
OPENGL_POSE = [[0, 0, -1, 1], [0, -1, 0, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]
HALF = math.sqrt(0.5)
BY_HAND = {
    "camera.json": json.dumps({"extrinsic": [CAM_FROM_WORLD], "intrinsic": [K]}),
    "cameras.json": json.dumps({"0000": {"intrinsic": K, "extrinsic": CAM_FROM_WORLD}}),
    "prior_camera.json": json.dumps(
        {
            "extrinsics": [{"camera_id": 0, "matrix": WORLD_FROM_CAM}],
            "intrinsics": [{"camera_id": 0, "matrix": K}],
        }
    ),
    "transforms.json": json.dumps(
        {
            "fl_x": 100,
            "fl_y": 100,
            "cx": 64,
            "cy": 48,
            "w": 128,
            "h": 96,
            "frames": [{"file_path": "images/a.png", "transform_matrix": OPENGL_POSE}],
        }
    ),
    "poses.txt": f"# a comment\n1305031102.1753 1 2 3 0 {HALF} 0 {HALF}\n",
    "opencv.xml": (
        '<?xml version="1.0"?><opencv_storage>'
        "<image_width>128</image_width><image_height>96</image_height>"
        '<camera_matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>'
        "<data>100. 0. 63.5 0. 100. 47.5 0. 0. 1.</data></camera_matrix>"
        '<extrinsic_parameters type_id="opencv-matrix"><rows>1</rows><cols>6</cols><dt>d</dt>'
        f"<data>0. {-math.pi / 2} 0. 3. -2. -1.</data></extrinsic_parameters></opencv_storage>"
    ),
    "images.txt": f"1 {HALF} 0 {-HALF} 0 3 -2 -1 7 a b.png\n\n",
}


@pytest.mark.parametrize("file_name", BY_HAND)
def test_every_format_means_what_its_definition_says(tmp_path, file_name):
    path = tmp_path / file_name
    path.write_text(BY_HAND[file_name])
    options = {}
    if file_name == "images.txt":
        (tmp_path / "cameras.txt").write_text("# header\n7 SIMPLE_PINHOLE 128 96 100 64 48\n")
    if file_name == "poses.txt":
        options = {"intrinsics": CameraIntrinsics(100, 100, 64, 48, 128, 96)}
    path = load_trajectory(path, **options)
    np.testing.assert_allclose(path[0].world_from_cam, WORLD_FROM_CAM, atol=1e-15)
    assert path[0].intrinsics == CameraIntrinsics(100, 100, 64, 48, 128, 96)
    assert path.frame_indices == (0,)
    sized = {"transforms.json", "opencv.xml", "images.txt", "poses.txt"}
    assert path.size_is_inferred == (file_name not in sized)
    names = {"cameras.json": "0000", "transforms.json": "images/a.png", "images.txt": "a b.png"}
    assert path.frame_names == ((names[file_name],) if file_name in names else ())


@pytest.mark.parametrize(("kind", "file_name"), FILES.items())
@pytest.mark.parametrize("with_names", [False, True])
def test_saved_trajectories_are_detected_and_come_back(tmp_path, kind, file_name, with_names):
    names = tuple(f"view{i}.png" for i in range(12)) if with_names else ()
    path = arc(count=12, frame_names=names)
    place = tmp_path / file_name
    save_trajectory(path, place, kind)
    options = {"intrinsics": PINHOLE} if kind is TrajectoryFormat.TUM else {}
    back = load_trajectory(place, **options)
    np.testing.assert_allclose(back.world_from_cams, path.world_from_cams, atol=1e-12)
    assert back.frame_indices == path.frame_indices
    for camera, expected in zip(back, path, strict=True):
        np.testing.assert_allclose(camera.pixel_from_cam, expected.pixel_from_cam, atol=1e-12)
        assert (camera.intrinsics.width_px, camera.intrinsics.height_px) == (128, 96)
    if with_names and kind not in {TrajectoryFormat.WORLDSTEREO, TrajectoryFormat.TUM}:
        assert back.frame_names == names, "view10 comes after view9"


@pytest.mark.parametrize(
    ("file_name", "kind"),
    [
        ("camera.json", "worldstereo"),
        ("cameras.json", "worldstereo-panorama"),
        ("prior_camera.json", "worldmirror"),
        ("transforms.json", "transforms"),
        ("a.xml", "opencv"),
        ("a.yaml", "opencv"),
        ("a.txt", "tum"),
        ("folder", "colmap-binary"),
    ],
)
def test_save_takes_the_format_from_the_name(tmp_path, file_name, kind):
    save_trajectory(arc(), tmp_path / file_name)
    save_trajectory(arc(), tmp_path / "expected" / file_name, kind)
    folder = tmp_path / "expected"
    for file in (f for f in folder.rglob("*") if f.is_file()):
        assert (tmp_path / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_formats_with_distortion_keep_it(tmp_path):
    full = CameraIntrinsics(100, 110, 60, 50, 128, 96, 0.1, -0.02, 0.001, -0.002, 0.003)
    for file_name, lens in (("transforms.json", full), ("a.xml", full), ("model", OPENCV)):
        save_trajectory(arc(lens), tmp_path / file_name)
        assert load_trajectory(tmp_path / file_name)[2].intrinsics == lens


def test_formats_without_distortion_refuse_it(tmp_path):
    for kind in ("worldstereo", "worldstereo-panorama", "worldmirror"):
        with pytest.raises(TrajectoryError, match="cannot hold lens distortion"):
            save_trajectory(arc(OPENCV), tmp_path / "a.json", kind)
    k3 = CameraIntrinsics(100, 110, 60, 50, 128, 96, k3=0.1)
    with pytest.raises(TrajectoryError, match="k3 does not fit"):
        save_trajectory(arc(k3), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_unknown_image_size_stays_unknown_or_is_refused(tmp_path):
    path = arc(size_is_inferred=True)
    for file_name in ("transforms.json", "a.yml", "camera.json"):
        save_trajectory(path, tmp_path / file_name)
        assert load_trajectory(tmp_path / file_name).size_is_inferred
        assert not load_trajectory(tmp_path / file_name, image_size=(130, 98)).size_is_inferred
    with pytest.raises(TrajectoryError, match="needs the image size"):
        save_trajectory(path, tmp_path / "model")


def test_lenses_may_differ_from_frame_to_frame(tmp_path):
    poses = arc(count=2).poses()
    other = CameraIntrinsics(90, 90, 64, 48, 128, 96)
    path = CameraTrajectory.from_poses([p for p in poses], [PINHOLE, other])
    path = CameraTrajectory(
        (Camera(PINHOLE, path[0].world_from_cam), Camera(other, path[1].world_from_cam)), (0, 1)
    )
    for file_name in ("transforms.json", "model", "camera.json", "cameras.json"):
        save_trajectory(path, tmp_path / file_name)
        back = load_trajectory(tmp_path / file_name)
        assert [camera.intrinsics for camera in back] == [PINHOLE, other]
    with pytest.raises(TrajectoryError, match="holds one lens"):
        save_trajectory(path, tmp_path / "a.yml")


def test_frame_numbers_are_kept_where_the_format_has_room(tmp_path, caplog):
    path = arc(count=6).every(2)
    for file_name in ("cameras.json", "camera_params.json", "a.yml"):
        save_trajectory(path, tmp_path / file_name)
        assert load_trajectory(tmp_path / file_name).frame_indices == (0, 2, 4)
    with caplog.at_level(logging.WARNING):
        save_trajectory(path, tmp_path / "camera.json")
    assert "are not kept" in caplog.text


def test_names_come_from_the_path(tmp_path):
    for file_name in ("left/camera.json", "right.json", "scene/sparse/0", "house/transforms.json"):
        save_trajectory(
            arc(), tmp_path / file_name, None if "right" not in file_name else "worldstereo"
        )
    names = [
        load_trajectory(tmp_path / place).name
        for place in ("left/camera.json", "right.json", "scene", "house")
    ]
    assert names == ["left", "right", "scene", "house"]
    assert load_trajectory(tmp_path / "right.json", name="mine").name == "mine"


def test_a_colmap_model_is_found_by_any_of_its_paths(tmp_path):
    save_trajectory(arc(), tmp_path / "s" / "sparse" / "0")
    for place in ("s", "s/sparse", "s/sparse/0", "s/sparse/0/images.bin", "s/sparse/0/cameras.bin"):
        if place != "s/sparse":
            assert len(load_trajectory(tmp_path / place)) == 4
    assert len(load_colmap_points(tmp_path / "s").points_in_world) == 0


def test_transforms_with_angles_only_need_the_image_size(tmp_path):
    document = {
        "camera_angle_x": math.pi / 2,
        "frames": [{"file_path": "./train/r_0", "transform_matrix": IDENTITY}],
    }
    path = written(tmp_path / "transforms_train.json", document)
    lens = load_trajectory(path, image_size=(800, 600))[0].intrinsics
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((400, 400, 400, 300))
    assert (lens.width_px, lens.height_px) == (800, 600)
    refused(path, "pass image_size")
    (tmp_path / "train").mkdir()
    cv2.imwrite(str(tmp_path / "train" / "r_0.png"), np.zeros((30, 40, 3), np.uint8))
    lens = load_trajectory(path)[0].intrinsics
    assert (lens.width_px, lens.height_px, lens.fx) == (40, 30, pytest.approx(20))


def test_applied_transform_and_scale_are_undone(tmp_path):
    world = arc()
    applied = np.array([[0, 1, 0, 1], [1, 0, 0, 2], [0, 0, -1, 3], [0, 0, 0, 1]], float)
    save_trajectory(world, tmp_path / "transforms.json")
    document = json.loads((tmp_path / "transforms.json").read_text())
    for frame in document["frames"]:
        moved = applied @ np.array(frame["transform_matrix"])
        moved[:3, 3] *= 2.5
        frame["transform_matrix"] = moved.tolist()
    document |= {"applied_transform": applied[:3].tolist(), "applied_scale": 2.5}
    back = load_trajectory(written(tmp_path / "transforms.json", document))
    np.testing.assert_allclose(back.world_from_cams, world.world_from_cams, atol=1e-14)


def test_colmap_points_are_read_from_text_and_binary(tmp_path):
    for kind in ("colmap-text", "colmap-binary"):
        save_trajectory(arc(), tmp_path / kind, kind)
    (tmp_path / "colmap-text" / "points3D.txt").write_text(
        "# header\n5 1.5 2 -3 10 20 255 0.25 1 0 2 7\n"
    )
    (tmp_path / "colmap-binary" / "points3D.bin").write_bytes(
        struct.pack("<QQ3d3BdQ4i", 1, 5, 1.5, 2, -3, 10, 20, 255, 0.25, 2, 1, 0, 2, 7)
    )
    for kind in ("colmap-text", "colmap-binary"):
        points = load_colmap_points(tmp_path / kind)
        np.testing.assert_array_equal(points.points_in_world, [[1.5, 2, -3]])
        np.testing.assert_array_equal(points.colors, [[10, 20, 255]])
        np.testing.assert_array_equal(points.errors_px, [0.25])
    with pytest.raises(TrajectoryError, match="no COLMAP model"):
        load_colmap_points(tmp_path)


def test_colmap_models_with_observations_are_read(tmp_path):
    save_trajectory(arc(count=2), tmp_path / "t", "colmap-text")
    lines = (tmp_path / "t" / "images.txt").read_text().splitlines()
    lines[3] = "1.5 2.5 -1 3.5 4.5 17"
    (tmp_path / "t" / "images.txt").write_text("\n".join(lines) + "\n")
    assert len(load_trajectory(tmp_path / "t")) == 2
    images = b"".join(
        struct.pack("<i7di", i, 1, 0, 0, 0, 0, 0, i, 1)
        + f"{i}.png\0".encode()
        + struct.pack("<Qddqddq", 2, 1.5, 2.5, -1, 3.5, 4.5, 17)
        for i in (2, 1)
    )
    save_trajectory(arc(count=2), tmp_path / "b", "colmap-binary")
    (tmp_path / "b" / "images.bin").write_bytes(struct.pack("<Q", 2) + images)
    back = load_trajectory(tmp_path / "b")
    assert back.frame_names == ("1.png", "2.png")
    np.testing.assert_array_equal(back.centres_in_world[:, 2], [-1, -2])


@pytest.mark.parametrize(
    ("model", "parameters", "expected"),
    [
        ("SIMPLE_PINHOLE", "100 60 50", (100, 100, 60, 50, 128, 96)),
        ("PINHOLE", "100 110 60 50", (100, 110, 60, 50, 128, 96)),
        ("SIMPLE_RADIAL", "100 60 50 .1", (100, 100, 60, 50, 128, 96, 0.1)),
        ("RADIAL", "100 60 50 .1 .2", (100, 100, 60, 50, 128, 96, 0.1, 0.2)),
        ("OPENCV", "100 110 60 50 .1 .2 .3 .4", (100, 110, 60, 50, 128, 96, 0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_colmap_camera_models(tmp_path, model, parameters, expected):
    (tmp_path / "cameras.txt").write_text(f"1 {model} 128 96 {parameters}\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n")
    assert load_trajectory(tmp_path)[0].intrinsics == CameraIntrinsics(*expected)
