"""Sources as tests open them."""

import json
from pathlib import Path

import numpy as np

from tests.ingest_media import (
    HEIGHT_PX,
    WIDTH_PX,
    coded_image,
    coded_video,
    extrinsics,
    write_camera_json,
    write_image,
)
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.ingest import IngestLimits, Picture, Source, Video, open_sources

LIMITS = IngestLimits()


def opened(*inputs: Path, trajectories: tuple[Path, ...] = ()) -> tuple[Source, ...]:
    return open_sources(inputs, trajectories, limits=LIMITS)


def names(sources: tuple[Source, ...]) -> list[str]:
    for source in sources:
        assert source.trajectory.name == source.name
    return [source.name for source in sources]


def video_of(source: Source) -> Video:
    assert isinstance(source.media, Video)
    return source.media


def pictures_of(source: Source) -> tuple[Picture, ...]:
    assert isinstance(source.media, tuple)
    return source.media


def in_memory(frames: int, lens: CameraIntrinsics | None = None) -> CameraTrajectory:
    lens = lens or CameraIntrinsics(60.0, 60.0, WIDTH_PX / 2, HEIGHT_PX / 2, WIDTH_PX, HEIGHT_PX)
    cameras = [Camera(lens, np.linalg.inv(np.array(pose))) for pose in extrinsics(frames)]
    return CameraTrajectory(tuple(cameras), tuple(range(frames)))


# Layouts


def worldstereo_scene(root: Path) -> Path:
    for number, place in enumerate(("view1/traj10", "view1/traj9", "view0/traj0")):
        folder = root / place
        coded_video(folder / "render.mp4", 5)
        coded_video(folder / "render_mask.mp4", 5)
        write_camera_json(folder / "camera.json", 5, start=float(number))
        (folder / "traj_caption.json").write_text('{"prompt": "a hall"}')
        write_image(folder.parent / "start_frame.png", coded_image(0))
    bank = root / "pano_bank"
    cameras: dict[str, object] = {}
    for number in range(3):
        write_image(bank / "images" / f"{number:04d}.png", coded_image(number))
        matrix = [[60.0, 0.0, WIDTH_PX / 2], [0.0, 60.0, HEIGHT_PX / 2], [0.0, 0.0, 1.0]]
        pose = {"extrinsic": np.eye(4).tolist(), "intrinsic": matrix}
        cameras[f"{number:04d}"] = pose
    (bank / "cameras.json").write_text(json.dumps(cameras))
    return root
