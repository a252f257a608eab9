"""Sources as tests open them."""

from pathlib import Path

import numpy as np

from tests.ingest_media import HEIGHT_PX, WIDTH_PX, extrinsics
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
