"""Cameras around exact points, their features and matches: pose refinement without images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from worldloom.bench import Bench
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.poses import MatchResult, MatchView
from worldloom.store import artifact_key

LENS = CameraIntrinsics(440.0, 440.0, 256.0, 192.0, 512, 384)


def ring_of_cameras(count: int, *, radius: float = 1.0, step_deg: float = 8.0) -> list[Camera]:
    """Cameras on an arc that look outwards, a little up and down."""
    cameras: list[Camera] = []
    for index in range(count):
        yaw = np.radians(step_deg * index)
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("YX", [yaw, 0.1 * np.sin(index)]).as_matrix()
        pose[:3, 3] = radius * np.array([np.sin(yaw), 0.2 * np.sin(2.0 * index), np.cos(yaw)])
        cameras.append(Camera(LENS, pose))
    return cameras


def shell_of_points(count: int, *, seed: int = 1) -> np.ndarray:
    """Points at 3 to 5 units around the origin, in a band at the height of the cameras."""
    random = np.random.default_rng(seed)
    angle, distance = random.uniform(0, 2 * np.pi, count), random.uniform(3, 5, count)
    height = random.uniform(-1.5, 1.5, count)
    return np.column_stack([distance * np.sin(angle), height, distance * np.cos(angle)])


def perturbed(
    cameras: Sequence[Camera], *, angle_deg: float, distance: float, seed: int = 0
) -> list[Camera]:
    """Cameras with normal noise of a deviation about each axis and along each axis."""
    random = np.random.default_rng(seed)
    noisy: list[Camera] = []
    for camera in cameras:
        pose = camera.world_from_cam.copy()
        turn = Rotation.from_rotvec(random.normal(size=3) * np.radians(angle_deg))
        pose[:3, :3] = pose[:3, :3] @ turn.as_matrix()
        pose[:3, 3] += random.normal(size=3) * distance
        noisy.append(replace(camera, world_from_cam=pose))
    return noisy


@dataclass(frozen=True, eq=False)
class Sightings:
    """Features and matches in a store."""

    views: tuple[MatchView, ...]
    matches: tuple[MatchResult, ...]

    def seen_by(self, cameras: Sequence[Camera]) -> tuple[MatchView, ...]:
        """The views with other cameras."""
        return tuple(replace(v, camera=c) for v, c in zip(self.views, cameras, strict=True))


def sightings(
    bench: Bench,
    cameras: Sequence[Camera],
    points: np.ndarray,
    *,
    noise_px: float = 0.2,
    wrong_share: float = 0.0,
    blind: frozenset[int] = frozenset(),
    reach: int = 4,
    seed: int = 2,
) -> Sightings:
    """Projects points into cameras and matches each view with the next ones.

    Args:
        bench: Where features and matches go.
        cameras: True cameras.
        points: True points, world.
        noise_px: Deviation of the features.
        wrong_share: Share of the matches that lead to any other feature.
        blind: Views without matches.
        reach: Each view is matched with so many that follow it.
        seed: Of noise and wrong matches.
    """
    random = np.random.default_rng(seed)
    visible: list[np.ndarray] = []
    views: list[MatchView] = []
    for index, camera in enumerate(cameras):
        pixels, depth = camera.project(points)
        inside = (depth > 0.5) & (pixels >= 0).all(axis=1) & (pixels < (512, 384)).all(axis=1)
        visible.append(np.flatnonzero(inside))
        noisy = pixels[inside] + random.normal(size=(inside.sum(), 2)) * noise_px
        key = artifact_key("features", 0, (index, noisy))
        bench.write_arrays(key, "features.npz", pixels=noisy)
        views.append(MatchView(index, f"ring/{index}", camera, key))
    matches: list[MatchResult] = []
    for index in range(len(cameras)):
        others = [j for j in range(index + 1, min(index + 1 + reach, len(cameras)))]
        found: dict[str, np.ndarray] = {}
        for other in others:
            if {index, other} & blind:
                continue
            _, own, their = np.intersect1d(visible[index], visible[other], return_indices=True)
            wrong = random.random(len(own)) < wrong_share
            their = their.copy()
            their[wrong] = random.permutation(their[wrong])
            found[f"view_{other}"] = np.column_stack([own, their]).astype(np.int64)
        matches.append(_stored(bench, index, found))
    return Sightings(tuple(views), tuple(matches))


def _stored(bench: Bench, index: int, found: Mapping[str, np.ndarray]) -> MatchResult:
    key = artifact_key("match", 0, (index, dict(found)))
    bench.write_arrays(key, "matches.npz", **found)
    others = tuple(int(name.removeprefix("view_")) for name in found)
    return MatchResult(index, key, others, sum(map(len, found.values())))
