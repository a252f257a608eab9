import json
import logging
import math
import struct

import cv2
import numpy as np
import pytest

from worldloom.cameras import (
    Camera,
    CameraIntrinsics,
    CameraPose,
    CameraTrajectory,
    EulerDeg,
    TrajectoryFormat,
    load_colmap_points,
    load_trajectory,
    save_trajectory,
)
from worldloom.errors import TrajectoryError

PINHOLE = CameraIntrinsics(100.5, 110.25, 64.0, 48.0, 128, 96)
OPENCV = CameraIntrinsics(100.5, 110.25, 60.0, 50.0, 128, 96, 0.1, -0.02, 0.001, -0.002)
IDENTITY = np.eye(4).tolist()
K = [[100.0, 0, 64], [0, 100, 48], [0, 0, 1]]
FILES = {
    TrajectoryFormat.WORLDSTEREO: "camera.json",
    TrajectoryFormat.WORLDSTEREO_PANORAMA: "cameras.json",
    TrajectoryFormat.WORLDMIRROR: "camera_params.json",
    TrajectoryFormat.TRANSFORMS: "transforms.json",
    TrajectoryFormat.COLMAP_BINARY: "model",
    TrajectoryFormat.COLMAP_TEXT: "text_model",
    TrajectoryFormat.OPENCV: "cameras.yml",
    TrajectoryFormat.TUM: "path.tum",
}


def arc(lens=PINHOLE, count=4, **options):
    poses = [
        CameraPose([i * 0.3, -i, i**2], EulerDeg(10 * i, -5 * i, 80 * i), i) for i in range(count)
    ]
    path = CameraTrajectory.from_poses(poses, lens)
    return CameraTrajectory(path.cameras, path.frame_indices, **options)


def written(path, document):
    path.write_text(json.dumps(document))
    return path


def refused(path, match, **options):
    with pytest.raises(TrajectoryError, match=match) as caught:
        load_trajectory(path, **options)
    assert str(path.name) in str(caught.value)
    return caught.value


# What each format says of one and the same camera: at (1, 2, 3), turned 90° to the right about
# the world's y, so that it looks along +x. Written by hand from the definition of each format.
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


def worldstereo(**changes):
    return {"extrinsic": [IDENTITY] * 3, "intrinsic": [K] * 3} | changes


def pose(change):
    matrix = np.eye(4)
    change(matrix)
    return matrix.tolist()


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (worldstereo(extrinsic=[IDENTITY, pose(lambda m: m.fill(math.nan)), IDENTITY]), "NaN"),
        (worldstereo(extrinsic=[IDENTITY, pose(lambda m: m.put(0, -1)), IDENTITY]), "reflection"),
        (worldstereo(extrinsic=[IDENTITY, pose(lambda m: m.put(1, 0.5)), IDENTITY]), "not a rota"),
        (
            worldstereo(extrinsic=[IDENTITY, np.diag([2, 2, 2, 1]).tolist(), IDENTITY]),
            "holds a scale of 2",
        ),
        (worldstereo(extrinsic=[IDENTITY, pose(lambda m: m.put(12, 5)), IDENTITY]), "transposed"),
        (worldstereo(extrinsic=[IDENTITY, np.diag([1, 1, 1, 2]).tolist(), IDENTITY]), "last row"),
        (worldstereo(extrinsic=[IDENTITY, [[1, 2], [3, 4]], IDENTITY]), "has the shape"),
        (worldstereo(extrinsic=[IDENTITY, [[1, 2], [3]], IDENTITY]), "no matrix of numbers"),
        (worldstereo(extrinsic=[IDENTITY, None, IDENTITY]), "has the shape"),
        (worldstereo(intrinsic=[K, np.transpose(K).tolist(), K]), "looks transposed"),
        (worldstereo(intrinsic=[K, [[100, 5, 64], [0, 100, 48], [0, 0, 1]], K]), "skew"),
        (worldstereo(intrinsic=[K, [[0.8, 0, 0.5], [0, 0.8, 0.5], [0, 0, 1]], K]), "not in pixels"),
        (worldstereo(intrinsic=[K, [[-9, 0, 64], [0, 100, 48], [0, 0, 1]], K]), "must be positive"),
    ],
)
def test_a_wrong_matrix_is_named_with_its_frame(tmp_path, document, match):
    error = refused(written(tmp_path / "camera.json", document), match)
    assert error.ids["frame"] == 1
    assert error.ids["path"] == str(tmp_path / "camera.json")


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (worldstereo(extrinsic=[IDENTITY]), "1 extrinsic but 3 intrinsic"),
        (worldstereo(extrinsic=[], intrinsic=[]), "holds no camera"),
        (worldstereo(extrinsic=3), "no list of matrices"),
        ({"extrinsic": [IDENTITY]}, "has no 'intrinsic'"),
        ({"0000": {"extrinsic": IDENTITY}}, "has no 'intrinsic'"),
        ({"0000": {"extrinsic": IDENTITY, "intrinsic": K}, "x": 3}, "is no object"),
        ({"extrinsics": []}, "'intrinsics'"),
        ({"extrinsics": [], "intrinsics": []}, "holds no camera"),
        ({"extrinsics": [{"camera_id": 0}], "intrinsics": []}, "needs camera_id and matrix"),
        (
            {"extrinsics": [{"camera_id": 3, "matrix": IDENTITY}], "intrinsics": []},
            "frame 3: 1 extrinsics and 0 intrinsics do not pair up",
        ),
        (
            {"extrinsics": [{"camera_id": 3, "matrix": IDENTITY}] * 2, "intrinsics": []},
            "comes twice",
        ),
        ({"frames": []}, "holds no camera"),
        ({"frames": 1}, "no list 'frames'"),
        ({"frames": [1]}, "is no object"),
        ({"frames": [{"file_path": "a"}]}, "frame a: has no 'transform_matrix'"),
        ({"a": 1}, "no known format"),
        ({}, "no known format"),
        ([1], "not an object"),
    ],
)
def test_a_wrong_document_is_refused(tmp_path, document, match):
    refused(written(tmp_path / "file.json", document), match)


def nerf(**changes):
    frames = [{"file_path": "a", "transform_matrix": IDENTITY}]
    return {"fl_x": 100, "cx": 64, "cy": 48, "w": 128, "h": 96, "frames": frames} | changes


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (nerf(camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE"),
        (nerf(is_fisheye=True), "fisheye"),
        (nerf(k4=0.1), "k4"),
        (nerf(fl_x=None), "no focal length"),
        (nerf(fl_x="wide"), "fl_x is 'wide'"),
        (nerf(fl_x=0), "must be positive"),
        (nerf(w=100.5), "not whole"),
        (nerf(fl_x=None, camera_angle_x=4.0), "camera_angle_x"),
        (nerf(k1=math.nan), "k1"),
        (nerf(applied_scale=0), "applied_scale"),
        (nerf(applied_transform=[[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]), "scale of 2"),
        (
            nerf(frames=[*nerf()["frames"], {"transform_matrix": IDENTITY}]),
            "1 of 2 frames have a file_path",
        ),
    ],
)
def test_wrong_transforms_are_refused(tmp_path, document, match):
    refused(written(tmp_path / "transforms.json", document), match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"extrinsic": [[[1.0, 0', "damaged or cut off"),
        (b"[" * 100_000, "damaged or cut off"),
        (b"hello world\n", "no known format"),
        (b"\x89PNG\r\n\x1a\n", "no known format"),
        (b'{"a": "\xff"}', "no known format"),
        (b'{"extrinsic": "\xff"}', "not a text file"),
        (b"%YAML:1.0\n---\na: [1,2", "damaged or cut off"),
        (b'<?xml version="1.0"?><opencv_storage><camera_mat', "damaged or cut off"),
        (b"%YAML:1.0\n---\na: 1\n", "no node camera_matrix"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, match):
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(path, match)


def test_a_missing_file_and_a_wrong_format_are_refused(tmp_path):
    refused(tmp_path / "nowhere.json", "does not exist")
    refused(tmp_path, "no trajectory file")
    save_trajectory(arc(), tmp_path / "camera.json")
    assert len(load_trajectory(tmp_path)) == 4
    save_trajectory(arc(), tmp_path / "transforms.json")
    refused(tmp_path, "transforms.json and camera.json")
    refused(tmp_path / "camera.json", "no format 'usd'", format="usd")
    refused(tmp_path / "camera.json", "no list 'frames'", format="transforms")
    refused(tmp_path / "camera.json", "intrinsics of their own", intrinsics=PINHOLE)
    with pytest.raises(TrajectoryError, match="tells no format"):
        save_trajectory(arc(), tmp_path / "a.json")
    with pytest.raises(TrajectoryError, match="no format 'usd'"):
        save_trajectory(arc(), tmp_path / "a.json", "usd")


@pytest.mark.parametrize("kind", ["colmap-binary", "colmap-text"])
def test_a_folder_that_is_a_file_is_refused(tmp_path, kind):
    (tmp_path / "taken").write_text("")
    with pytest.raises(TrajectoryError, match="cannot be written"):
        save_trajectory(arc(), tmp_path / "taken", kind)


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["0 0 0 0 0 0 0 1", "1 2 3"], "frame 1: line 2 is not"),
        (["0 0 0 0 0 0 0 1", "1 nan 0 0 0 0 0 1"], "NaN"),
        (["0 0 0 0 0 0 0 1", "1 0 0 0 0 0 0 2"], "length 2"),
        (["1 0 0 0 0 0 0 1", "0 0 0 0 0 0 0 1"], "earlier"),
    ],
)
def test_wrong_tum_lines_are_refused(tmp_path, lines, match):
    path = tmp_path / "a.tum"
    path.write_text("\n".join(lines))
    error = refused(path, match, intrinsics=PINHOLE)
    assert error.ids["frame"] == 1


def test_tum_needs_intrinsics_and_allows_repeated_poses(tmp_path):
    path = tmp_path / "a.tum"
    path.write_text("0 0 0 0 0 0 0 1\n" * 2)
    assert len(load_trajectory(path, intrinsics=PINHOLE)) == 2
    refused(path, "pass intrinsics")
    path.write_text("# only a comment\n")
    refused(path, "holds no camera", format="tum", intrinsics=PINHOLE)


def opencv_file(path, **changes):
    nodes = {
        "camera_matrix": (3, 3, np.array(K).ravel()),
        "distortion_coefficients": (5, 1, np.zeros(5)),
        "extrinsic_parameters": (2, 6, np.zeros(12)),
    } | changes
    text = "%YAML:1.0\n---\nimage_width: 128\nimage_height: 96\n"
    for name, node in nodes.items():
        if node is not None:
            data = ", ".join(".Nan" if math.isnan(v) else repr(float(v)) for v in node[2])
            text += f"{name}: !!opencv-matrix\n   rows: {node[0]}\n   cols: {node[1]}\n"
            text += f"   dt: d\n   data: [ {data} ]\n"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"extrinsic_parameters": None}, "calibration without poses"),
        ({"extrinsic_parameters": (3, 4, np.zeros(12))}, r"not \[N, 6\]"),
        ({"extrinsic_parameters": (1, 6, np.full(6, math.nan))}, "frame 0: .*NaN"),
        ({"camera_matrix": (2, 2, np.ones(4))}, "has the shape"),
        ({"distortion_coefficients": (8, 1, np.full(8, 0.1))}, "8 distortion coefficients"),
        ({"frame_indices": (3, 1, np.arange(3))}, "2 poses, 3 frame_indices"),
        ({"frame_indices": (2, 1, np.array([4, 1]))}, "must increase"),
    ],
)
def test_wrong_opencv_files_are_refused(tmp_path, changes, match):
    refused(opencv_file(tmp_path / "a.yml", **changes), match)


def test_opencv_files_without_intrinsics_take_those_of_the_caller(tmp_path):
    path = opencv_file(tmp_path / "a.yml", camera_matrix=None)
    assert load_trajectory(path, intrinsics=OPENCV)[1].intrinsics == OPENCV
    refused(opencv_file(tmp_path / "b.yml"), "pass no intrinsics", intrinsics=OPENCV)


def test_every_cut_of_a_binary_model_is_noticed(tmp_path):
    save_trajectory(arc(), tmp_path)
    for stem in ("cameras", "images"):
        whole = (tmp_path / f"{stem}.bin").read_bytes()
        for size in range(len(whole)):
            (tmp_path / f"{stem}.bin").write_bytes(whole[:size])
            with pytest.raises(TrajectoryError, match=r"cut off|empty") as caught:
                load_trajectory(tmp_path)
            assert f"{stem}.bin" in str(caught.value)
        (tmp_path / f"{stem}.bin").write_bytes(whole + b"\0")
        with pytest.raises(TrajectoryError, match="1 bytes are left over"):
            load_trajectory(tmp_path)
        (tmp_path / f"{stem}.bin").write_bytes(whole)


@pytest.mark.parametrize(
    ("cameras", "images", "match"),
    [
        ("1 OPENCV_FISHEYE 128 96 1 1 1 1 0 0 0 0", "1 1 0 0 0 0 0 0 1 a", "model OPENCV_FISHEYE"),
        ("1 PINHOLE 128 96 100 64 48", "1 1 0 0 0 0 0 0 1 a", "3 parameters, but PINHOLE has 4"),
        ("1 PINHOLE 128 96 x 1 64 48", "1 1 0 0 0 0 0 0 1 a", "line 1 is damaged"),
        ("1 PINHOLE 128.5 96 1 1 64 48", "1 1 0 0 0 0 0 0 1 a", "line 1 is damaged"),
        ("1 PINHOLE 0 96 1 1 64 48", "1 1 0 0 0 0 0 0 1 a", "size must be positive"),
        ("1 PINHOLE", "1 1 0 0 0 0 0 0 1 a", "line 1 is damaged"),
        ("1 PINHOLE 128 96 100 100 64 48", "1 1 0 0 0 0 0 0 2 a", "its camera 2 is not in"),
        ("1 PINHOLE 128 96 100 100 64 48", "1 1 0 0 0 0 0 0", "line 1 is damaged"),
        ("1 PINHOLE 128 96 100 100 64 48", "1 1 1 0 0 0 0 0 1 a", "frame a: .*length 1.4"),
        ("1 PINHOLE 128 96 100 100 64 48", "1 1 0 0 0 nan 0 0 1 a", "frame a: .*NaN"),
        ("# nothing", "# nothing", "holds no camera"),
    ],
)
def test_wrong_text_models_are_refused(tmp_path, cameras, images, match):
    (tmp_path / "cameras.txt").write_text(cameras + "\n")
    (tmp_path / "images.txt").write_text(images + "\n\n")
    with pytest.raises(TrajectoryError, match=match):
        load_trajectory(tmp_path)


def test_unknown_binary_models_are_named(tmp_path):
    save_trajectory(arc(), tmp_path)
    for number, name in ((6, "FULL_OPENCV"), (99, "number 99")):
        data = bytearray((tmp_path / "cameras.bin").read_bytes())
        struct.pack_into("<i", data, 12, number)
        (tmp_path / "cameras.bin").write_bytes(data)
        with pytest.raises(TrajectoryError, match=f"camera model {name} is not supported"):
            load_trajectory(tmp_path)


def test_half_a_model_is_refused(tmp_path):
    save_trajectory(arc(), tmp_path)
    with pytest.raises(TrajectoryError, match="already"):
        save_trajectory(arc(), tmp_path, "colmap-text")
    (tmp_path / "cameras.bin").unlink()
    with pytest.raises(TrajectoryError, match=r"cameras\.bin: cannot be read"):
        load_trajectory(tmp_path)
