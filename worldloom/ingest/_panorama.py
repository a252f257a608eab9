"""Equirectangular panoramas as sources: each is a source of its own, cut into perspective views."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import (
    Camera,
    CameraIntrinsics,
    CameraTrajectory,
    load_poses,
)
from worldloom.errors import FrameCountError, InputError
from worldloom.ingest._layout import IMAGE_FOLDERS, trajectory_beside
from worldloom.ingest._limits import IngestLimits
from worldloom.ingest._pictures import (
    Picture,
    decode_picture,
    is_picture,
    list_pictures,
    probe_picture,
)
from worldloom.ingest._source import Panorama, Source
from worldloom.ingest._stored import Ingested, StoredFrame, store_pixels
from worldloom.panorama import PanoramaImage, SphereSampling, panorama_from_view
from worldloom.store import ArtifactKey, Store, artifact_key

LEAST_HEIGHT_PX = 32
PANORAMA_STAGE = "panorama_view"
PANORAMA_VERSION = 1
_logger = logging.getLogger(__name__)
_NO_LENS = CameraIntrinsics(1, 1, 1, 1, 2, 2)


def list_panoramas(inputs: Sequence[Path]) -> list[Path]:
    """Returns the panoramas that inputs name: files, and the pictures of folders.

    Raises:
        InputError: an input does not exist, or is neither a picture nor a folder of pictures.
    """
    found: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path", path=str(path))
        if path.is_dir():
            folders = [path, *(path / name for name in IMAGE_FOLDERS)]
            pictures = next((there for f in folders if (there := list_pictures(f))), [])
            if not pictures:
                raise InputError(
                    f"{path} holds no images (png, jpg, webp, bmp, tif); give panoramas, or a "
                    "folder of them",
                    path=str(path),
                )
            found += pictures
        elif is_picture(path):
            found.append(path)
        else:
            raise InputError(
                f"{path} is no image (png, jpg, webp, bmp, tif); give panoramas, or a folder of "
                "them",
                path=str(path),
            )
    return found


def probe_panorama(path: Path, limits: IngestLimits) -> Picture:
    """Reads the header of a panorama.

    Raises:
        InputError: it cannot be read, is not twice as wide as high, or is too small to show
            anything.
        LimitError: it is above a cap.
    """
    picture = probe_picture(path, limits)
    width, height = picture.width_px, picture.height_px
    if width != 2 * height:
        raise InputError(
            f"{path} has {width}x{height} pixels, but an equirectangular panorama is twice as wide "
            "as high: it shows 360 x 180 degrees; pad a partial one to that, with transparent "
            "pixels where nothing is known",
            path=str(path),
        )
    if height < LEAST_HEIGHT_PX:
        raise InputError(
            f"{path} has {width}x{height} pixels, too few to see anything; give at least "
            f"{2 * LEAST_HEIGHT_PX}x{LEAST_HEIGHT_PX}",
            path=str(path),
        )
    return picture


def open_panoramas(
    inputs: Sequence[Path],
    trajectory: Path | CameraTrajectory | None,
    sampling: SphereSampling,
    *,
    limits: IngestLimits,
) -> tuple[Source, ...]:
    """Joins panoramas with their poses and cuts them into views.

    The trajectory holds one pose a panorama, of the frame of the panorama (OpenCV axes, the middle
    column looks along +z); its intrinsics do not count. Poses go by file name where the trajectory
    has names, else by order.

    Args:
        inputs: Panoramas, or folders of them.
        trajectory: Poses; None for the file that lies with the panoramas. One panorama needs none:
            its frame is the world then.
        sampling: How to cut.
        limits: Caps.

    Returns:
        One source a panorama, in the order given.

    Raises:
        InputError: a panorama cannot be read or is none; several have no poses.
        TrajectoryError: the trajectory cannot be read.
        FrameCountError: the numbers of panoramas and poses differ.
    """
    paths = list_panoramas(inputs)
    pictures = [probe_panorama(path, limits) for path in paths]
    poses = _poses(paths, trajectory)
    names = _names(paths)
    return tuple(
        _source(picture, pose, name, sampling)
        for picture, pose, name in zip(pictures, poses, names, strict=True)
    )


def _poses(
    paths: list[Path], trajectory: Path | CameraTrajectory | None
) -> list[Float64[np.ndarray, "4 4"]]:
    beside = trajectory_beside(paths[0].parent)
    given = beside if trajectory is None else trajectory
    if given is None:
        if len(paths) == 1:
            return [np.eye(4)]
        raise InputError(
            f"{len(paths)} panoramas without poses; give a trajectory file with one pose for each "
            "(see docs/panoramas.md), or put it beside them as camera.json or transforms.json",
            path=str(paths[0].parent),
        )
    found = given if isinstance(given, CameraTrajectory) else load_poses(given)
    named = {
        Path(name).stem: camera
        for name, camera in zip(found.frame_names, found.cameras, strict=False)
    }
    if all(path.stem in named for path in paths):
        return [named[path.stem].world_from_cam for path in paths]
    if len(found) == len(paths):
        return [camera.world_from_cam for camera in found.cameras]
    if len(paths) == 1 and trajectory is None:
        _logger.warning("%s is ignored: it holds no pose of %s", given, paths[0])
        return [np.eye(4)]
    raise FrameCountError(
        f"{len(paths)} panoramas, but the trajectory {found.name} has {len(found)} poses, and "
        "not all panoramas are found in it by name; give one pose for each, in the order of "
        "the panoramas or with their file names",
        path=str(paths[0]),
        frames=len(paths),
        poses=len(found),
    )


def _names(paths: list[Path]) -> list[str]:
    """File names without suffix, with the folder before them where two are the same."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    longer = [f"{path.resolve().parent.name}/{path.stem}" for path in paths]
    if len(set(longer)) == len(longer):
        return longer
    return [f"{name}-{number}" for number, name in enumerate(longer, start=1)]


def _source(
    picture: Picture,
    world_from_pano: Float64[np.ndarray, "4 4"],
    name: str,
    sampling: SphereSampling,
) -> Source:
    # A trajectory checks poses, and makes rotations proper.
    (posed,) = CameraTrajectory((Camera(_NO_LENS, world_from_pano),), (0,), name=name).cameras
    cameras = sampling.cameras(picture.width_px, posed.world_from_cam)
    trajectory = CameraTrajectory(cameras, tuple(range(len(cameras))), name=name)
    return Source(name, Panorama(picture, posed.world_from_cam), trajectory)


@dataclass(frozen=True, eq=False)
class PanoramaViewContent:
    """All that a stored view of a panorama depends on."""

    source_sha256: str
    lens: CameraIntrinsics
    pano_from_view: Float64[np.ndarray, "3 3"]

    @property
    def key(self) -> ArtifactKey:
        """Key of the stored view."""
        return artifact_key(PANORAMA_STAGE, PANORAMA_VERSION, self)


class PanoramaViews:
    """Cuts the views of one panorama; it is decoded with the first that is missing.

    Args:
        store: Where the views go.
        panorama: The panorama.
        content: The bytes of its file.
    """

    def __init__(self, store: Store, panorama: Panorama, content: bytes) -> None:
        self._store = store
        self._panorama = panorama
        self._content = content
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._image: PanoramaImage | None = None

    def stored(self, camera: Camera) -> Ingested:
        """Returns a view, made where it is not in the store yet.

        Raises:
            VideoError: the panorama is damaged.
            StoreError: the view cannot be written.
        """
        rotation = panorama_from_view(camera, self._panorama.world_from_pano)
        # Rounded, so that the same view has the same key at any pose of the panorama.
        content = PanoramaViewContent(self._sha256, camera.intrinsics, np.round(rotation, 9) + 0.0)
        found = self._store.result(content.key, StoredFrame)
        if found is not None:
            return Ingested(content.key, found, reused=True)
        if self._image is None:
            decoded = decode_picture(self._panorama.picture, self._content)
            focal = float(camera.intrinsics.fx)
            self._image = PanoramaImage(decoded.rgb, decoded.data, focal)
        rgb, data = self._image.view(camera, content.pano_from_view)
        return store_pixels(self._store, content.key, rgb, data)
