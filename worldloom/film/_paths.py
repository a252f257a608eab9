"""Paths of a camera through a scene."""

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from worldloom.cameras import Camera, CameraIntrinsics, CameraPose, CameraTrajectory
from worldloom.cameras import interpolate_poses as between
from worldloom.display import Surroundings

_MOST_KEYS = 12
"""Key poses of a fly-through: few enough to be calm, enough to stay near the recorded path."""
_SMOOTH_SHARE = 0.02
"""Standard deviation of the smoothing of the recorded positions, as a share of the path."""
_INWARDS = 0.35
"""Mean cosine between the views and the direction to their focus from which they look inwards."""
_ROOM_SHARE = 0.08
"""Radius of the circle in a scene that was filmed from inside, in radii of the scene."""


def orbit(cameras: CameraTrajectory, around: Surroundings, count: int) -> CameraTrajectory:
    """Returns a full circle.

    Where the recorded cameras look at something in their midst, it runs round that, level, at their
    distance and height. Where they look about, as in a room, most of what lies round them may not
    have been filmed: it is then a small circle across the view of the camera in the middle of the
    recording, which looks at what lies ahead of that.

    Args:
        cameras: Recorded cameras.
        around: Where the scene lies.
        count: Number of frames.
    """
    up, places = around.up, cameras.centres_in_world
    forwards = cameras.world_from_cams[:, :3, 2]
    focus = _focus(places, forwards, around)
    to_focus = focus - places
    lengths = np.maximum(np.linalg.norm(to_focus, axis=1), 1e-9)
    middle = cameras[len(cameras) // 2].world_from_cam
    if float(np.mean((forwards * to_focus).sum(axis=1) / lengths)) > _INWARDS:
        heights = -to_focus @ up
        first = -to_focus[0] - heights[0] * up
        first = first / np.linalg.norm(first) if np.linalg.norm(first) > 1e-9 else _across(up)
        second = np.cross(up, first)
        radius = float(np.median(np.linalg.norm(to_focus + heights[:, None] * up, axis=1)))
        centre = focus + float(np.median(heights)) * up
    else:
        focus = middle[:3, 3] + around.radius * middle[:3, 2]
        first, second, centre = middle[:3, 0], -middle[:3, 1], middle[:3, 3]
        radius = _ROOM_SHARE * around.radius
    radius = max(radius, 1e-3 * around.radius)
    lens = cameras[0].intrinsics
    views: list[Camera] = []
    for angle in 2 * np.pi * np.arange(count) / count:
        place = centre + radius * (np.cos(angle) * first + np.sin(angle) * second)
        views.append(Camera(lens, _level(place, focus - place, up)))
    return _numbered(views, "orbit")


def fly_through(cameras: CameraTrajectory, count: int) -> CameraTrajectory:
    """Returns a calm flight along the longest of the recorded trajectories.

    Positions are smoothed, and joined with the rotations by splines through some of the cameras.

    Args:
        cameras: Recorded cameras, named `trajectory/index`.
        count: Number of frames.
    """
    recorded = _longest(cameras)
    sigma = _SMOOTH_SHARE * len(recorded)
    places = recorded.centres_in_world
    smooth = gaussian_filter1d(places, sigma, axis=0, mode="nearest") if sigma > 0 else places
    keys = np.unique(np.linspace(0, len(recorded) - 1, min(_MOST_KEYS, len(recorded))).astype(int))
    poses = [
        CameraPose(smooth[key], recorded.world_from_cams[key, :3, :3], int(key)) for key in keys
    ]
    found = between(poses, count, method="spline") if len(poses) > 1 else poses * count
    lens = recorded[0].intrinsics
    return _numbered([Camera(lens, pose.world_from_cam) for pose in found], "fly-through")


def resampled(path: CameraTrajectory, count: int) -> CameraTrajectory:
    """Returns a path with another number of cameras, evenly in time, joined by straight lines.

    The lens is that of the first camera.
    """
    if count == len(path):
        return path
    poses = [CameraPose.from_matrix(view.world_from_cam, k) for k, view in enumerate(path)]
    found = between(poses, count, method="linear") if len(poses) > 1 else poses * count
    return _numbered([Camera(path[0].intrinsics, pose.world_from_cam) for pose in found], path.name)


def with_size(path: CameraTrajectory, width_px: int, height_px: int) -> CameraTrajectory:
    """Returns a path with pictures of another size and the same vertical field of view.

    Args:
        path: Cameras; distortion is taken out.
        width_px: 0 for what follows from the height, or that of the cameras.
        height_px: 0 likewise.
    """
    return CameraTrajectory(
        tuple(Camera(_lens(v.intrinsics, width_px, height_px), v.world_from_cam) for v in path),
        path.frame_indices,
        name=path.name,
    )


def _lens(lens: CameraIntrinsics, width_px: int, height_px: int) -> CameraIntrinsics:
    height = height_px or (
        round(width_px * lens.height_px / lens.width_px) if width_px else lens.height_px
    )
    width = width_px or round(height * lens.width_px / lens.height_px)
    scale = height / lens.height_px
    moved = (lens.cx - lens.width_px / 2) * scale
    return CameraIntrinsics(
        *(lens.fx * scale, lens.fy * scale),
        *(width / 2 + moved, lens.cy * scale, width, height),
    )


def _focus(
    places: Float64[np.ndarray, "n 3"], forwards: Float64[np.ndarray, "n 3"], around: Surroundings
) -> Float64[np.ndarray, "3"]:
    """The point nearest to all lines of sight; the middle of the scene where they are parallel."""
    across = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]
    weak = 1e-3 * len(places) * np.eye(3)
    right = np.einsum("nij,nj->i", across, places) + weak @ around.centre
    return np.linalg.solve(across.sum(axis=0) + weak, right)


def _level(
    place: Float64[np.ndarray, "3"], forward: Float64[np.ndarray, "3"], up: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """Returns `world_from_cam` of a camera without roll."""
    ahead = forward / np.linalg.norm(forward)
    right = np.cross(ahead, up)
    length = float(np.linalg.norm(right))
    right = right / length if length > 1e-6 else _across(up)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(ahead, right), ahead
    pose[:3, 3] = place
    return pose


def _across(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    across = np.cross(up, np.eye(3)[int(np.abs(up).argmin())])
    return across / np.linalg.norm(across)


def _longest(cameras: CameraTrajectory) -> CameraTrajectory:
    names = cameras.frame_names or ("",) * len(cameras)
    groups: dict[str, list[int]] = {}
    for view, name in enumerate(names):
        groups.setdefault(name.rpartition("/")[0], []).append(view)
    return cameras.subset(max(groups.values(), key=len))


def _numbered(views: list[Camera], name: str) -> CameraTrajectory:
    return CameraTrajectory(tuple(views), tuple(range(len(views))), name=name)
