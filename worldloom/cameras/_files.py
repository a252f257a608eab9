"""Loading and saving trajectories in any of the known formats."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin
from worldloom.cameras._trajectory import CameraTrajectory
from worldloom.cameras.formats import (
    colmap,
    colmap_binary,
    colmap_text,
    opencv_storage,
    transforms,
    tum,
    worldmirror,
    worldstereo,
)
from worldloom.cameras.formats._source import (
    ImageSize,
    TrajectorySource,
    parse_json_object,
    read_bytes,
)


class TrajectoryFormat(StrEnum):
    """A format of trajectory files."""

    WORLDSTEREO = "worldstereo"
    """WorldStereo `camera.json`."""
    WORLDSTEREO_PANORAMA = "worldstereo-panorama"
    """WorldStereo `pano_bank/cameras.json`."""
    WORLDMIRROR = "worldmirror"
    """WorldMirror prior camera file."""
    TRANSFORMS = "transforms"
    """nerfstudio or instant-ngp `transforms.json`."""
    COLMAP_BINARY = "colmap-binary"
    """COLMAP sparse model, `cameras.bin` and `images.bin`."""
    COLMAP_TEXT = "colmap-text"
    """COLMAP sparse model, `cameras.txt` and `images.txt`."""
    OPENCV = "opencv"
    """OpenCV XML or YAML."""
    TUM = "tum"
    """TUM text lines."""


@dataclass(frozen=True)
class _Codec:
    read: Callable[[TrajectorySource], CameraTrajectory]
    write: Callable[[CameraTrajectory, Path], None]


_CODECS = {
    TrajectoryFormat.WORLDSTEREO: _Codec(worldstereo.read_video, worldstereo.write_video),
    TrajectoryFormat.WORLDSTEREO_PANORAMA: _Codec(
        worldstereo.read_panorama, worldstereo.write_panorama
    ),
    TrajectoryFormat.WORLDMIRROR: _Codec(worldmirror.read, worldmirror.write),
    TrajectoryFormat.TRANSFORMS: _Codec(transforms.read, transforms.write),
    TrajectoryFormat.COLMAP_BINARY: _Codec(colmap_binary.read, colmap_binary.write),
    TrajectoryFormat.COLMAP_TEXT: _Codec(colmap_text.read, colmap_text.write),
    TrajectoryFormat.OPENCV: _Codec(opencv_storage.read, opencv_storage.write),
    TrajectoryFormat.TUM: _Codec(tum.read, tum.write),
}
_WITHOUT_INTRINSICS = {TrajectoryFormat.TUM, TrajectoryFormat.OPENCV}
_NO_LENS = CameraIntrinsics(1, 1, 1, 1, 2, 2)
_IN_FOLDERS = ("transforms.json", "camera.json", "cameras.json")
_BY_FILE_NAME = {
    "camera.json": TrajectoryFormat.WORLDSTEREO,
    "cameras.json": TrajectoryFormat.WORLDSTEREO_PANORAMA,
    "camera_params.json": TrajectoryFormat.WORLDMIRROR,
    "prior_camera.json": TrajectoryFormat.WORLDMIRROR,
    "transforms.json": TrajectoryFormat.TRANSFORMS,
}
_BY_SUFFIX = {
    "": TrajectoryFormat.COLMAP_BINARY,
    ".xml": TrajectoryFormat.OPENCV,
    ".yml": TrajectoryFormat.OPENCV,
    ".yaml": TrajectoryFormat.OPENCV,
    ".txt": TrajectoryFormat.TUM,
    ".tum": TrajectoryFormat.TUM,
}
_COMMON_NAMES = ("camera", "transforms", "trajectory", "poses", "prior_camera")


def load_trajectory(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002, the word of the format's users
    image_size: ImageSize | None = None,
    intrinsics: CameraIntrinsics | None = None,
    name: str | None = None,
) -> CameraTrajectory:
    """Reads the one trajectory that a file, or a COLMAP folder, holds.

    Args:
        path: A file in one of the formats of `TrajectoryFormat`; for COLMAP the folder of the
            sparse model, one above it (`sparse/0`), or a file in it. A folder with exactly one
            transforms.json, camera.json or cameras.json is as good as that file.
        format: A `TrajectoryFormat`; None finds it out from the content.
        image_size: Width and height, pixels, for formats that hold none (WorldStereo, WorldMirror);
            others keep their own. Without it the size is inferred as twice the principal point and
            `size_is_inferred` is set.
        intrinsics: Intrinsics of all frames for formats that hold none (TUM).
        name: Name of the trajectory; None takes it from the path.

    Returns:
        The trajectory, in the world of the file, OpenCV axes.

    Raises:
        TrajectoryError: the file cannot be read, is in no known format, or holds what is no
            trajectory; the message names the file, the frame and the remedy.
    """
    place = Path(path)
    if not place.exists():
        raise Origin(place).error("does not exist; check the path")
    place = _file_in(place) if format is None else place
    kind = _detected(place) if format is None else _named(format, place)
    if intrinsics is not None and kind not in _WITHOUT_INTRINSICS:
        raise Origin(place).error(f"{kind} files hold intrinsics of their own; pass none")
    source = TrajectorySource(place, name or _name_of(place), image_size, intrinsics)
    return _CODECS[kind].read(source)


def load_poses(path: str | Path) -> CameraTrajectory:
    """Reads a trajectory of pictures without a lens: panoramas.

    Args:
        path: As in `load_trajectory`. Intrinsics may be missing and are not looked at, but COLMAP
            has to hold some; a `transforms.json` may name the camera model EQUIRECTANGULAR.

    Returns:
        The trajectory; its intrinsics mean nothing.

    Raises:
        TrajectoryError: as in `load_trajectory`.
    """
    place = Path(path)
    if not place.exists():
        raise Origin(place).error("does not exist; check the path")
    place = _file_in(place)
    source = TrajectorySource(place, _name_of(place), None, _NO_LENS, poses_only=True)
    return _CODECS[_detected(place)].read(source)


def save_trajectory(
    trajectory: CameraTrajectory,
    path: str | Path,
    format: str | None = None,  # noqa: A002
) -> None:
    """Writes a trajectory.

    Args:
        trajectory: What to write.
        path: File; for COLMAP a folder. It is replaced as a whole.
        format: A `TrajectoryFormat`; None finds it out from the name: camera.json, cameras.json,
            camera_params.json, transforms.json, .xml/.yml/.yaml (OpenCV), .txt/.tum (TUM), no
            suffix (COLMAP, binary).

    Raises:
        TrajectoryError: the format cannot hold the trajectory, or the file cannot be written.
    """
    place = Path(path)
    if format is not None:
        kind = _named(format, place)
    else:
        suffix_kind = _BY_SUFFIX.get(place.suffix.lower())
        found = _BY_FILE_NAME.get(place.name, suffix_kind)
        if found is None:
            raise Origin(place).error(f"its name tells no format; pass format=, one of {_known()}")
        kind = found
    _CODECS[kind].write(trajectory, place)


def load_colmap_points(path: str | Path) -> colmap.ColmapPoints:
    """Reads the sparse points of a COLMAP model.

    Args:
        path: Folder of the sparse model, one above it, or a file in it.

    Raises:
        TrajectoryError: there is no model, or its file of points is missing or damaged.
    """
    place = Path(path)
    binary, text = colmap.model_folder(place, ".bin"), colmap.model_folder(place, ".txt")
    if binary is not None:
        return colmap_binary.read_points(binary)
    if text is not None:
        return colmap_text.read_points(text)
    raise Origin(place).error("holds no COLMAP model; give the folder with cameras and images")


def _known() -> str:
    return ", ".join(TrajectoryFormat)


def _named(format_name: str, path: Path) -> TrajectoryFormat:
    try:
        return TrajectoryFormat(format_name)
    except ValueError as error:
        raise Origin(path).error(
            f"there is no format {format_name!r}; pass one of {_known()}"
        ) from error


def _file_in(path: Path) -> Path:
    """Returns the one trajectory file of a folder; anything else as it is."""
    if not path.is_dir() or any(colmap.model_folder(path, suffix) for suffix in (".bin", ".txt")):
        return path
    found = [path / name for name in _IN_FOLDERS if (path / name).is_file()]
    if len(found) != 1:
        what = " and ".join(file.name for file in found) or "no trajectory file"
        raise Origin(path).error(
            f"the folder holds {what}; give the file itself ({', '.join(_IN_FOLDERS)}) or the "
            "folder of a COLMAP model"
        )
    return found[0]


def _detected(path: Path) -> TrajectoryFormat:
    if colmap.model_folder(path, ".bin"):
        return TrajectoryFormat.COLMAP_BINARY
    if colmap.model_folder(path, ".txt"):
        return TrajectoryFormat.COLMAP_TEXT
    data = read_bytes(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if data.startswith((b"<?xml", b"<opencv_storage", b"%YAML")):
        return TrajectoryFormat.OPENCV
    if data.startswith((b"{", b"[")):
        text = data.decode(errors="replace")
        return _detected_json(parse_json_object(text, Origin(path)), path)
    lines = data.decode(errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if tum.is_pose_line(first):
        return TrajectoryFormat.TUM
    raise Origin(path).error(f"is in no known format; give one of {_known()}")


def _detected_json(document: dict[str, object], path: Path) -> TrajectoryFormat:
    keys = set(document)
    if "frames" in keys:
        return TrajectoryFormat.TRANSFORMS
    if keys & {"extrinsic", "intrinsic"}:
        return TrajectoryFormat.WORLDSTEREO
    if keys & {"extrinsics", "intrinsics"}:
        return TrajectoryFormat.WORLDMIRROR
    if any(
        isinstance(v, dict) and v.keys() & {"extrinsic", "intrinsic"} for v in document.values()
    ):
        return TrajectoryFormat.WORLDSTEREO_PANORAMA
    raise Origin(path).error(
        f"the JSON has the keys {sorted(keys)[:8]}, which are those of no known format; expected "
        "extrinsic and intrinsic (WorldStereo), extrinsics and intrinsics (WorldMirror) or frames "
        "(transforms.json)"
    )


def _name_of(path: Path) -> str:
    """Returns a name for people: of the file, or of its folder where the file name says little."""
    place = path.resolve()
    colmap_folder = colmap.model_folder(place, ".bin") or colmap.model_folder(place, ".txt")
    if colmap_folder is not None:
        place = colmap_folder
        while place.name == "sparse" or place.name.isdecimal():
            place = place.parent
        return place.name or "trajectory"
    says_little = place.stem.startswith(_COMMON_NAMES)
    return (place.parent.name if says_little else place.stem) or "trajectory"
