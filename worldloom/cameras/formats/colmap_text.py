"""COLMAP sparse models as text: `cameras.txt`, `images.txt`, `points3D.txt`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats import colmap
from worldloom.cameras.formats._source import TrajectorySource, read_text, write_file
from worldloom.errors import TrajectoryError


@dataclass(frozen=True)
class _Line:
    number: int
    words: tuple[str, ...]


def read(source: TrajectorySource) -> CameraTrajectory:
    """Reads a text model.

    Raises:
        TrajectoryError: a file is missing or damaged, or a camera model is not supported.
    """
    folder = colmap.model_folder(source.path, ".txt")
    if folder is None:
        raise source.origin.error("holds no cameras.txt and images.txt; give a COLMAP model")
    cameras = [_camera(line, folder / "cameras.txt") for line in _lines(folder / "cameras.txt")]
    images = list(_images(folder / "images.txt"))
    return colmap.trajectory_from_model(source, folder / "images.txt", cameras, images)


def read_points(folder: Path) -> colmap.ColmapPoints:
    """Reads `points3D.txt` in a folder; points are in the order of the file.

    Raises:
        TrajectoryError: the file is missing or damaged.
    """
    path = folder / "points3D.txt"
    rows: list[tuple[float, ...]] = []
    for line in _lines(path):
        if len(line.words) < 8:
            raise _damaged(path, line)
        rows.append(_floats(line.words[1:8], path, line))
    return colmap.points_from(rows, Origin(path))


def write(trajectory: CameraTrajectory, path: Path) -> None:
    """Writes a text model without points into a folder.

    Raises:
        TrajectoryError: the model cannot hold the trajectory, or a file cannot be written.
    """
    colmap.require_no_other_form(path, ".bin")
    model = colmap.model_from_trajectory(trajectory, path)
    cameras = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
    for camera in model.cameras:
        head = f"{camera.camera_id} {camera.kind.name} {camera.width_px} {camera.height_px}"
        cameras.append(" ".join([head, *map(repr, camera.parameters)]))
    images = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "# POINTS2D[]"]
    for image in model.images:
        pose = " ".join(map(repr, (*image.quaternion_wxyz, *image.translation)))
        images += [f"{image.image_id} {pose} {image.camera_id} {image.name}", ""]
    points = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]"]
    for stem, lines in (("cameras", cameras), ("images", images), ("points3D", points)):
        write_file(path / f"{stem}.txt", ("\n".join(lines) + "\n").encode())


def _lines(path: Path) -> Iterator[_Line]:
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        if text.strip() and not text.lstrip().startswith("#"):
            yield _Line(number, tuple(text.split()))


def _camera(line: _Line, path: Path) -> colmap.ColmapCamera:
    if len(line.words) < 4:
        raise _damaged(path, line)
    kind = colmap.model_kind(line.words[1], Origin(path, f"camera {line.words[0]}"))
    parameters = _floats(line.words[4:], path, line)
    if len(parameters) != len(kind.parameters):
        raise Origin(path, f"camera {line.words[0]}").error(
            f"line {line.number} has {len(parameters)} parameters, but {kind.name} has "
            f"{len(kind.parameters)} ({', '.join(kind.parameters)}); export the model again"
        )
    camera_id, width_px, height_px = _integers((line.words[0], *line.words[2:4]), path, line)
    return colmap.ColmapCamera(camera_id, kind, width_px, height_px, parameters)


def _images(path: Path) -> Iterator[colmap.ColmapImage]:
    """Yields images: two lines each, of which the second, the 2D points, may be empty."""
    lines = read_text(path).splitlines()
    number = 0
    while number < len(lines):
        text = lines[number].strip()
        number += 1
        if not text or text.startswith("#"):
            continue
        words = text.split(maxsplit=9)
        line = _Line(number, tuple(words))
        if len(words) != 10:
            raise _damaged(path, line)
        pose = _floats(line.words[1:8], path, line)
        image_id, camera_id = _integers((words[0], words[8]), path, line)
        yield colmap.ColmapImage(image_id, pose[:4], pose[4:], camera_id, words[9])
        number += 1


def _floats(words: tuple[str, ...], path: Path, line: _Line) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise _damaged(path, line) from error


def _integers(words: tuple[str, ...], path: Path, line: _Line) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise _damaged(path, line) from error


def _damaged(path: Path, line: _Line) -> TrajectoryError:
    return Origin(path).error(
        f"line {line.number} is damaged or cut off: {' '.join(line.words)[:80]!r}; export the "
        "model again"
    )
