"""Inputs that are refused, and what is said of them."""

import json
import logging
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.ingest_media import (
    coded_folder,
    coded_image,
    coded_scene,
    coded_video,
    write_camera_json,
    write_image,
    write_transforms_json,
    write_video,
)
from tests.ingest_sources import LIMITS, opened, pictures_of, worldstereo_scene
from worldloom.errors import (
    ConfigError,
    FrameCountError,
    InputError,
    LimitError,
    TrajectoryError,
    VideoError,
)
from worldloom.ingest import IngestLimits, open_sources


def test_no_input() -> None:
    with pytest.raises(InputError, match="no input; give at least one video or folder"):
        open_sources([], limits=LIMITS)


def test_an_input_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        opened(tmp_path / "nowhere")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = write_image(tmp_path / "one.png", coded_image(0))
    with pytest.raises(InputError, match=r"one\.png is not a video .*folder that holds them"):
        opened(path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is an empty folder"):
        opened(tmp_path)


def test_a_folder_of_unknown_things(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"holds no videos .* found \.txt \(2\), \.csv \(1\)"):
        opened(tmp_path)


def test_a_folder_of_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(InputError, match="found only empty folders"):
        opened(tmp_path)


@pytest.mark.parametrize("kind", ["video", "folder", "images"])
def test_a_missing_trajectory_tells_what_was_looked_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "scene"
    if kind == "images":
        coded_folder(path / "images", 3)
    else:
        coded_video(path / "video.mp4", 3)
    given = path / "video.mp4" if kind == "video" else path
    looked = r"looked for camera\.json, cameras\.json, transforms\.json, .*sparse/0"
    with pytest.raises(TrajectoryError, match=rf"{looked}.*--trajectory FILE") as caught:
        opened(given)
    assert "scene" in str(caught.value.ids["path"])


@pytest.mark.parametrize(("frames", "poses"), [(6, 5), (5, 6), (1, 2)])
@pytest.mark.parametrize("kind", ["frames", "images"])
def test_counts_that_differ(tmp_path: Path, frames: int, poses: int, kind: str) -> None:
    if kind == "frames":
        coded_video(tmp_path / "video.mp4", frames)
    else:
        coded_folder(tmp_path / "images", frames)
    write_camera_json(tmp_path / "camera.json", poses)
    remedy = "give the trajectory that it was made with, or cut one"
    message = rf"{frames} {kind}, but .* {poses} poses; {remedy}"
    with pytest.raises(FrameCountError, match=message) as caught:
        opened(tmp_path)
    assert (caught.value.ids["frames"], caught.value.ids["poses"]) == (frames, poses)


def test_a_broken_video_is_named(tmp_path: Path) -> None:
    coded_scene(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"not a video at all")
    with pytest.raises(VideoError, match=r"video\.mp4 is not an mp4"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("frames", "size", "error", "message"),
    [
        (5, {}, FrameCountError, r"render_mask\.mp4 has 5 frames, its video .* has 6"),
        (6, {"width_px": 32}, InputError, r"mask .* is 32x48, its video .* is 64x48"),
    ],
)
def test_a_mask_that_does_not_belong(
    tmp_path: Path, frames: int, size: dict[str, int], error: type[InputError], message: str
) -> None:
    coded_scene(tmp_path)
    (tmp_path / "video.mp4").rename(tmp_path / "render.mp4")
    write_video(tmp_path / "render_mask.mp4", [coded_image(0, **size)] * frames)
    with pytest.raises(error, match=message):
        opened(tmp_path)


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    coded_folder(tmp_path / "images", 5)
    write_image(tmp_path / "images" / "frame0.png", coded_image(0, 96, 72))
    write_camera_json(tmp_path / "camera.json", 5)
    with pytest.raises(
        InputError,
        match=r"frame0\.png \(frame 0\) is 96x72, but 4 of the 5 images .* are 64x48",
    ) as caught:
        opened(tmp_path)
    assert caught.value.ids["frame"] == 0


def test_a_listed_image_that_is_missing(tmp_path: Path) -> None:
    coded_folder(tmp_path / "images", 2)
    listed = [f"images/frame{number}.png" for number in range(3)]
    write_transforms_json(tmp_path / "transforms.json", listed)
    message = r"1 of the 3 images that .*transforms\.json lists .* images/frame2\.png \(frame 2\)"
    with pytest.raises(InputError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.ids["frame"] == 2


def test_listed_images_that_are_missing_may_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coded_folder(tmp_path / "images", 4)
    listed = [f"images/frame{number}.png" for number in range(4)]
    write_transforms_json(tmp_path / "transforms.json", listed)
    (tmp_path / "images" / "frame1.png").unlink()
    with caplog.at_level(logging.WARNING):
        (source,) = open_sources([tmp_path], limits=LIMITS, missing_images="skip")
    assert source.trajectory.frame_indices == (0, 2, 3)
    assert [p.path.name for p in pictures_of(source)] == [f"frame{n}.png" for n in (0, 2, 3)]
    x = [float(camera.centre_in_world[0]) for camera in source.trajectory.cameras]
    assert x == pytest.approx([0.0, 0.2, 0.3])
    assert "1 of the 4 images" in caplog.text
    assert "left out, the first is images/frame1.png (frame 1)" in caplog.text
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(InputError, match="4 of the 4 images"):
        open_sources([tmp_path], limits=LIMITS, missing_images="skip")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_an_image_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    coded_folder(tmp_path / "images", 3)
    (tmp_path / "images" / "frame1.png").write_bytes(content)
    write_camera_json(tmp_path / "camera.json", 3)
    error, message = (VideoError, "cannot be decoded") if content else (InputError, "is empty")
    with pytest.raises(error, match=rf"frame1\.png {message}"):
        opened(tmp_path)


def test_cameras_at_one_place_have_no_parallax(tmp_path: Path) -> None:
    root = worldstereo_scene(tmp_path / "subway")
    with pytest.raises(InputError, match=r"no parallax: all 3 cameras .*pano_bank.* other pos"):
        opened(root / "pano_bank")
    # Equal centres whose rotations were rounded to 32 bits scatter when the poses are inverted.
    coded_video(tmp_path / "turn" / "video.mp4", 8)
    poses: list[list[list[float]]] = []
    for number in range(8):
        rotation = cv2.Rodrigues(np.array([0.1, 0.2 * number, 0.3]))[0]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ (100.0, 50.0, 20.0)
        poses.append(pose.astype(np.float32).astype(float).tolist())
    path = write_camera_json(tmp_path / "turn" / "camera.json", 8)
    path.write_text(json.dumps({**json.loads(path.read_text()), "extrinsic": poses}))
    with pytest.raises(InputError, match="no parallax: all 8 cameras"):
        opened(tmp_path / "turn")


@pytest.mark.parametrize("bad", [float("nan"), 2.0])
def test_a_pose_that_is_none_surfaces_with_its_file(tmp_path: Path, bad: float) -> None:
    coded_scene(tmp_path / "traj0")
    path = tmp_path / "traj0" / "camera.json"
    content = json.loads(path.read_text())
    content["extrinsic"][3][1][1] = bad
    path.write_text(json.dumps(content))
    with pytest.raises(TrajectoryError, match=r"traj0/camera\.json") as caught:
        opened(tmp_path)
    assert caught.value.ids["path"] == str(path)
    assert str(caught.value.ids["frame"]) == "3"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (IngestLimits(max_sources=1), "2 trajectories, more than max_sources=1"),
        (IngestLimits(max_frames=5), "6 frames is above the cap max_frames=5"),
        (IngestLimits(max_pixels=3_071), "64x48 is above the cap max_pixels=3071"),
        (IngestLimits(max_entries=5), "more than 5 files and folders"),
    ],
)
def test_caps(tmp_path: Path, limits: IngestLimits, message: str) -> None:
    coded_scene(tmp_path / "a")
    coded_scene(tmp_path / "b")
    with pytest.raises(LimitError, match=message):
        open_sources([tmp_path], limits=limits)


def test_an_image_above_the_cap_is_refused_by_its_header(tmp_path: Path) -> None:
    coded_folder(tmp_path / "images", 2)
    write_camera_json(tmp_path / "camera.json", 2)
    bomb = bytearray((tmp_path / "images" / "frame1.png").read_bytes())
    for width_px, message in ((9_000, "9000x9000 is above the cap max_pixels"), (60_000, "bomb")):
        bomb[16:24] = width_px.to_bytes(4, "big") * 2
        bomb[29:33] = _crc(bytes(bomb[12:29]))
        (tmp_path / "images" / "frame1.png").write_bytes(bomb)
        with pytest.raises(LimitError, match=rf"frame1\.png.*{message}"):
            opened(tmp_path)


def _crc(chunk: bytes) -> bytes:
    return zlib.crc32(chunk).to_bytes(4, "big")


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="max_frames must be positive, got 0"):
        IngestLimits(max_frames=0)
