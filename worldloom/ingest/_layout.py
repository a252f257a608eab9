"""Where the videos, images, masks and trajectory files of an input lie."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worldloom.errors import InputError, LimitError, TrajectoryError
from worldloom.ingest._limits import IngestLimits
from worldloom.ingest._pictures import is_picture, list_pictures, natural_key
from worldloom.ingest._video import VIDEO_SUFFIXES

TRAJECTORY_NAMES = (
    "camera.json",
    "cameras.json",
    "transforms.json",
    "camera_params.json",
    "prior_camera.json",
    "sparse/0",
    "sparse",
    "colmap/sparse/0",
)
"""What a trajectory file is called where none is given, in order of preference."""
IMAGE_FOLDERS = ("images", "image", "rgb", "color", "frames")
_GENERIC_STEMS = frozenset({"video", "render", "result", "output", "input", *IMAGE_FOLDERS})
_MASK_TAIL = "_mask"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capture:
    """A video or a folder of images, and the trajectory file that lies with it."""

    place: Path
    """The folder or file that names it."""
    name: str
    """Readable name; unique only after `unique_names`."""
    video: Path | None = None
    images: Path | None = None
    """Folder that image names are relative to."""
    mask: Path | None = None
    """Video in which white stands for no data."""
    trajectory: Path | None = None


@dataclass
class _Listing:
    """What one folder holds directly."""

    videos: list[Path] = field(default_factory=list[Path])
    pictures: int = 0
    folders: list[Path] = field(default_factory=list[Path])
    others: Counter[str] = field(default_factory=Counter[str])


def find_captures(path: Path, limits: IngestLimits, *, need_trajectory: bool) -> list[Capture]:
    """Finds what an input holds, in natural order of the folder names.

    A capture is a video beside a trajectory file, or images beside or above one; the search does
    not go on below it. Where several videos lie beside one trajectory file, the generated one
    (`video.*`, then `*result.*`) goes before `render.*`. `X_mask.mp4` is the mask of `X.mp4`.

    Args:
        path: A video, a `transforms.json`, or a folder.
        limits: Caps on the search.
        need_trajectory: False where the trajectories are given apart from the input.

    Raises:
        InputError: there is nothing to reconstruct here.
        TrajectoryError: there are videos or images, but no trajectory.
        LimitError: the folder is too large to search.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path", path=str(path))
    if path.is_file():
        return [_capture_of_file(path, need_trajectory)]
    search = _Search(path, limits)
    captures = list(search.captures(path))
    if not captures:
        captures = _captures_beside(path)
    if not captures and not need_trajectory:
        captures = search.without_trajectory()
    if captures:
        if need_trajectory:
            search.warn_of_left_out()
        return captures
    raise search.nothing_found()


def _capture_of_file(path: Path, need_trajectory: bool) -> Capture:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        trajectory = _trajectory_of_video(path)
        if trajectory is None and need_trajectory:
            raise _no_trajectory(path, [path.parent], f"{path.stem}.json")
        generic = path.stem in _GENERIC_STEMS or path.stem.endswith("result")
        name = path.resolve().parent.name if generic else path.stem
        return Capture(path, name, path, None, _mask_of(path), trajectory)
    if path.name.startswith("transforms") and path.suffix == ".json":
        return Capture(path.parent, path.resolve().parent.name, None, path.parent, None, path)
    raise InputError(
        f"{path} is not a video ({', '.join(sorted(VIDEO_SUFFIXES))}), a transforms.json "
        "or a folder; images are given as the folder that holds them",
        path=str(path),
    )


def _captures_beside(path: Path) -> list[Capture]:
    """Images whose trajectory file lies beside their folder, not in it."""
    parent = path.resolve().parent
    trajectory = _trajectory_in(parent)
    if trajectory is None or not list_pictures(path):
        return []
    return [Capture(path, _folder_name(path), None, path, None, trajectory)]


class _Search:
    """A bounded walk through the folders of one input."""

    def __init__(self, root: Path, limits: IngestLimits) -> None:
        self._root = root
        self._limits = limits
        self._entries = 0
        self._unposed: list[Capture] = []
        self._seen = _Listing()

    def captures(self, folder: Path) -> Iterator[Capture]:
        """Walks the folder and yields what has a trajectory."""
        listing = self._list(folder)
        trajectory = _trajectory_in(folder)
        if trajectory is not None:
            found = self._posed(folder, listing, trajectory)
            if found is not None:
                yield found
                return
            _logger.warning("%s is ignored: there are no videos or images beside it", trajectory)
        self._remember_unposed(folder, listing)
        for child in listing.folders:
            yield from self.captures(child)

    def without_trajectory(self) -> list[Capture]:
        """Returns the videos, or else the first folder of images, without a trajectory."""
        videos = [capture for capture in self._unposed if capture.video is not None]
        return videos or self._unposed[:1]

    def warn_of_left_out(self) -> None:
        """Logs the videos that have no trajectory, where others have one."""
        for capture in self._unposed:
            if capture.video is not None:
                _logger.warning("%s is left out: no trajectory file beside it", capture.video)

    def nothing_found(self) -> InputError:
        """Returns the error for an input that holds no capture."""
        if self._unposed:
            return _no_trajectory(self._unposed[0].place, [self._root, self._root.parent])
        if not self._entries:
            return InputError(
                f"{self._root} is an empty folder; give one that holds videos or images",
                path=str(self._root),
            )
        kinds = ", ".join(f"{kind} ({count})" for kind, count in self._seen.others.most_common(5))
        return InputError(
            f"{self._root} holds no videos ({', '.join(sorted(VIDEO_SUFFIXES))}) and no images "
            f"(png, jpg, webp, bmp, tif); found {kinds or 'only empty folders'}",
            path=str(self._root),
        )

    def _posed(self, folder: Path, listing: _Listing, trajectory: Path) -> Capture | None:
        name, images = self._name(folder), _image_folder(folder, listing)
        if trajectory.name == "transforms.json":
            images = folder
        names_images = trajectory.name == "transforms.json" or trajectory.is_dir()
        if listing.videos and not (names_images and images):
            video = _chosen(folder, listing.videos)
            return Capture(folder, name, video, None, _mask_of(video), trajectory)
        if images is not None:
            return Capture(folder, name, None, images, None, trajectory)
        return None

    def _remember_unposed(self, folder: Path, listing: _Listing) -> None:
        name = self._name(folder)
        for video in listing.videos:
            own = name if len(listing.videos) == 1 else f"{name}/{video.stem}"
            self._unposed.append(Capture(video, own, video, None, _mask_of(video)))
        images = _image_folder(folder, listing)
        if images is not None:
            self._unposed.append(Capture(folder, name, None, images))

    def _name(self, folder: Path) -> str:
        if folder == self._root:
            return _folder_name(folder)
        return folder.relative_to(self._root).as_posix()

    def _list(self, folder: Path) -> _Listing:
        listing = _Listing()
        with os.scandir(folder) as entries:
            for entry in entries:
                self._entries += 1
                self._check_entries()
                path = Path(entry.path)
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    listing.folders.append(path)
                elif path.suffix.lower() in VIDEO_SUFFIXES:
                    listing.videos.append(path)
                elif is_picture(path):
                    listing.pictures += 1
                else:
                    self._seen.others[path.suffix.lower() or path.name] += 1
        listing.folders.sort(key=lambda child: natural_key(child.name))
        listing.videos = _without_masks(listing.videos)
        return listing

    def _check_entries(self) -> None:
        if self._entries > self._limits.max_entries:
            raise LimitError(
                f"{self._root} holds more than {self._limits.max_entries} files and folders; "
                "give the folder of the scene itself, or raise max_entries of the ingest limits",
                path=str(self._root),
                value=self._entries,
                limit=self._limits.max_entries,
            )


def _trajectory_in(folder: Path) -> Path | None:
    for name in TRAJECTORY_NAMES:
        path = folder / name
        if path.is_file() or (path.is_dir() and _is_colmap(path)):
            return path
    return None


def trajectory_beside(folder: Path) -> Path | None:
    """Returns the trajectory file in a folder of images, or beside it where that is its name."""
    found = _trajectory_in(folder)
    if found is None and folder.name in IMAGE_FOLDERS:
        found = _trajectory_in(folder.resolve().parent)
    return found


def _is_colmap(folder: Path) -> bool:
    return any((folder / f"images{suffix}").is_file() for suffix in (".bin", ".txt"))


def _trajectory_of_video(path: Path) -> Path | None:
    own = path.with_suffix(".json")
    return own if own.is_file() else _trajectory_in(path.parent)


def _mask_of(video: Path) -> Path | None:
    names = (f"{video.stem}{_MASK_TAIL}{suffix}" for suffix in sorted(VIDEO_SUFFIXES))
    return next((path for path in map(video.with_name, names) if path.is_file()), None)


def _image_folder(folder: Path, listing: _Listing) -> Path | None:
    named = (folder / name for name in IMAGE_FOLDERS)
    inside = next((path for path in named if path.is_dir()), None)
    return folder if inside is None and listing.pictures else inside


def _without_masks(videos: list[Path]) -> list[Path]:
    stems = {video.stem for video in videos}
    kept = (v for v in videos if v.stem.removesuffix(_MASK_TAIL) not in stems - {v.stem})
    return sorted(kept, key=lambda video: natural_key(video.name))


def _chosen(folder: Path, videos: list[Path]) -> Path:
    choices = (
        [video for video in videos if video.stem == "video"],
        [video for video in videos if video.stem.endswith("result")],
        [video for video in videos if video.stem == "render"],
        videos,
    )
    chosen = next(choice for choice in choices if choice)
    if len(chosen) > 1:
        raise InputError(
            f"{folder} holds {len(videos)} videos for one trajectory "
            f"({', '.join(video.name for video in videos)}); give the video itself",
            path=str(folder),
        )
    if len(videos) > 1:
        _logger.info("%s is used; the other videos beside it are not", chosen[0])
    return chosen[0]


def _folder_name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.parent.name if resolved.name in _GENERIC_STEMS else resolved.name


def _no_trajectory(path: Path, folders: list[Path], *more: str) -> TrajectoryError:
    return TrajectoryError(
        f"no camera trajectory for {path}: looked for {', '.join((*TRAJECTORY_NAMES, *more))} in "
        f"{' and '.join(map(str, folders))}; put one there or give it with --trajectory FILE",
        path=str(path),
    )
