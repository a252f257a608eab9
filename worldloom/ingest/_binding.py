"""Joins a video or a folder of images with its trajectory, and checks that they belong together."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from worldloom.cameras import CameraTrajectory
from worldloom.errors import FrameCountError, InputError, TrajectoryError
from worldloom.ingest._calibration import ImageSize, check_one_size, fit_to_images
from worldloom.ingest._layout import IMAGE_FOLDERS
from worldloom.ingest._limits import IngestLimits
from worldloom.ingest._pictures import IMAGE_SUFFIXES, list_pictures, probe_picture
from worldloom.ingest._source import Source
from worldloom.ingest._video import Video, count_frames, probe_video

MissingImages = Literal["error", "skip"]
"""What becomes of images that a trajectory names and that are not there: an error, or left out."""
_logger = logging.getLogger(__name__)


def bind_video(
    path: Path, mask_path: Path | None, trajectory: CameraTrajectory, limits: IngestLimits
) -> Source:
    """Joins a video with its trajectory and its mask.

    Args:
        path: The video.
        mask_path: Video in which white stands for no data.
        trajectory: Cameras under the final name, as loaded.
        limits: Caps.

    Raises:
        FrameCountError: the numbers of frames, poses or mask frames differ.
        InputError: something cannot be read, is above a cap or does not belong together.
    """
    video = _matched(probe_video(path, limits), trajectory, limits)
    mask = None if mask_path is None else _matched_mask(mask_path, video, limits)
    size = ImageSize(path, video.width_px, video.height_px)
    fitted = fit_to_images(trajectory, [size] * len(trajectory))
    return Source(trajectory.name, video, fitted, mask)


def bind_pictures(
    folder: Path,
    trajectory: CameraTrajectory,
    trajectory_path: Path | None,
    limits: IngestLimits,
    *,
    missing_images: MissingImages = "error",
) -> Source:
    """Joins images with their trajectory: by the names in it, else in natural order.

    Args:
        folder: Folder of the images.
        trajectory: Cameras under the final name, as loaded.
        trajectory_path: File that it came from; image names may be relative to it.
        limits: Caps.
        missing_images: What becomes of images that the trajectory names and that are not there.

    Raises:
        FrameCountError: the numbers of images and poses differ.
        InputError: an image is missing, cannot be read, is above a cap or of another size.
    """
    found = _named_pictures(folder, trajectory, trajectory_path)
    if found is None:
        paths = _numbered_pictures(folder, trajectory)
    else:
        there = _present(found, trajectory, trajectory_path or folder, missing_images)
        trajectory = trajectory.subset(list(there))
        paths = list(there.values())
        _log_unused(folder, paths)
    limits.check_frames(folder, len(paths))
    pictures = tuple(probe_picture(path, limits) for path in paths)
    sizes = [ImageSize(p.path, p.width_px, p.height_px) for p in pictures]
    check_one_size(trajectory, sizes)
    return Source(trajectory.name, pictures, fit_to_images(trajectory, sizes))


def _matched(video: Video, trajectory: CameraTrajectory, limits: IngestLimits) -> Video:
    if _fits(trajectory, video.frame_count):
        return video
    # Some codecs have packets that show no frame; only decoding tells.
    exact = replace(video, frame_count=count_frames(video.path, limits))
    if _fits(trajectory, exact.frame_count):
        return exact
    raise _count_differs(exact.path, exact.frame_count, "frames", trajectory, exact.hint)


def _matched_mask(path: Path, video: Video, limits: IngestLimits) -> Video:
    mask = probe_video(path, limits)
    if (mask.width_px, mask.height_px) != (video.width_px, video.height_px):
        raise InputError(
            f"the mask {mask.path} is {mask.width_px}x{mask.height_px}, its video {video.path} is "
            f"{video.width_px}x{video.height_px}; give a mask of the same size, or remove it",
            path=str(mask.path),
        )
    if mask.frame_count != video.frame_count:
        mask = replace(mask, frame_count=count_frames(path, limits))
    if mask.frame_count != video.frame_count:
        raise FrameCountError(
            f"the mask {mask.path} has {mask.frame_count} frames, its video {video.path} has "
            f"{video.frame_count}; give a mask for each frame, or remove it",
            path=str(mask.path),
            frames=mask.frame_count,
            poses=video.frame_count,
        )
    return mask


def _fits(trajectory: CameraTrajectory, frames: int) -> bool:
    """Tells whether there is a frame for each pose; a dense trajectory needs the equal number."""
    last = trajectory.frame_indices[-1]
    return last + 1 == frames if last + 1 == len(trajectory) else last < frames


def _count_differs(
    path: Path, frames: int, noun: str, trajectory: CameraTrajectory, hint: str = ""
) -> FrameCountError:
    poses, last = len(trajectory), trajectory.frame_indices[-1]
    if last + 1 == poses:
        what = f"{path} has {frames} {noun}, but its trajectory {trajectory.name} has {poses} poses"
    else:
        what = (
            f"{path} has {frames} {noun}, but its trajectory {trajectory.name} has a pose for "
            f"frame {last} (they count from 0)"
        )
    return FrameCountError(
        f"{what}{'; ' + hint if hint else ''}; "
        "give the trajectory that it was made with, or cut one to the length of the other",
        path=str(path),
        frames=frames,
        poses=poses,
    )


def _numbered_pictures(folder: Path, trajectory: CameraTrajectory) -> list[Path]:
    paths = list_pictures(folder)
    if not paths:
        raise InputError(
            f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); check the folder",
            path=str(folder),
        )
    if not _fits(trajectory, len(paths)):
        raise _count_differs(folder, len(paths), "images", trajectory)
    return [paths[index] for index in trajectory.frame_indices]


def _named_pictures(
    folder: Path, trajectory: CameraTrajectory, trajectory_path: Path | None
) -> list[Path | None] | None:
    """Returns the image of each camera by name; None where the trajectory does not name files."""
    names = trajectory.frame_names
    if not names:
        return None
    bases = [folder]
    if trajectory_path is not None and trajectory_path.parent.resolve() != folder.resolve():
        bases.append(trajectory_path.parent)
    found = [_resolved(name, bases) for name in names]
    are_files = any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)
    if not are_files and not any(found):
        _logger.warning("%s names no files; its frames go by order", trajectory.name)
        return None
    return found


def _present(
    found: list[Path | None], trajectory: CameraTrajectory, origin: Path, missing: MissingImages
) -> dict[int, Path]:
    """Returns the images that are there, by the position of their camera."""
    there = {position: path for position, path in enumerate(found) if path is not None}
    if len(there) == len(found):
        return there
    first = found.index(None)
    name, index = trajectory.frame_names[first], trajectory.frame_indices[first]
    what = f"{len(found) - len(there)} of the {len(found)} images that {origin} lists are missing"
    if missing == "error" or not there:
        raise InputError(
            f"{what}, the first is {name} (frame {index}); copy them there, take the frames out of "
            "the file, or allow missing images",
            path=str(origin),
            frame=index,
        )
    _logger.warning("%s and left out, the first is %s (frame %d)", what, name, index)
    return there


def _log_unused(folder: Path, paths: list[Path]) -> None:
    unused = set(list_pictures(folder)) - set(paths)
    if unused:
        _logger.info("%s: %d images have no pose and are not used", folder, len(unused))


def _resolved(name: str, bases: list[Path]) -> Path | None:
    """Looks for a named image; a name that leads out of its folder counts by its last part."""
    relative = os.path.normpath(name)
    inside = not (os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir)
    tries = [base / relative for base in bases] if inside else []
    folders = [*bases, *(base / name for base in bases for name in IMAGE_FOLDERS)]
    tries += [place / Path(relative).name for place in folders]
    for path in tries:
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            return path
        for suffix in sorted(IMAGE_SUFFIXES):
            with_suffix = path.with_name(path.name + suffix)
            if with_suffix.is_file():
                return with_suffix
    return None


def require_parallax(trajectories: list[CameraTrajectory]) -> None:
    """Checks that the cameras do not all stand at one place.

    Raises:
        InputError: they do, so no depth can be triangulated.
    """
    centres = [camera.centre_in_world for item in trajectories for camera in item.cameras]
    if not centres:
        raise TrajectoryError("there are no cameras; give a trajectory with poses")
    reach = max(float(abs(centre - centres[0]).max()) for centre in centres)
    # Poses that were stored as 32-bit floats scatter by this much around one centre.
    rounding = 1e-7 * max(float(abs(centre).max()) for centre in centres)
    if reach <= rounding:
        raise InputError(
            f"no parallax: all {len(centres)} cameras stand at one place "
            f"({', '.join(item.name for item in trajectories)}), so nothing can be triangulated; "
            "give views from other positions too",
            path=trajectories[0].name,
        )
