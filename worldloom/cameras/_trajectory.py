"""A named sequence of cameras."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from worldloom.cameras._camera import Camera
from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin
from worldloom.cameras._pose import CameraPose
from worldloom.cameras._rotation import proper_rotation
from worldloom.errors import TrajectoryError

_SAME_SHAPE = 0.01
_OTHER_SIZE = 0.1


@dataclass(frozen=True, eq=False)
class CameraTrajectory:
    """Cameras of consecutive frames in one world frame.

    Poses are checked on the way in: finite, rigid, right-handed. Rotations that are so but for
    rounding are replaced by the nearest rotation. Equal poses may follow each other.

    Raises:
        TrajectoryError: a pose is none, or the counts differ, or frame numbers do not increase.
    """

    cameras: tuple[Camera, ...]
    """One camera a frame."""
    frame_indices: tuple[int, ...]
    """Frame number in the source of each camera, increasing."""
    frame_names: tuple[str, ...] = ()
    """File name of each frame where the format gives one, else empty."""
    name: str = "trajectory"
    """Readable name, unique in a scene."""
    size_is_inferred: bool = False
    """True where the file held no image size, so that it stands at twice the principal point until
    `with_image_size` replaces it."""

    def __post_init__(self) -> None:
        origin = Origin(self.name)
        if not self.cameras:
            raise origin.error("the trajectory is empty; give at least one camera")
        if len(self.cameras) != len(self.frame_indices):
            raise origin.error(
                f"{len(self.cameras)} cameras but {len(self.frame_indices)} frame indices; "
                "give one index a camera"
            )
        if self.frame_names and len(self.frame_names) != len(self.cameras):
            raise origin.error(
                f"{len(self.cameras)} cameras but {len(self.frame_names)} frame names; "
                "give one name a camera, or none"
            )
        previous = -1
        for index in self.frame_indices:
            if index <= previous:
                raise origin.at(index).error(
                    f"frame number {index} follows {previous}; they must increase from 0 or more"
                )
            previous = index
        numbered = zip(self.cameras, self.frame_indices, strict=True)
        checked = tuple(_checked(camera, origin.at(index)) for camera, index in numbered)
        object.__setattr__(self, "cameras", checked)

    @classmethod
    def from_poses(
        cls,
        poses: Sequence[CameraPose],
        intrinsics: CameraIntrinsics | Sequence[CameraIntrinsics],
        name: str = "trajectory",
    ) -> "CameraTrajectory":
        """Joins poses and intrinsics.

        Args:
            poses: In the order of their frame indices.
            intrinsics: One for all poses, or one a pose. Where a pose has a `fov_deg`, both focal
                lengths are scaled to that horizontal field of view.
            name: Readable name.

        Raises:
            TrajectoryError: counts differ, or frame indices do not increase.
        """
        one_each = (
            [intrinsics] * len(poses) if isinstance(intrinsics, CameraIntrinsics) else intrinsics
        )
        if len(one_each) != len(poses):
            raise Origin(name).error(
                f"{len(poses)} poses but {len(one_each)} intrinsics; give one each, or one for all"
            )
        cameras = tuple(
            Camera(
                lens if pose.fov_deg is None else lens.with_fov_deg(pose.fov_deg),
                pose.world_from_cam,
            )
            for pose, lens in zip(poses, one_each, strict=True)
        )
        return cls(cameras, tuple(pose.frame_index for pose in poses), name=name)

    def poses(self) -> tuple[CameraPose, ...]:
        """Returns the pose of each camera, with its frame index and horizontal field of view."""
        return tuple(
            CameraPose.from_matrix(camera.world_from_cam, index, camera.intrinsics.fov_deg)
            for camera, index in zip(self.cameras, self.frame_indices, strict=True)
        )

    @property
    def world_from_cams(self) -> Float64[np.ndarray, "n 4 4"]:
        """Rigid transforms from camera to world, one a frame."""
        return np.stack([camera.world_from_cam for camera in self.cameras])

    @property
    def centres_in_world(self) -> Float64[np.ndarray, "n 3"]:
        """Centres of projection, one a frame."""
        return self.world_from_cams[:, :3, 3]

    def subset(self, positions: Sequence[int]) -> "CameraTrajectory":
        """Returns the cameras at increasing positions (0 = first; not frame numbers)."""
        for position in positions:
            if not 0 <= position < len(self):
                raise TrajectoryError(
                    f"{self.name}: no camera at position {position}; there are {len(self)}",
                    path=self.name,
                    frame=position,
                )
        return replace(
            self,
            cameras=tuple(self.cameras[i] for i in positions),
            frame_indices=tuple(self.frame_indices[i] for i in positions),
            frame_names=tuple(self.frame_names[i] for i in positions) if self.frame_names else (),
        )

    def every(self, step: int) -> "CameraTrajectory":
        """Returns every `step`-th camera, beginning with the first."""
        if step < 1:
            raise TrajectoryError(f"{self.name}: every {step}-th camera; give 1 or more")
        return self.subset(range(0, len(self), step))

    def resized(self, width_px: int, height_px: int) -> "CameraTrajectory":
        """Returns the cameras of the same images resampled to another size."""
        cameras = tuple(camera.resized(width_px, height_px) for camera in self.cameras)
        return replace(self, cameras=cameras)

    def with_image_size(self, width_px: int, height_px: int) -> "CameraTrajectory":
        """Replaces an inferred image size by the real one; the calibration stays in pixels.

        A size that came with the file must be the real one already: resample with `resized`, or
        find out why it differs.

        Raises:
            TrajectoryError: the principal point is outside the image, or the calibration is plainly
                that of another resolution, or the file gave another size.
        """
        if not self.size_is_inferred:
            return self._require_size(width_px, height_px)
        cameras: list[Camera] = []
        for camera, index in zip(self.cameras, self.frame_indices, strict=True):
            lens = replace(camera.intrinsics, width_px=width_px, height_px=height_px)
            _require_fit(lens, Origin(self.name, index))
            cameras.append(replace(camera, intrinsics=lens))
        return replace(self, cameras=tuple(cameras), size_is_inferred=False)

    def _require_size(self, width_px: int, height_px: int) -> "CameraTrajectory":
        for camera, index in zip(self.cameras, self.frame_indices, strict=True):
            lens = camera.intrinsics
            if (lens.width_px, lens.height_px) != (width_px, height_px):
                raise Origin(self.name, index).error(
                    f"the camera is calibrated for {lens.width_px}x{lens.height_px} pixels but the "
                    f"image has {width_px}x{height_px}; resize one to the other"
                )
        return self

    def __len__(self) -> int:
        return len(self.cameras)

    def __iter__(self) -> Iterator[Camera]:
        return iter(self.cameras)

    def __getitem__(self, position: int) -> Camera:
        return self.cameras[position]


def _checked(camera: Camera, origin: Origin) -> Camera:
    transform = camera.world_from_cam
    if not np.isfinite(transform).all():
        raise origin.error("the pose is not finite; remove the frame or estimate its pose again")
    if np.abs(transform[3] - (0, 0, 0, 1)).max() > 0:
        raise origin.error(
            f"the last row of the pose is {transform[3].tolist()}, not 0 0 0 1; transpose it"
        )
    rotation = proper_rotation(transform[:3, :3], origin)
    if rotation is transform or np.array_equal(rotation, transform[:3, :3]):
        return camera
    rigid = transform.copy()
    rigid[:3, :3] = rotation
    return replace(camera, world_from_cam=rigid)


def _require_fit(lens: CameraIntrinsics, origin: Origin) -> None:
    ratio_x, ratio_y = 2 * lens.cx / lens.width_px, 2 * lens.cy / lens.height_px
    outside = not (0 < lens.cx < lens.width_px and 0 < lens.cy < lens.height_px)
    scaled = abs(ratio_x - 1) > _OTHER_SIZE and abs(ratio_x / ratio_y - 1) < _SAME_SHAPE
    if outside or scaled:
        raise origin.error(
            f"the principal point ({lens.cx:.6g}, {lens.cy:.6g}) does not belong to an image of "
            f"{lens.width_px}x{lens.height_px} pixels; give the size that the calibration was made "
            "for as image_size, then resize"
        )
