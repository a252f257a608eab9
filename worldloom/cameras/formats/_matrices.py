"""Matrices as files hold them: checked, and turned into poses and intrinsics."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.cameras._camera import Camera
from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin
from worldloom.cameras._rotation import proper_rotation
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._source import ImageSize, TrajectorySource
from worldloom.errors import TrajectoryError

_SKEW_TOLERANCE = 1e-6
_INDEX = re.compile(r"0*[0-9]{1,9}", re.ASCII)
"""Names that number frames, below a billion."""


@dataclass(frozen=True)
class Lens:
    """Intrinsics as read."""

    intrinsics: CameraIntrinsics
    size_is_inferred: bool = False
    """True where the image size is twice the principal point."""


def numbers(
    value: object, shape: tuple[int, ...], what: str, origin: Origin
) -> Float64[np.ndarray, "..."]:
    """Returns an array of finite numbers of one shape.

    Raises:
        TrajectoryError: the value is something else.
    """
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise origin.error(f"{what} is no matrix of numbers ({error}); mend the file") from error
    if array.shape != shape:
        raise origin.error(
            f"{what} has the shape {list(array.shape)}, not {list(shape)}; mend the file"
        )
    if not np.isfinite(array).all():
        raise origin.error(
            f"{what} holds NaN or infinity; remove the frame or estimate its pose again"
        )
    return array


def rigid_transform(value: object, what: str, origin: Origin) -> Float64[np.ndarray, "4 4"]:
    """Returns a rigid transform from a 4x4 or 3x4 matrix.

    Raises:
        TrajectoryError: the matrix is not rigid; the message says what it looks like.
    """
    is_short = isinstance(value, Sequence | np.ndarray) and len(value) == 3
    matrix = numbers(value, (3, 4) if is_short else (4, 4), what, origin)
    transform = np.eye(4)
    transform[: len(matrix)] = matrix
    if not np.array_equal(transform[3], (0, 0, 0, 1)):
        if np.array_equal(transform[:, 3], (0, 0, 0, 1)):
            raise origin.error(
                f"{what} looks transposed: 0 0 0 1 stands in its last column, not in its last row; "
                "write the matrices row by row"
            )
        raise origin.error(
            f"{what} has the last row {transform[3].tolist()}, not 0 0 0 1; write a rigid 4x4 "
            "transform"
        )
    transform[:3, :3] = proper_rotation(transform[:3, :3], origin)
    return transform


def inverse(transform: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Returns the inverse of a rigid transform."""
    inverted = np.eye(4)
    inverted[:3, :3] = transform[:3, :3].T
    inverted[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverted


def checked_lens(origin: Origin, lens: dict[str, float], size: ImageSize) -> CameraIntrinsics:
    """Returns intrinsics, with the origin in the error if they are none.

    Args:
        origin: Where they stand.
        lens: fx, fy, cx, cy and the distortion.
        size: Image size.
    """
    try:
        return CameraIntrinsics(**lens, width_px=size[0], height_px=size[1])
    except TrajectoryError as error:
        raise origin.error(error.message) from error


def lens_from_matrix(
    value: object, image_size: ImageSize | None, what: str, origin: Origin
) -> Lens:
    """Returns the lens of a calibration matrix K, pixels.

    Args:
        value: 3x3, without skew.
        image_size: Image size; None infers it as twice the principal point.
        what: Name of the matrix in the file.
        origin: Where it stands.

    Raises:
        TrajectoryError: the matrix is no K; the message says what it looks like.
    """
    matrix = numbers(value, (3, 3), what, origin)
    if not np.array_equal(matrix[2], (0, 0, 1)):
        hint = "; it looks transposed" if np.array_equal(matrix[:, 2], (0, 0, 1)) else ""
        raise origin.error(f"{what} has the last row {matrix[2].tolist()}, not 0 0 1{hint}")
    if np.abs((matrix[0, 1], matrix[1, 0])).max() > _SKEW_TOLERANCE * abs(matrix[0, 0]):
        raise origin.error(
            f"{what} has skew ({matrix[0, 1]:.6g}, {matrix[1, 0]:.6g}); resample the images to "
            "square axes"
        )
    return lens_from_numbers(
        {"fx": matrix[0, 0], "fy": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]},
        image_size,
        what,
        origin,
    )


def lens_from_numbers(
    lens: dict[str, float], image_size: ImageSize | None, what: str, origin: Origin
) -> Lens:
    """Returns the lens of focal lengths, principal point and distortion, pixels.

    Args:
        lens: fx, fy, cx, cy and the distortion.
        image_size: Image size; None infers it as twice the principal point.
        what: Name of the intrinsics in the file.
        origin: Where they stand.

    Raises:
        TrajectoryError: they are none.
    """
    lens = {key: float(value) for key, value in lens.items()}
    if lens["fx"] < 10 and lens["cx"] <= 2 and lens["cy"] <= 2:
        raise origin.error(
            f"{what} has a principal point ({lens['cx']:.6g}, {lens['cy']:.6g}) that is not in "
            "pixels; multiply the intrinsics by the image size"
        )
    if image_size is not None:
        return Lens(checked_lens(origin, lens, image_size))
    inferred = (max(1, round(2 * lens["cx"])), max(1, round(2 * lens["cy"])))
    return Lens(checked_lens(origin, lens, inferred), size_is_inferred=True)


def natural_order(name: str) -> tuple[tuple[int, int, str, str], ...]:
    """Returns a sort key by which `frame2` comes before `frame10`.

    Numbers are compared by their digits, since Python makes no number of 4301 of them.
    """
    keys: list[tuple[int, int, str, str]] = []
    for part in re.findall(r"[0-9]+|[^0-9]+", name):
        digits = part.lstrip("0")
        is_number = part[0] in "0123456789"
        keys.append((0, len(digits), digits, part) if is_number else (1, 0, part, part))
    return tuple(keys)


@dataclass(frozen=True)
class FrameOrder:
    """In which order frames that are known by name follow each other."""

    positions: tuple[int, ...]
    """Positions in the file, in the order of the frames."""
    indices: tuple[int, ...]
    """Frame number of each."""
    names: tuple[str, ...]
    """Name of each; empty where the names are nothing but 0, 1, 2, ..."""


def frame_order(names: Sequence[str]) -> FrameOrder:
    """Orders frames by name, naturally; where all names are numbers they number the frames."""
    positions = sorted(range(len(names)), key=lambda i: natural_order(names[i]))
    ordered = tuple(names[i] for i in positions)
    indices = tuple(range(len(names)))
    if ordered == tuple(str(i) for i in indices):
        return FrameOrder(tuple(positions), indices, ())
    if all(_INDEX.fullmatch(name) for name in ordered):
        by_name = tuple(int(name) for name in ordered)
        if len(set(by_name)) == len(by_name):
            indices = by_name
    return FrameOrder(tuple(positions), indices, ordered)


def trajectory_from(
    source: TrajectorySource,
    poses: Sequence[Float64[np.ndarray, "4 4"]],
    lenses: Sequence[Lens],
    order: FrameOrder | None = None,
) -> CameraTrajectory:
    """Returns the trajectory of what was read, one pose and one lens a frame.

    Args:
        source: The file.
        poses: `world_from_cam`, in the order of the file.
        lenses: In the order of the file.
        order: Order, numbers and names of the frames; None keeps that of the file.

    Raises:
        TrajectoryError: there is no frame.
    """
    if not poses:
        raise source.origin.error("holds no camera; give a file with at least one")
    if order is None:
        order = FrameOrder(tuple(range(len(poses))), tuple(range(len(poses))), ())
    try:
        return CameraTrajectory(
            tuple(Camera(lenses[i].intrinsics, poses[i]) for i in order.positions),
            order.indices,
            order.names,
            source.name,
            any(lens.size_is_inferred for lens in lenses),
        )
    except TrajectoryError as error:
        raise source.origin.error(error.message) from error


def require_pinhole(trajectory: CameraTrajectory, origin: Origin, kind: str) -> None:
    """Refuses distorted lenses for a format that cannot hold them.

    Raises:
        TrajectoryError: a lens is distorted.
    """
    for camera, index in zip(trajectory.cameras, trajectory.frame_indices, strict=True):
        if camera.intrinsics.is_distorted:
            raise origin.at(index).error(
                f"{kind} cannot hold lens distortion; undistort the images or save as "
                "transforms.json, COLMAP or OpenCV"
            )


def require_size(trajectory: CameraTrajectory, origin: Origin, kind: str) -> None:
    """Refuses inferred image sizes for a format that states them.

    Raises:
        TrajectoryError: the image size was never given.
    """
    if trajectory.size_is_inferred:
        raise origin.error(
            f"{kind} needs the image size, which the source of this trajectory did not hold; load "
            "it with image_size=(width, height)"
        )


def frame_names(trajectory: CameraTrajectory) -> tuple[str, ...]:
    """Returns the names of the frames, made from their numbers where there are none."""
    return trajectory.frame_names or tuple(
        f"frame_{index:06d}.png" for index in trajectory.frame_indices
    )
