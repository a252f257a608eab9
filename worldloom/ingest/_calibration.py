"""Whether a calibration belongs to the images it came with, and what to do where it does not."""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.errors import InputError, TrajectoryError

_SAME_SHAPE = 0.01
_OFF_CENTRE = 0.08
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageSize:
    """Size of one image."""

    path: Path
    """The image, or the video that it is part of."""
    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"


def check_one_size(trajectory: CameraTrajectory, sizes: Sequence[ImageSize]) -> None:
    """Checks that images which share one set of intrinsics have one size.

    Args:
        trajectory: Cameras, as loaded.
        sizes: Size of the image of each camera.

    Raises:
        InputError: the first image that differs from most of those with its intrinsics.
    """
    groups: dict[CameraIntrinsics, list[tuple[int, ImageSize]]] = {}
    numbered = zip(trajectory.cameras, trajectory.frame_indices, sizes, strict=True)
    for camera, index, size in numbered:
        groups.setdefault(camera.intrinsics, []).append((index, size))
    for group in groups.values():
        counts = Counter((size.width_px, size.height_px) for _, size in group)
        usual, number = counts.most_common(1)[0]
        for index, size in group:
            if (size.width_px, size.height_px) != usual:
                raise InputError(
                    f"{size.path} (frame {index}) is {size}, but {number} of the {len(group)} "
                    f"images with the same intrinsics are {usual[0]}x{usual[1]}; "
                    "give all of them one size, or intrinsics for each image",
                    path=str(size.path),
                    frame=index,
                )


def fit_to_images(trajectory: CameraTrajectory, sizes: Sequence[ImageSize]) -> CameraTrajectory:
    """Returns the cameras at the size of their images.

    A calibration for the same view at another resolution is rescaled, and that is logged; one for
    another aspect ratio is an error. Where the trajectory file holds no image size, twice the
    principal point stands for it, and there a calibrated principal point may lie up to 8% off the
    centre (not if it is exactly that of an image of the same aspect at another resolution).

    Args:
        trajectory: Cameras, as loaded.
        sizes: Size of the image of each camera.

    Raises:
        TrajectoryError: a calibration is not that of its image.
    """
    fitted: list[Camera] = []
    changed: tuple[CameraIntrinsics, ImageSize] | None = None
    inferred = trajectory.size_is_inferred
    numbered = zip(trajectory.cameras, trajectory.frame_indices, sizes, strict=True)
    for camera, index, size in numbered:
        lens = camera.intrinsics
        if inferred:
            new = _fitted_to_principal_point(lens, size, trajectory.name, index)
        else:
            new = _fitted_to_size(lens, size, trajectory.name, index)
        if changed is None and new.fx != lens.fx:
            changed = (lens, size)
        fitted.append(camera if new == lens else replace(camera, intrinsics=new))
    if changed is not None:
        lens, size = changed
        _logger.warning(
            "%s is calibrated for %dx%d, %s is %s: the intrinsics are rescaled",
            trajectory.name, lens.width_px, lens.height_px, size.path, size,
        )  # fmt: skip
    return replace(trajectory, cameras=tuple(fitted), size_is_inferred=False)


def _fitted_to_size(
    lens: CameraIntrinsics, size: ImageSize, name: str, index: int
) -> CameraIntrinsics:
    """Rescales intrinsics that say which size they are for."""
    if (lens.width_px, lens.height_px) == (size.width_px, size.height_px):
        return lens
    if not _same_shape(lens.width_px, lens.height_px, size):
        raise _other_shape(f"{lens.width_px}x{lens.height_px}", size, name, index)
    return lens.resized(size.width_px, size.height_px)


def _fitted_to_principal_point(
    lens: CameraIntrinsics, size: ImageSize, name: str, index: int
) -> CameraIntrinsics:
    """Places intrinsics that do not say which size they are for."""
    if lens.cx <= 0 or lens.cy <= 0:
        raise TrajectoryError(
            f"{name}, frame {index}: the principal point ({lens.cx:g}, {lens.cy:g}) is outside the "
            f"image {size.path}; check the intrinsics",
            path=name,
            frame=index,
        )
    scale_x, scale_y = size.width_px / (2 * lens.cx), size.height_px / (2 * lens.cy)
    near = abs(1 / scale_x - 1) <= _OFF_CENTRE and abs(1 / scale_y - 1) <= _OFF_CENTRE
    nominal = float(2 * lens.cx).is_integer() and float(2 * lens.cy).is_integer()
    exact = scale_x == scale_y == 1
    same_shape = _same_shape(2 * lens.cx, 2 * lens.cy, size)
    sized = replace(lens, width_px=size.width_px, height_px=size.height_px)
    if exact or (near and not nominal):
        return sized
    if same_shape:
        scale = math.sqrt(scale_x * scale_y)
        return replace(
            sized, fx=lens.fx * scale, fy=lens.fy * scale, cx=lens.cx * scale, cy=lens.cy * scale
        )
    raise _other_shape(f"about {2 * lens.cx:.0f}x{2 * lens.cy:.0f}", size, name, index)


def _same_shape(width_px: int | float, height_px: int | float, size: ImageSize) -> bool:
    """Tells whether two sizes have one aspect ratio, but for the rounding of small images."""
    stretch = (size.width_px / width_px) / (size.height_px / height_px)
    rounding = 1 / min(size.width_px, size.height_px)
    return abs(stretch - 1) <= max(_SAME_SHAPE, rounding)


def _other_shape(lens_size: str, size: ImageSize, name: str, index: int) -> TrajectoryError:
    return TrajectoryError(
        f"{name}, frame {index}: the calibration is for {lens_size} pixels, the image {size.path} "
        f"is {size}, of another aspect ratio: cropped, turned or not its own; "
        "give the trajectory of these images, or correct width, height and principal point in it",
        path=name,
        frame=index,
    )
