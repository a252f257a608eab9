"""COLMAP sparse models: what the text and the binary form share.

https://colmap.github.io/format.html and https://colmap.github.io/cameras.html. Poses are
`cam_from_world` as quaternion (w, x, y, z) and translation, OpenCV axes; the centre of the top-left
pixel is (0.5, 0.5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin
from worldloom.cameras._rotation import matrix_from_quaternion, quaternion_from_matrix
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import (
    Lens,
    checked_lens,
    frame_names,
    frame_order,
    inverse,
    numbers,
    require_size,
    trajectory_from,
)
from worldloom.cameras.formats._source import TrajectorySource


@dataclass(frozen=True)
class ColmapModelKind:
    """A camera model of COLMAP."""

    number: int
    """Its number in binary files."""
    name: str
    """Its name in text files."""
    parameters: tuple[str, ...]
    """Its parameters in order; `f` is both focal lengths."""


SUPPORTED_MODELS = (
    ColmapModelKind(0, "SIMPLE_PINHOLE", ("f", "cx", "cy")),
    ColmapModelKind(1, "PINHOLE", ("fx", "fy", "cx", "cy")),
    ColmapModelKind(2, "SIMPLE_RADIAL", ("f", "cx", "cy", "k1")),
    ColmapModelKind(3, "RADIAL", ("f", "cx", "cy", "k1", "k2")),
    ColmapModelKind(4, "OPENCV", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")),
)
_OTHER_MODELS = {
    5: "OPENCV_FISHEYE",
    6: "FULL_OPENCV",
    7: "FOV",
    8: "SIMPLE_RADIAL_FISHEYE",
    9: "RADIAL_FISHEYE",
    10: "THIN_PRISM_FISHEYE",
    11: "RAD_TAN_THIN_PRISM_FISHEYE",
}


@dataclass(frozen=True)
class ColmapCamera:
    """A camera of a sparse model."""

    camera_id: int
    kind: ColmapModelKind
    width_px: int
    height_px: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """An image of a sparse model with its pose, `cam_from_world`."""

    image_id: int
    quaternion_wxyz: tuple[float, ...]
    translation: tuple[float, ...]
    camera_id: int
    name: str


@dataclass(frozen=True, eq=False)
class ColmapPoints:
    """The sparse points of a model."""

    points_in_world: Float64[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"]
    """sRGB."""
    errors_px: Float64[np.ndarray, "n"]
    """Mean reprojection error."""


def model_kind(model: str | int, origin: Origin) -> ColmapModelKind:
    """Returns a supported camera model by name or number.

    Raises:
        TrajectoryError: the model is not supported or unknown; the message names it.
    """
    for kind in SUPPORTED_MODELS:
        if model in (kind.name, kind.number):
            return kind
    name = _OTHER_MODELS.get(model, f"number {model}") if isinstance(model, int) else model
    supported = ", ".join(kind.name for kind in SUPPORTED_MODELS)
    raise origin.error(
        f"camera model {name} is not supported; undistort the images with COLMAP's "
        f"image_undistorter, or use {supported}"
    )


def model_folder(path: Path, suffix: str) -> Path | None:
    """Returns the folder of a sparse model, given it, a file in it, or what it lies below.

    Args:
        path: `model`, `model/images.bin`, or a folder with `sparse/0` or `sparse`.
        suffix: `.bin` or `.txt`.
    """
    if path.is_file() or path.suffix == suffix:
        known = {f"{stem}{suffix}" for stem in ("cameras", "images", "points3D", "rigs", "frames")}
        return path.parent if path.name in known else None
    for folder in (path, path / "sparse" / "0", path / "sparse"):
        if any((folder / f"{stem}{suffix}").is_file() for stem in ("cameras", "images")):
            return folder
    return None


def trajectory_from_model(
    source: TrajectorySource,
    path: Path,
    cameras: Sequence[ColmapCamera],
    images: Sequence[ColmapImage],
) -> CameraTrajectory:
    """Returns the trajectory of a sparse model, images ordered by name.

    Args:
        source: The model.
        path: The file of the images, for errors.
        cameras: All cameras.
        images: All images.

    Raises:
        TrajectoryError: an image has no camera, or a pose or a camera is wrong.
    """
    by_id = {camera.camera_id: camera for camera in cameras}
    poses: list[Float64[np.ndarray, "4 4"]] = []
    lenses: list[Lens] = []
    for image in images:
        origin = Origin(path, image.name)
        if image.camera_id not in by_id:
            raise origin.error(
                f"its camera {image.camera_id} is not in the file of the cameras; take both files "
                "from one model"
            )
        quaternion = numbers(image.quaternion_wxyz, (4,), "quaternion", origin)
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = matrix_from_quaternion(quaternion, origin)
        cam_from_world[:3, 3] = numbers(image.translation, (3,), "translation", origin)
        poses.append(inverse(cam_from_world))
        lenses.append(Lens(_intrinsics(by_id[image.camera_id], origin)))
    order = frame_order([image.name for image in images])
    return trajectory_from(source, poses, lenses, order)


def _intrinsics(camera: ColmapCamera, origin: Origin) -> CameraIntrinsics:
    values = dict(zip(camera.kind.parameters, camera.parameters, strict=True))
    if "f" in values:
        focal = values.pop("f")
        values |= {"fx": focal, "fy": focal}
    return checked_lens(origin, values, (camera.width_px, camera.height_px))


@dataclass(frozen=True)
class ColmapModel:
    """Cameras and images, ready to write."""

    cameras: tuple[ColmapCamera, ...]
    images: tuple[ColmapImage, ...]


def model_from_trajectory(trajectory: CameraTrajectory, folder: Path) -> ColmapModel:
    """Returns the sparse model of a trajectory: equal intrinsics share one camera.

    Raises:
        TrajectoryError: the image size is unknown, or a lens has k3.
    """
    require_size(trajectory, Origin(folder), "a COLMAP model")
    cameras: dict[CameraIntrinsics, ColmapCamera] = {}
    images: list[ColmapImage] = []
    for position, (name, camera) in enumerate(
        zip(frame_names(trajectory), trajectory, strict=True), start=1
    ):
        lens = camera.intrinsics
        if lens.k3:
            raise Origin(folder, name).error(
                "distortion k3 does not fit COLMAP's OPENCV model; undistort the images, or save "
                "as transforms.json or OpenCV"
            )
        if lens not in cameras:
            cameras[lens] = _colmap_camera(len(cameras) + 1, lens)
        quaternion = quaternion_from_matrix(camera.cam_from_world[:3, :3])
        images.append(
            ColmapImage(
                position,
                tuple(map(float, quaternion)),
                tuple(map(float, camera.cam_from_world[:3, 3])),
                cameras[lens].camera_id,
                name,
            )
        )
    return ColmapModel(tuple(cameras.values()), tuple(images))


def _colmap_camera(camera_id: int, lens: CameraIntrinsics) -> ColmapCamera:
    kind = SUPPORTED_MODELS[4 if lens.is_distorted else 1]
    values: Mapping[str, float] = {
        "fx": lens.fx,
        "fy": lens.fy,
        "cx": lens.cx,
        "cy": lens.cy,
        "k1": lens.k1,
        "k2": lens.k2,
        "p1": lens.p1,
        "p2": lens.p2,
    }
    parameters = tuple(values[name] for name in kind.parameters)
    return ColmapCamera(camera_id, kind, lens.width_px, lens.height_px, parameters)


def require_no_other_form(folder: Path, suffix: str) -> None:
    """Refuses to put a second form of a model beside a first, which would then be read instead.

    Args:
        folder: Where a model is about to be written.
        suffix: Suffix of the other form.

    Raises:
        TrajectoryError: the folder holds a model of the other form.
    """
    for stem in ("cameras", "images"):
        if (folder / f"{stem}{suffix}").exists():
            raise Origin(folder).error(
                f"holds a model as {suffix} already; choose another folder or remove it"
            )


def points_from(rows: Sequence[tuple[float, ...]], origin: Origin) -> ColmapPoints:
    """Returns points from rows (x, y, z, red, green, blue, error).

    Raises:
        TrajectoryError: a place is not finite, or a colour is none.
    """
    table = numbers(rows or np.zeros((0, 7)), (len(rows), 7), "the table of points", origin)
    if not ((table[:, 3:6] >= 0) & (table[:, 3:6] <= 255)).all():
        raise origin.error("a point has a colour that is not 0 to 255; export the model again")
    return ColmapPoints(table[:, :3], table[:, 3:6].astype(np.uint8), table[:, 6])
