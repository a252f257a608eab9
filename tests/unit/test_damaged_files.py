"""What hostile files once made the readers trip over; tests/properties/test_hostile_files.py."""

import io
import json
import zipfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.constellation import ring_of_cameras
from tests.ingest_media import coded_video
from worldloom.cameras import (
    CameraTrajectory,
    load_colmap_points,
    load_trajectory,
    save_trajectory,
)
from worldloom.cameras._origin import Origin
from worldloom.cameras.formats._opencv_document import Matrix, Node, read_document
from worldloom.errors import InputError, TrajectoryError, VideoError
from worldloom.export import read_mesh_ply
from worldloom.ingest import IngestLimits
from worldloom.ingest._pictures import list_pictures
from worldloom.ingest._video import probe_video
from worldloom.panorama import DepthSource

LIMITS = IngestLimits()


def trajectory() -> CameraTrajectory:
    return CameraTrajectory(tuple(ring_of_cameras(3)), (0, 1, 2), name="walk")


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400])
def test_whole_numbers_beyond_all_bounds(tmp_path: Path, number: str):
    path = tmp_path / "transforms.json"
    save_trajectory(trajectory(), path)
    path.write_text(path.read_text().replace("440.0", number))
    with pytest.raises(TrajectoryError, match=r"transforms\.json"):
        load_trajectory(path)


def test_a_frame_that_is_named_by_thousands_of_digits_keeps_its_place(tmp_path: Path):
    path = tmp_path / "transforms.json"
    save_trajectory(trajectory(), path)
    document = json.loads(path.read_text())
    names = ["9" * 5000, "8" * 5000, "007"]
    for frame, name in zip(document["frames"], names, strict=True):
        frame["file_path"] = name
    path.write_text(json.dumps(document))
    assert load_trajectory(path).frame_names == ("007", "8" * 5000, "9" * 5000)


def test_names_with_raised_digits_are_no_numbers(tmp_path: Path):
    for name in ("1²2.png", "10.png", "9.png", "².png"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.stem for path in list_pictures(tmp_path)] == ["²", "1²2", "9", "10"]


def test_a_quaternion_whose_length_overflows(tmp_path: Path):
    save_trajectory(trajectory(), tmp_path / "sparse", "colmap-text")
    path = tmp_path / "sparse" / "images.txt"
    lines = path.read_text().splitlines()
    words = lines[2].split()
    lines[2] = " ".join([words[0], "1e308", "1e308", *words[3:]])
    path.write_text("\n".join(lines))
    with pytest.raises(TrajectoryError, match="has length"):
        load_trajectory(tmp_path / "sparse")


@pytest.mark.parametrize("row", ["1 0 0 0 1e30 0 0 1", "1 0 0 0 -1 0 0 1", "1 nan 0 0 1 1 1 1"])
def test_sparse_points_with_colours_that_are_none(tmp_path: Path, row: str):
    (tmp_path / "cameras.txt").write_text("#\n")
    (tmp_path / "images.txt").write_text("#\n")
    (tmp_path / "points3D.txt").write_text(row + "\n")
    with pytest.raises(TrajectoryError, match=r"points3D\.txt"):
        load_colmap_points(tmp_path)


STORAGES = [".xml", ".yml"]


@pytest.mark.parametrize("suffix", STORAGES)
def test_opencv_files_are_read_as_opencv_reads_them(suffix: str):
    matrix = np.array([[1.0, -2.5e-300, np.pi], [1e300, 0.0, np.inf]])
    names = [
        "a.png",
        "with space.png",
        'q"<&>.png',
        "007",
        "ünï.png",
        "a:b # c",
        "",
        "it's",
        "b\\\\c",
    ]
    storage = cv2.FileStorage(suffix, cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("width", 640)
    storage.write("m", matrix)
    storage.write("channels", np.arange(8, dtype=np.float32).reshape(2, 2, 2))
    storage.startWriteStruct("names", cv2.FileNode_SEQ)
    for name in names:
        storage.write("", name)
    storage.endWriteStruct()
    storage.startWriteStruct("map", cv2.FileNode_MAP)
    storage.write("inner", "text here")
    storage.endWriteStruct()
    read = read_document(storage.releaseAndGetString().encode(), Origin("a"))
    assert read.keys() == {"width", "m", "channels", "names", "map"}
    assert (read["width"], read["names"]) == ("640", names)
    assert read["map"] == {"inner": "text here"}
    np.testing.assert_array_equal(values(read["m"]), matrix)
    np.testing.assert_array_equal(values(read["channels"]), np.arange(8).reshape(2, 2, 2))


def values(node: Node) -> np.ndarray:
    assert isinstance(node, Matrix)
    return node.values


@pytest.mark.parametrize(
    "content",
    [
        b"%YAML 1.2\n---\na: !!opz\xe6\x9e\x81uencv-matrix\n   rows: 3\n   dt: d\n   data: [ 1 ]\n",
        b"%YAML:1.0\n---\na: &x [1, 2]\nb: [*x, *x]\n",
        b"%YAML:1.0\n---\na: " + b"[" * 500 + b"\n",
        b"%YAML:1.0\n---\na: !!opencv-matrix\n   rows: 9999999\n   cols: 9999999\n   dt: d\n",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><opencv_storage>&a;</opencv_storage>',
        b"<opencv_storage>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</opencv_storage>",
        b'<?xml version="1.0" encoding="nonsense"?><opencv_storage/>',
    ],
)
def test_opencv_files_that_reach_for_memory_or_worse(tmp_path: Path, content: bytes):
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    with pytest.raises(TrajectoryError, match=r"damaged or cut off|no node"):
        load_trajectory(path, format="opencv")


def test_a_video_whose_title_is_in_no_encoding(tmp_path: Path):
    path = coded_video(tmp_path / "a.mkv", 4)
    data = path.read_bytes()
    assert data.count(b"Lavf") > 0
    path.write_bytes(data.replace(b"Lavf", b"\xcc\xcc\xcc\xcc"))
    assert probe_video(path, LIMITS).frame_count == 4


def test_a_video_of_a_codec_that_nobody_knows(tmp_path: Path):
    path = coded_video(tmp_path / "a.mov", 4)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match="codec that is not known"):
        probe_video(path, LIMITS)
    assert av.codec.Codec("h264").name == "h264"


def test_a_mesh_with_two_properties_of_one_name(tmp_path: Path):
    path = tmp_path / "a.ply"
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 0\n"
    path.write_text(head + "property double x\nproperty double x\nend_header\n")
    with pytest.raises(InputError, match="two properties of one name"):
        read_mesh_ply(path)


def npy(header: str, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000)}\n"), "shape"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 8)}\n"), "shape"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (4, 8)}\n"), "cannot be read"),
        (npy("{'descr': '|S999999999', 'fortran_order': False, 'shape': (4, 8)}\n"), "cannot"),
        (npy("{'descr': '<f4', (\n"), "cannot be read"),
        (npy("", b"\x02\x00") + b"\xff\xff\xff\x7f", "version"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_that_announce_what_they_do_not_hold(
    tmp_path: Path, content: bytes, said: str, packed: bool
):
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("depth.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        DepthSource(path).read(8, 4)


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path: Path):
    """A kilobyte for each megabyte that it would become."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, depth=np.zeros((4096, 8192), np.float32))
    path = tmp_path / "a.npz"
    path.write_bytes(buffer.getvalue())
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="more than the panorama"):
        DepthSource(path).read(8, 4)


def test_a_picture_of_depth_that_announces_too_much_is_not_decoded(tmp_path: Path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.ones((4, 8), np.uint16))
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.png"):
        DepthSource(path).read(8, 4)
