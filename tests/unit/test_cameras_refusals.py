"""Files of trajectories that are wrong, and what is said of them."""

import math
import struct

import numpy as np
import pytest

from tests.trajectory_files import (
    IDENTITY,
    OPENCV,
    PINHOLE,
    K,
    arc,
    refused,
    written,
)
from worldloom.cameras import (
    load_trajectory,
    save_trajectory,
)
from worldloom.errors import TrajectoryError


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
