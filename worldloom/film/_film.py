"""A film of a scene: a path, what is filmed, and the file."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from jaxtyping import UInt8

from worldloom.cameras import CameraTrajectory
from worldloom.display import surroundings
from worldloom.errors import ConfigError
from worldloom.export import write_atomically
from worldloom.film._config import FilmConfig, Preset
from worldloom.film._paths import fly_through, orbit, resampled, with_size
from worldloom.film._source import ViewSource, view_source
from worldloom.film._video import write_video
from worldloom.scene import ReconstructedScene

_PRESET_SECONDS = 8.0
_LONGEST_FRAMES = 100_000
Image = UInt8[np.ndarray, "h w 3"]
OnFrame = Callable[[int, int], None]
"""Called after each frame with the number of frames done, and of all."""


@dataclass(frozen=True)
class Film:
    """What was filmed."""

    path: Path
    """The video, or the folder of pictures."""
    source: str
    """What is seen in it: textured mesh, mesh or splats."""
    frames: int
    width_px: int
    height_px: int
    seconds: float


def render_scene(
    scene: ReconstructedScene,
    out: str | os.PathLike[str],
    trajectory: CameraTrajectory | str = "fly-through",
    config: FilmConfig | None = None,
    on_frame: OnFrame | None = None,
) -> Film:
    """Films a scene from new places.

    Args:
        scene: What `reconstruct_scene` or `load_scene` returned.
        out: `*.mp4` for a video (H.264), or a folder for pictures `000000.png`, ...
        trajectory: Cameras in the world of the scene, or `orbit` or `fly-through`.
        config: Size, length, quality; None for the usual ones.
        on_frame: Called after each frame.

    Raises:
        ConfigError: settings that make no film, or a name that is neither a video nor a folder.
        InputError: the scene does not have what shall be filmed.
        ExportError: the film cannot be written.
    """
    settings = config or FilmConfig()
    target = Path(out)
    if target.suffix.lower() not in ("", ".mp4"):
        raise ConfigError(
            f"{target.name} is no film; give a name that ends in .mp4, or a folder for pictures",
            field="out",
        )
    is_video = target.suffix.lower() == ".mp4"
    path = (
        _even(_path(scene, trajectory, settings))
        if is_video
        else _path(scene, trajectory, settings)
    )
    source = view_source(scene, settings.source, settings.samples)
    images = _images(source, path, on_frame)
    if is_video:
        write_video(images, target, settings.fps, settings.crf)
    else:
        for number, image in enumerate(images):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            write_atomically(target / f"{number:06d}.png", cv2.imencode(".png", bgr)[1].tobytes())
    lens = path[0].intrinsics
    return Film(
        *(target, source.name, len(path), lens.width_px, lens.height_px),
        len(path) / settings.fps,
    )


def _path(
    scene: ReconstructedScene, trajectory: CameraTrajectory | str, settings: FilmConfig
) -> CameraTrajectory:
    wanted = settings.seconds
    if isinstance(trajectory, CameraTrajectory):
        count = len(trajectory) if wanted is None else round(wanted * settings.fps)
    elif trajectory in get_args(Preset):
        count = round((_PRESET_SECONDS if wanted is None else wanted) * settings.fps)
    else:
        raise ConfigError(
            f"{trajectory!r} is no path; give cameras, or one of {', '.join(get_args(Preset))}",
            field="trajectory",
        )
    if not 1 <= count <= _LONGEST_FRAMES:
        raise ConfigError(
            f"the film would have {count} frames; give 1 to {_LONGEST_FRAMES} by seconds and fps",
            field="seconds",
        )
    if isinstance(trajectory, CameraTrajectory):
        path = resampled(trajectory, count)
    elif trajectory == "orbit":
        path = orbit(scene.cameras, surroundings(scene.mesh, scene.cameras), count)
    else:
        path = fly_through(scene.cameras, count)
    return with_size(path, settings.width_px, settings.height_px)


def _even(path: CameraTrajectory) -> CameraTrajectory:
    """Sides without their last column or row where they are odd, as videos ask for."""
    lens = path[0].intrinsics
    width, height = lens.width_px - lens.width_px % 2, lens.height_px - lens.height_px % 2
    if not width or not height:
        raise ConfigError(
            f"a video of {lens.width_px}x{lens.height_px} pixels has no even sides; give a size",
            field="width_px",
        )
    if (width, height) == (lens.width_px, lens.height_px):
        return path
    return with_size(path, width, height)


def _images(
    source: ViewSource, path: CameraTrajectory, on_frame: OnFrame | None
) -> Iterator[Image]:
    """Frames in order; as many at work as there are cores, and no more waiting than that."""
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(path), workers):
            batch = [path[k] for k in range(first, min(first + workers, len(path)))]
            for number, image in enumerate(pool.map(source.view, batch), first + 1):
                yield image
                if on_frame is not None:
                    on_frame(number, len(path))
