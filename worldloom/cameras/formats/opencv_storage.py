"""OpenCV: XML or YAML of `cv2.FileStorage`, with the node names of OpenCV's calibration sample.

| node | what it is |
|---|---|
| `image_width`, `image_height` | image size; may be missing |
| `camera_matrix` | K, pixels; **the centre of the top-left pixel is (0, 0)** in OpenCV: half a pixel is added on reading and taken off on writing |
| `distortion_coefficients` | k1 k2 p1 p2 [k3]; may be missing; further ones must be 0 |
| `extrinsic_parameters` | N x 6: Rodrigues vector and translation, `cam_from_world`, one row a frame |
| `frame_indices`, `frame_names` | frame numbers and file names; ours, may be missing |
"""  # noqa: E501

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats._matrices import (
    FrameOrder,
    Lens,
    inverse,
    lens_from_matrix,
    lens_from_numbers,
    numbers,
    trajectory_from,
)
from worldloom.cameras.formats._opencv_document import Matrix, Node, number_of, read_document
from worldloom.cameras.formats._source import (
    ImageSize,
    TrajectorySource,
    read_bytes,
    write_file,
)

_HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads an OpenCV file with intrinsics and poses.

    Raises:
        TrajectoryError: the file is damaged, a node is missing, or a value is wrong.
    """
    nodes = read_document(read_bytes(source.path), source.origin)
    lens = _lens(nodes, source)
    poses = _poses(nodes, source.origin)
    order = _order(nodes, len(poses), source.origin)
    return trajectory_from(source, poses, [lens] * len(poses), order)


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes XML or YAML, by the suffix of the path; the format has one lens for all frames.

    Raises:
        TrajectoryError: the lenses differ, or the file cannot be written.
    """
    lens = trajectory[0].intrinsics
    for camera, index in zip(trajectory.cameras, trajectory.frame_indices, strict=True):
        if camera.intrinsics != lens:
            raise Origin(path, index).error(
                "an OpenCV file holds one lens, but this frame has another than the first; save as "
                "transforms.json or COLMAP"
            )
    suffix = ".xml" if path.suffix == ".xml" else ".yml"
    storage = cv2.FileStorage(suffix, cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    if not trajectory.size_is_inferred:
        storage.write("image_width", lens.width_px)
        storage.write("image_height", lens.height_px)
    storage.write("camera_matrix", lens.matrix - _HALF_PIXEL)
    storage.write("distortion_coefficients", np.array([lens.distortion]).T)
    storage.write("extrinsic_parameters", np.stack([_row(c.cam_from_world) for c in trajectory]))
    storage.write("frame_indices", np.array([trajectory.frame_indices], np.int32).T)
    if trajectory.frame_names:
        storage.startWriteStruct("frame_names", cv2.FileNode_SEQ)
        for name in trajectory.frame_names:
            storage.write("", name)
        storage.endWriteStruct()
    write_file(path, storage.releaseAndGetString().encode())


def _row(cam_from_world: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "6"]:
    rotation = Rotation.from_matrix(cam_from_world[:3, :3]).as_rotvec()
    return np.concatenate([rotation, cam_from_world[:3, 3]])


def _matrix(nodes: dict[str, Node], name: str, origin: Origin) -> np.ndarray | None:
    node = nodes.get(name)
    if node is None:
        return None
    if not isinstance(node, Matrix):
        raise origin.error(f"node {name} is no matrix; write it as opencv-matrix")
    return node.values


def _size(nodes: dict[str, Node], origin: Origin) -> ImageSize | None:
    width, height = nodes.get("image_width"), nodes.get("image_height")
    if width is None or height is None:
        return None
    try:
        if isinstance(width, str) and isinstance(height, str):
            return int(number_of(width)), int(number_of(height))
    except (ValueError, OverflowError) as error:
        raise origin.error(
            f"image_width and image_height are no numbers ({error}); mend the file"
        ) from error
    raise origin.error("image_width and image_height are no numbers; mend the file")


def _lens(nodes: dict[str, Node], source: TrajectorySource) -> Lens:
    origin = source.origin
    matrix = _matrix(nodes, "camera_matrix", origin)
    if matrix is None and source.intrinsics is None:
        raise origin.error("has no node camera_matrix; add it or pass intrinsics=")
    if source.intrinsics is not None and (matrix is None or source.poses_only):
        return Lens(source.intrinsics)
    if source.intrinsics is not None:
        raise origin.error("holds a camera_matrix of its own; pass no intrinsics")
    size = _size(nodes, origin) or source.image_size
    pinhole = lens_from_matrix(
        numbers(matrix, (3, 3), "camera_matrix", origin) + _HALF_PIXEL,
        size,
        "camera_matrix",
        origin,
    ).intrinsics
    focal = {"fx": pinhole.fx, "fy": pinhole.fy, "cx": pinhole.cx, "cy": pinhole.cy}
    return lens_from_numbers(focal | _distortion(nodes, origin), size, "camera_matrix", origin)


def _distortion(nodes: dict[str, Node], origin: Origin) -> dict[str, float]:
    matrix = _matrix(nodes, "distortion_coefficients", origin)
    if matrix is None:
        return {}
    values = numbers(matrix.ravel(), (matrix.size,), "distortion_coefficients", origin)
    if np.any(values[len(_DISTORTION) :]):
        raise origin.error(
            f"{values.size} distortion coefficients: only k1 k2 p1 p2 k3 are supported; undistort "
            "the images first"
        )
    return {name: float(v) for name, v in zip(_DISTORTION, values, strict=False)}


def _poses(nodes: dict[str, Node], origin: Origin) -> list[Float64[np.ndarray, "4 4"]]:
    table = _matrix(nodes, "extrinsic_parameters", origin)
    if table is None:
        raise origin.error(
            "has no node extrinsic_parameters, so it is a calibration without poses; add them "
            "(N x 6: Rodrigues vector and translation, world to camera)"
        )
    if table.ndim != 2 or table.shape[1] != 6:
        raise origin.error(
            f"extrinsic_parameters has the shape {list(table.shape)}, not [N, 6]; mend the file"
        )
    poses: list[Float64[np.ndarray, "4 4"]] = []
    for index, row in enumerate(table):
        values = numbers(row, (6,), "extrinsic_parameters", origin.at(index))
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = Rotation.from_rotvec(values[:3]).as_matrix()
        cam_from_world[:3, 3] = values[3:]
        poses.append(inverse(cam_from_world))
    return poses


def _order(nodes: dict[str, Node], count: int, origin: Origin) -> FrameOrder:
    indices = tuple(range(count))
    table = _matrix(nodes, "frame_indices", origin)
    if table is not None:
        values = numbers(table.ravel(), (table.size,), "frame_indices", origin)
        indices = tuple(int(value) for value in values)
    node = nodes.get("frame_names", [])
    listed = [node] if isinstance(node, str) else node
    names = tuple(str(name) for name in listed) if isinstance(listed, list) else ()
    if len(indices) != count or (names and len(names) != count):
        raise origin.error(
            f"{count} poses, {len(indices)} frame_indices and {len(names)} frame_names; write one "
            "of each a frame"
        )
    return FrameOrder(tuple(range(count)), indices, names)
