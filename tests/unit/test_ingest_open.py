import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ingest_media import (
    HEIGHT_PX,
    WIDTH_PX,
    coded_folder,
    coded_image,
    coded_scene,
    coded_video,
    write_camera_json,
    write_image,
    write_transforms_json,
)
from tests.ingest_sources import (
    LIMITS,
    in_memory,
    names,
    opened,
    pictures_of,
    video_of,
    worldstereo_scene,
)
from worldloom.cameras import CameraIntrinsics
from worldloom.errors import (
    FrameCountError,
    InputError,
    TrajectoryError,
)
from worldloom.ingest import open_sources


def test_a_video_with_the_trajectory_beside_it(tmp_path: Path) -> None:
    (source,) = opened(coded_scene(tmp_path / "traj0") / "video.mp4")
    assert source.name == source.trajectory.name == "traj0"
    assert video_of(source).frame_count == len(source) == 6
    assert source.mask is None
    intrinsics = source.trajectory.cameras[0].intrinsics
    assert (intrinsics.width_px, intrinsics.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert not source.trajectory.size_is_inferred


def test_a_video_with_a_trajectory_of_its_own_name(tmp_path: Path) -> None:
    coded_video(tmp_path / "walk.mp4", 3)
    write_camera_json(tmp_path / "walk.json", 3)
    write_camera_json(tmp_path / "camera.json", 99)
    assert names(opened(tmp_path / "walk.mp4")) == ["walk"]


def test_a_folder_with_a_video(tmp_path: Path) -> None:
    folder = coded_scene(tmp_path / "hall")
    write_image(folder / "depth" / "0000.png", coded_image(0))
    write_image(folder / "start_frame.png", coded_image(0))
    (source,) = opened(folder)
    assert source.name == "hall"
    assert video_of(source).path == folder / "video.mp4"


@pytest.mark.parametrize("given", ["", "images"])
def test_a_folder_of_images_with_the_trajectory_inside_or_beside(
    tmp_path: Path, given: str
) -> None:
    scene = tmp_path / "room"
    coded_folder(scene / "images", 12)
    coded_folder(scene / "depth", 5)
    write_camera_json(scene / "camera.json", 12)
    (source,) = opened(scene / given)
    assert source.name == "room"
    order = [picture.path.name for picture in pictures_of(source)]
    assert order == [f"frame{number}.png" for number in range(12)]


def test_images_right_beside_their_trajectory(tmp_path: Path) -> None:
    coded_folder(tmp_path / "shots", 4, ".jpg")
    write_camera_json(tmp_path / "shots" / "camera.json", 4)
    (source,) = opened(tmp_path / "shots")
    assert source.name == "shots"
    assert len(pictures_of(source)) == 4


@pytest.mark.parametrize("given", ["", "transforms.json", "images"])
def test_a_transforms_json_dataset(tmp_path: Path, given: str) -> None:
    scene = tmp_path / "fox"
    coded_folder(scene / "images", 4)
    listed = ["images/frame2.png", "./images/frame0", "images/frame3.png"]
    write_transforms_json(scene / "transforms.json", listed)
    (source,) = opened(scene / given)
    assert source.name == "fox"
    found = [picture.path.name for picture in pictures_of(source)]
    assert found == ["frame0.png", "frame2.png", "frame3.png"]
    x = [float(camera.centre_in_world[0]) for camera in source.trajectory.cameras]
    assert x == pytest.approx([0.1, 0.0, 0.2])


def test_a_name_that_leads_out_of_the_folder_counts_by_its_last_part(tmp_path: Path) -> None:
    write_image(tmp_path / "secret.png", coded_image(9))
    scene = tmp_path / "fox"
    coded_folder(scene / "images", 2)
    listed = ["../../elsewhere/images/frame0.png", "/home/me/images/frame1.png"]
    write_transforms_json(scene / "transforms.json", listed)
    (source,) = opened(scene / "images")
    assert {p.path.name for p in pictures_of(source)} == {"frame0.png", "frame1.png"}
    assert [p.path.parent for p in pictures_of(source)] == [scene / "images"] * 2
    write_transforms_json(scene / "transforms.json", [*listed, "../secret.png"])
    with pytest.raises(InputError, match=r"1 of the 3 images .* the first is \.\./secret\.png"):
        opened(scene)


def test_a_colmap_folder(tmp_path: Path) -> None:
    scene = tmp_path / "colmap"
    coded_folder(scene / "images", 3)
    model = scene / "sparse" / "0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(f"1 PINHOLE {WIDTH_PX} {HEIGHT_PX} 60 60 32 24\n")
    lines = [f"{i + 1} 1 0 0 0 {-0.1 * i} 0 0 1 frame{i}.png\n\n" for i in (2, 0)]
    (model / "images.txt").write_text("".join(lines))
    (model / "points3D.txt").touch()
    (source,) = opened(scene)
    found = {
        picture.path.name: round(float(camera.centre_in_world[0]), 9)
        for picture, camera in zip(pictures_of(source), source.trajectory.cameras, strict=True)
    }
    assert found == {"frame0.png": 0.0, "frame2.png": 0.2}


def test_a_worldstereo_scene_gives_all_trajectories_masks_and_the_panorama(
    tmp_path: Path,
) -> None:
    root = worldstereo_scene(tmp_path / "subway")
    sources = opened(root)
    assert names(sources) == ["pano_bank", "view0/traj0", "view1/traj9", "view1/traj10"]
    assert [len(source) for source in sources] == [3, 5, 5, 5]
    assert sources[0].mask is None
    for source in sources[1:]:
        assert source.mask is not None
        assert source.mask.path == root / source.name / "render_mask.mp4"
    assert names(opened(root / "view1")) == ["traj9", "traj10"]
    assert names(opened(root / "view1" / "traj9")) == ["traj9"]
    assert names(opened(root / "view1" / "traj9" / "render.mp4")) == ["traj9"]


def test_the_generated_video_goes_before_the_render_and_without_its_mask(tmp_path: Path) -> None:
    root = worldstereo_scene(tmp_path / "subway")
    coded_video(root / "view0" / "traj0" / "worldstereo-memory-dmd_result.mp4", 5)
    source = opened(root / "view0")[0]
    assert video_of(source).path.name == "worldstereo-memory-dmd_result.mp4"
    assert source.mask is None


def test_several_results_beside_one_trajectory_are_a_question(tmp_path: Path) -> None:
    folder = coded_scene(tmp_path / "traj0")
    (folder / "video.mp4").rename(folder / "a_result.mp4")
    coded_video(folder / "b_result.mp4", 6)
    with pytest.raises(InputError, match=r"2 videos .*\(a_result\.mp4, b_result\.mp4\); give the"):
        opened(folder)


def test_a_video_without_a_trajectory_beside_others_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = worldstereo_scene(tmp_path / "subway")
    (root / "view0" / "traj0" / "camera.json").unlink()
    with caplog.at_level(logging.WARNING):
        sources = opened(root)
    assert names(sources) == ["pano_bank", "view1/traj9", "view1/traj10"]
    assert "traj0/render.mp4 is left out: no trajectory file beside it" in caplog.text


def test_several_videos_pair_with_several_trajectories_in_order(tmp_path: Path) -> None:
    videos = [coded_video(tmp_path / f"{name}.mp4", n) for name, n in (("b", 3), ("a", 4))]
    files = [write_camera_json(tmp_path / f"t{n}.json", n, start=float(n)) for n in (3, 4)]
    sources = opened(*videos, trajectories=tuple(files))
    assert names(sources) == ["b", "a"]
    assert [len(source) for source in sources] == [3, 4]
    assert [source.trajectory.cameras[0].centre_in_world[0] for source in sources] == [3.0, 4.0]
    with pytest.raises(FrameCountError, match=r"1 trajectories for 2 videos .*b\.mp4, .*a\.mp4"):
        opened(*videos, trajectories=(files[0],))


def test_a_folder_of_videos_pairs_with_given_trajectories(tmp_path: Path) -> None:
    for name in ("v10", "v9"):
        coded_video(tmp_path / "clips" / f"{name}.mp4", 3)
    files = tuple(write_camera_json(tmp_path / f"{n}.json", 3, start=float(n)) for n in range(2))
    assert names(opened(tmp_path / "clips", trajectories=files)) == ["clips/v9", "clips/v10"]


def test_a_given_trajectory_goes_before_the_one_beside_the_input(tmp_path: Path) -> None:
    folder = coded_scene(tmp_path / "hall", 6)
    other = write_camera_json(tmp_path / "refined.json", 6, start=5.0)
    (source,) = opened(folder, trajectories=(other,))
    assert source.trajectory.cameras[0].centre_in_world[0] == 5.0
    (source,) = open_sources([folder], [in_memory(6)], limits=LIMITS)
    assert source.trajectory.cameras[5].centre_in_world[0] == pytest.approx(0.5)


def test_names_are_unique_and_do_not_depend_on_where_the_scene_lies(tmp_path: Path) -> None:
    for root in ("here", "there"):
        for scene in ("a", "b"):
            coded_scene(tmp_path / root / scene / "traj0")
        paths = [tmp_path / root / scene / "traj0" / "video.mp4" for scene in ("a", "b")]
        assert names(opened(*paths)) == ["a/traj0", "b/traj0"]
        assert names(opened(tmp_path / root)) == ["a/traj0", "b/traj0"]


def test_one_video_twice_has_two_names(tmp_path: Path) -> None:
    path = coded_scene(tmp_path / "traj0") / "video.mp4"
    first, second = names(opened(path, path))
    assert (first[:-2], first[-2:], second) == (first[:-2], "-1", f"{first[:-2]}-2")
    assert first.endswith("traj0-1")


# Trajectories with gaps


def test_a_trajectory_with_gaps_takes_its_frames_by_number(tmp_path: Path) -> None:
    path = coded_video(tmp_path / "clip.mp4", 9)
    sparse = in_memory(9).subset([0, 4, 8])
    (source,) = open_sources([path], [sparse], limits=LIMITS)
    assert source.trajectory.frame_indices == (0, 4, 8)
    late = replace(sparse, frame_indices=(1, 5, 9))
    with pytest.raises(FrameCountError, match=r"9 frames, but .* has a pose for frame 9 .*from 0"):
        open_sources([path], [late], limits=LIMITS)
    coded_folder(tmp_path / "images", 9)
    (source,) = open_sources([tmp_path / "images"], [sparse], limits=LIMITS)
    assert [p.path.name for p in pictures_of(source)] == [f"frame{n}.png" for n in (0, 4, 8)]


# Calibrations for another size


@pytest.mark.parametrize(("scale", "explicit"), [(2.0, True), (2.0, False), (0.5, False)])
def test_intrinsics_of_another_resolution_are_rescaled_and_logged(
    tmp_path: Path, scale: float, explicit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    width, height = WIDTH_PX * scale, HEIGHT_PX * scale
    size = {"width": int(width), "height": int(height)} if explicit else {}
    coded_video(tmp_path / "video.mp4", 3)
    write_camera_json(tmp_path / "camera.json", 3, width_px=width, height_px=height, **size)
    with caplog.at_level(logging.WARNING):
        (source,) = opened(tmp_path)
    lens = source.trajectory.cameras[2].intrinsics
    assert lens == CameraIntrinsics(
        60 / scale, 60 / scale, WIDTH_PX / 2, HEIGHT_PX / 2, WIDTH_PX, HEIGHT_PX
    )
    assert "the intrinsics are rescaled" in caplog.text
    assert caplog.text.count("rescaled") == 1


def test_a_calibrated_principal_point_may_lie_off_the_centre(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coded_video(tmp_path / "video.mp4", 3)
    write_camera_json(tmp_path / "camera.json", 3, width_px=62.3, height_px=49.7)
    with caplog.at_level(logging.WARNING):
        (source,) = opened(tmp_path)
    lens = source.trajectory.cameras[0].intrinsics
    assert lens == CameraIntrinsics(60.0, 60.0, 62.3 / 2, 49.7 / 2, WIDTH_PX, HEIGHT_PX)
    assert not caplog.text


@pytest.mark.parametrize("size", [{}, {"width": 64, "height": 64}])
def test_intrinsics_of_another_shape_are_an_error(tmp_path: Path, size: dict[str, int]) -> None:
    coded_video(tmp_path / "video.mp4", 3)
    write_camera_json(tmp_path / "camera.json", 3, width_px=64, height_px=64, **size)
    with pytest.raises(TrajectoryError, match=r"64x64 pixels, the image .*video\.mp4 is 64x48"):
        opened(tmp_path)


def test_an_off_centre_principal_point_is_right_where_the_size_is_known(tmp_path: Path) -> None:
    coded_video(tmp_path / "video.mp4", 3)
    known = {"width": WIDTH_PX, "height": HEIGHT_PX}
    write_camera_json(tmp_path / "camera.json", 3, width_px=40, height_px=80, **known)
    lens = opened(tmp_path)[0].trajectory.cameras[0].intrinsics
    assert (lens.cx, lens.cy, lens.width_px, lens.height_px) == (20, 40, WIDTH_PX, HEIGHT_PX)


# Errors
