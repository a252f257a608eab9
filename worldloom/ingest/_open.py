"""From input paths to validated sources, without decoding them."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worldloom.cameras import CameraTrajectory, load_trajectory
from worldloom.errors import FrameCountError, InputError, LimitError
from worldloom.ingest._binding import MissingImages, bind_pictures, bind_video, require_parallax
from worldloom.ingest._layout import Capture, find_captures
from worldloom.ingest._limits import IngestLimits
from worldloom.ingest._source import Source

_logger = logging.getLogger(__name__)
_MAX_NAME_PARTS = 3


def open_sources(
    inputs: Sequence[Path],
    trajectories: Sequence[Path | CameraTrajectory] = (),
    *,
    limits: IngestLimits,
    missing_images: MissingImages = "error",
) -> tuple[Source, ...]:
    """Finds the videos and images of the inputs, joins them with cameras and checks everything.

    An input is a video (mp4, mov, webm, mkv), a folder of images, a folder with a video or an
    `images` folder and a trajectory file, a `transforms.json` or its folder, a COLMAP folder, or a
    scene folder with any number of those at any depth (WorldStereo). All share one world frame.
    Headers and packet tables are read; only the first frame of each video is decoded.

    Args:
        inputs: Videos and folders.
        trajectories: Files, or trajectories in memory: one for each video or image folder that the
            inputs hold, in that order. None: each lies beside or inside its input.
        limits: Caps.
        missing_images: What becomes of images that a `transforms.json` or COLMAP model lists and
            that are not there: an error, or (`skip`) they are left out and that is logged.

    Returns:
        One source a trajectory, in the order of the inputs and of the names inside them.

    Raises:
        TrajectoryError: a trajectory is missing, unreadable, or not that of its images.
        FrameCountError: numbers of frames and poses, or of videos and trajectories, differ.
        VideoError: a video or image cannot be read.
        LimitError: something is above a cap.
        InputError: something else is wrong with the input; the message says what.
    """
    if not inputs:
        raise InputError("no input; give at least one video or folder")
    captures = [
        capture
        for path in inputs
        for capture in find_captures(Path(path), limits, need_trajectory=not trajectories)
    ]
    if len(captures) > limits.max_sources:
        raise LimitError(
            f"the inputs hold {len(captures)} trajectories, more than max_sources="
            f"{limits.max_sources}; give fewer, or raise max_sources of the ingest limits",
            path=str(inputs[0]),
            value=len(captures),
            limit=limits.max_sources,
        )
    given = _one_each(captures, trajectories)
    loaded = [
        _renamed(_loaded(trajectory), name)
        for trajectory, name in zip(given, unique_names(captures), strict=True)
    ]
    require_parallax(loaded)
    sources = tuple(
        _bound(capture, trajectory, origin, limits, missing_images)
        for capture, trajectory, origin in zip(captures, loaded, given, strict=True)
    )
    for source in sources:
        _logger.info("%s: %d frames", source.name, len(source))
    return sources


def unique_names(captures: Sequence[Capture]) -> list[str]:
    """Names captures: their own names where these differ, else with the folders above them."""
    names = [capture.name for capture in captures]
    parts = [capture.place.resolve().parts[1:] for capture in captures]
    for above in range(1, _MAX_NAME_PARTS + 1):
        counts = Counter(names)
        for number, name in enumerate(names):
            if counts[name] > 1:
                names[number] = _with_parents(captures[number], parts[number], above)
    counts, seen = Counter(names), Counter[str]()
    for number, name in enumerate(names):
        seen[name] += 1
        if counts[name] > 1:
            names[number] = f"{name}-{seen[name]}"
    return names


def _with_parents(capture: Capture, parts: tuple[str, ...], above: int) -> str:
    """Puts folders before a name: those before the part of the path that the name begins with."""
    first = capture.name.split("/")[0]
    at = max((i for i, part in enumerate(parts) if part == first), default=len(parts) - 1)
    return "/".join((*parts[max(0, at - above) : at], capture.name))


def _one_each(
    captures: Sequence[Capture], trajectories: Sequence[Path | CameraTrajectory]
) -> list[Path | CameraTrajectory]:
    if not trajectories:
        return [capture.trajectory for capture in captures if capture.trajectory is not None]
    if len(trajectories) != len(captures):
        listed = ", ".join(str(capture.video or capture.images) for capture in captures)
        raise FrameCountError(
            f"{len(trajectories)} trajectories for {len(captures)} videos or image folders "
            f"({listed}); give one each, in the same order",
            path=str(captures[0].place),
            frames=len(captures),
            poses=len(trajectories),
        )
    return list(trajectories)


def _loaded(trajectory: Path | CameraTrajectory) -> CameraTrajectory:
    if isinstance(trajectory, CameraTrajectory):
        return trajectory
    return load_trajectory(Path(trajectory))


def _renamed(trajectory: CameraTrajectory, name: str) -> CameraTrajectory:
    return replace(trajectory, name=name)


def _bound(
    capture: Capture,
    trajectory: CameraTrajectory,
    origin: Path | CameraTrajectory,
    limits: IngestLimits,
    missing_images: MissingImages,
) -> Source:
    limits.check_frames(capture.place, len(trajectory))
    if capture.video is not None:
        return bind_video(capture.video, capture.mask, trajectory, limits)
    folder = capture.images or capture.place
    path = Path(origin) if not isinstance(origin, CameraTrajectory) else None
    return bind_pictures(folder, trajectory, path, limits, missing_images=missing_images)
