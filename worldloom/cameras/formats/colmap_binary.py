"""COLMAP sparse models as little-endian binary: `cameras.bin`, `images.bin`, `points3D.bin`."""

import struct
from collections.abc import Iterator
from pathlib import Path

from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats import colmap
from worldloom.cameras.formats._source import TrajectorySource, read_bytes, write_file
from worldloom.errors import TrajectoryError

_POINT_2D_BYTES = 24
_TRACK_BYTES = 8


class _Cursor:
    """Reads through a file, and never past its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = read_bytes(path)
        self._at = 0

    def take(self, layout: str) -> tuple[float | int, ...]:
        """Returns the next values, by a `struct` layout."""
        size = struct.calcsize("<" + layout)
        values = struct.unpack("<" + layout, self._data[self._at : self._end_after(size)])
        self._at += size
        return values

    def whole(self, layout: str) -> tuple[int, ...]:
        """Returns the next values of a layout of integers."""
        return tuple(int(value) for value in self.take(layout))

    def text(self) -> str:
        """Returns the next text, which a zero byte ends."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self._cut_off()
        try:
            text = self._data[self._at : end].decode()
        except UnicodeDecodeError as error:
            raise Origin(self.path).error(
                f"a name at byte {self._at} is damaged; export the model again"
            ) from error
        self._at = end + 1
        return text

    def skip(self, size: int) -> None:
        """Passes over bytes."""
        self._at = self._end_after(size)

    def finish(self) -> None:
        """Requires that nothing is left."""
        if self._at != len(self._data):
            raise Origin(self.path).error(
                f"{len(self._data) - self._at} bytes are left over after the last entry; the file "
                "is damaged, export the model again"
            )

    def _end_after(self, size: int) -> int:
        if self._at + size > len(self._data):
            raise self._cut_off()
        return self._at + size

    def _cut_off(self) -> TrajectoryError:
        return Origin(self.path).error(
            f"is cut off at byte {len(self._data)}; copy or export the model again"
        )


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads a binary model.

    Raises:
        TrajectoryError: a file is missing or cut off, or a camera model is not supported.
    """
    folder = colmap.model_folder(source.path, ".bin")
    if folder is None:
        raise source.origin.error("holds no cameras.bin and images.bin; give a COLMAP model")
    cameras = list(_cameras(_Cursor(folder / "cameras.bin")))
    images = list(_images(_Cursor(folder / "images.bin")))
    return colmap.trajectory_from_model(source, folder / "images.bin", cameras, images)


def read_points(folder: Path) -> colmap.ColmapPoints:
    """Reads `points3D.bin` in a folder; points are in the order of the file.

    Raises:
        TrajectoryError: the file is missing or cut off.
    """
    cursor = _Cursor(folder / "points3D.bin")
    (count,) = cursor.whole("Q")
    rows: list[tuple[float, ...]] = []
    for _ in range(count):
        rows.append(tuple(map(float, cursor.take("Q3d3Bd")[1:])))
        (track,) = cursor.whole("Q")
        cursor.skip(track * _TRACK_BYTES)
    cursor.finish()
    return colmap.points_from(rows, Origin(cursor.path))


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a binary model without points into a folder.

    Raises:
        TrajectoryError: the model cannot hold the trajectory, or a file cannot be written.
    """
    colmap.require_no_other_form(path, ".txt")
    model = colmap.model_from_trajectory(trajectory, path)
    cameras = [struct.pack("<Q", len(model.cameras))]
    for camera in model.cameras:
        cameras.append(
            struct.pack(
                f"<iiQQ{len(camera.parameters)}d",
                camera.camera_id,
                camera.kind.number,
                camera.width_px,
                camera.height_px,
                *camera.parameters,
            )
        )
    images = [struct.pack("<Q", len(model.images))]
    for image in model.images:
        pose = (*image.quaternion_wxyz, *image.translation)
        images.append(struct.pack("<i7di", image.image_id, *pose, image.camera_id))
        images.append(image.name.encode() + b"\0" + struct.pack("<Q", 0))
    points = [struct.pack("<Q", 0)]
    for stem, parts in (("cameras", cameras), ("images", images), ("points3D", points)):
        write_file(path / f"{stem}.bin", b"".join(parts))


def _cameras(cursor: _Cursor) -> Iterator[colmap.ColmapCamera]:
    (count,) = cursor.whole("Q")
    for _ in range(count):
        camera_id, number, width_px, height_px = cursor.whole("iiQQ")
        kind = colmap.model_kind(number, Origin(cursor.path, f"camera {camera_id}"))
        parameters = tuple(map(float, cursor.take(f"{len(kind.parameters)}d")))
        yield colmap.ColmapCamera(camera_id, kind, width_px, height_px, parameters)
    cursor.finish()


def _images(cursor: _Cursor) -> Iterator[colmap.ColmapImage]:
    (count,) = cursor.whole("Q")
    for _ in range(count):
        (image_id,) = cursor.whole("i")
        pose = tuple(map(float, cursor.take("7d")))
        (camera_id,) = cursor.whole("i")
        name = cursor.text()
        (points,) = cursor.whole("Q")
        cursor.skip(points * _POINT_2D_BYTES)
        yield colmap.ColmapImage(image_id, pose[:4], pose[4:], camera_id, name)
    cursor.finish()
