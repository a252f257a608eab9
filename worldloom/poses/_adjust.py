"""Refinement of all poses at once: tracks, adjustment, bounds, gauge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.poses._bundle import Belief, Bundle, Observations
from worldloom.poses._config import PoseConfig
from worldloom.poses._gauge import corrections, with_given_gauge
from worldloom.poses._least_squares import adjust_bundle
from worldloom.poses._matches import REFERENCE_WIDTH_PX, MatchResult, MatchView, load_pairs
from worldloom.poses._noise import deviation_px, doubt_of_poses, feature_deviation_px
from worldloom.poses._tracks import Observed, join_tracks, observed, triangulate
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

PoseState = Literal["refined", "unmatched", "out of bounds"]
_STATES: tuple[PoseState, ...] = ("refined", "unmatched", "out of bounds")
_ROUNDS = (8.0, 2.0, 1.0, 1.0)
"""Largest Huber scale of each round, over that of the settings: what looks like a wrong match under
wrong poses is judged again under better ones."""
_HUBER_OF_NOISE = 3.0
"""Huber's scale over the deviation of the features, as far as a round allows it."""
_LEAST_HUBER = 0.1
"""Least Huber scale, over that of the settings."""
_OUTLIER = 4.0
"""Observations with errors beyond this many Huber scales are dropped after a round."""
_MIN_ANGLE_DEG = 1.0
_ATTEMPTS = 4
"""Adjustments, each without the views that went too far in the one before, at most."""


@dataclass(frozen=True, eq=False)
class AdjustWork:
    """All views with their features, their given cameras, and their matches."""

    views: tuple[MatchView, ...]
    """With the best known cameras; the number of a view here is not its id."""
    given: tuple[Camera, ...]
    """Given camera of each view, at the size of its features."""
    matches: tuple[MatchResult, ...]
    config: PoseConfig
    doubt: float
    """Deviation of the given poses, as a share of what the settings believe."""
    feature_px: float
    """Deviation of a feature from its true place, at 512 pixels of width."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"the poses of {len(self.views)} views"


@dataclass(frozen=True)
class AdjustResult:
    """Artifact with `poses.npz`: world_from_cam (v 4 4), state (v): number of the `PoseState`."""

    artifact: ArtifactKey
    tracks: int
    observations: int
    """Features that the tracks in the end consist of."""
    scene_size_m: float
    """Diagonal of the box of cameras and points, world unit."""
    before_px: float | None
    """Median reprojection error of the tracks under the poses that the adjustment started from, at
    512 pixels of width."""
    after_px: float | None
    doubt: float
    """Deviation found of the given poses, as a share of what the settings believe."""
    feature_px: float
    """Deviation found of the features, at 512 pixels of width."""


@dataclass(frozen=True, eq=False)
class _Adjusted:
    """What came of an adjustment."""

    bundle: Bundle
    seen: Observations
    state: Int64[np.ndarray, "v"]


def pose_states(codes: Sequence[int]) -> list[PoseState]:
    """Returns the words for the numbers in `poses.npz`."""
    return [_STATES[code] for code in codes]


def _adjust(bench: Bench, key: ArtifactKey, work: AdjustWork) -> AdjustResult:
    tracks = _tracks(bench, work)
    size = _scene_size(tracks.bundle)
    believed = _bundle(work.given)
    belief = Belief(
        believed.rotation,
        believed.centre,
        work.doubt * np.radians(work.config.prior_rotation_deg),
        work.doubt * work.config.prior_translation_share * size,
        work.feature_px,
    )
    adjusted = _bounded(tracks, belief, size, work.config)
    refined = adjusted.state == _STATES.index("refined")
    world_from_cam = np.array([camera.world_from_cam for camera in work.given])
    world_from_cam[refined, :3, :3] = adjusted.bundle.rotation[refined].transpose(0, 2, 1)
    world_from_cam[refined, :3, 3] = adjusted.bundle.centre[refined]
    bench.write_arrays(key, "poses.npz", world_from_cam=world_from_cam, state=adjusted.state)
    before = tracks.bundle.errors_px(tracks.seen)
    after = adjusted.bundle.errors_px(adjusted.seen)
    feature_px, doubt = work.feature_px, work.doubt
    if refined.any():
        feature_px = feature_deviation_px(adjusted.bundle, adjusted.seen)
        doubt *= doubt_of_poses(
            adjusted.bundle,
            adjusted.seen,
            belief,
            refined,
            feature_px=feature_px,
            huber_px=work.config.huber_px,
        )
    return AdjustResult(
        key,
        len(adjusted.bundle.points),
        len(after),
        size,
        float(np.median(before)) if len(before) else None,
        float(np.median(after)) if len(after) else None,
        doubt,
        feature_px,
    )


def _tracks(bench: Bench, work: AdjustWork) -> Observed:
    number = {view.view_id: i for i, view in enumerate(work.views)}
    pixels = [
        bench.arrays(view.features, "features.npz")["pixels"] / view.scale for view in work.views
    ]
    pairs = [
        replace(pair, view=number[pair.view], other=number[pair.other])
        for result in work.matches
        for pair in load_pairs(bench, result)
    ]
    start = _bundle([view.camera for view in work.views])
    return triangulate(start, join_tracks(pairs, pixels), _MIN_ANGLE_DEG)


def _bundle(cameras: Sequence[Camera]) -> Bundle:
    """Poses without points, for pixels at the reference width."""
    lenses = [camera.intrinsics for camera in cameras]
    lens = np.array([(lens.fx, lens.fy, lens.cx, lens.cy) for lens in lenses])
    lens *= np.array([REFERENCE_WIDTH_PX / lens.width_px for lens in lenses])[:, None]
    return Bundle(
        np.array([camera.cam_from_world[:3, :3] for camera in cameras]),
        np.array([camera.centre_in_world for camera in cameras]),
        lens,
        np.zeros((0, 3)),
    )


def _scene_size(bundle: Bundle) -> float:
    """Diagonal of the box of the cameras and of the middle nine tenths of the points; 1 of none."""
    corners = [bundle.centre]
    if len(bundle.points):
        corners.append(np.percentile(bundle.points, (5, 95), axis=0))
    size = float(np.linalg.norm(np.ptp(np.concatenate(corners), axis=0)))
    return size if size > 0 else 1.0


def _bounded(tracks: Observed, belief: Belief, size: float, config: PoseConfig) -> _Adjusted:
    """Adjusts; views that want to go too far are left out, and it is done again without them."""
    start = tracks
    allowed = np.ones(len(tracks.bundle.rotation), bool)
    attempt = 0
    while True:
        attempt += 1
        done, matched = _rounds(_of_views(start, allowed, config), belief, config)
        bundle, far = _aligned(done, matched, belief, size, config)
        allowed &= ~far
        if not far.any() or attempt == _ATTEMPTS:
            state = np.where(~allowed, 2, np.where(matched, 0, 1)).astype(np.int64)
            return _Adjusted(bundle, done.seen, state)
        start = triangulate(bundle, tracks.seen, _MIN_ANGLE_DEG)


def _aligned(
    done: Observed,
    matched: Bool[np.ndarray, "v"],
    belief: Belief,
    size: float,
    config: PoseConfig,
) -> tuple[Bundle, Bool[np.ndarray, "v"]]:
    """Gives back the gauge; returns too which views are then beyond the bounds."""
    bundle, far = done.bundle, np.zeros(len(matched), bool)
    groups = _groups(done.seen, len(matched))
    while True:
        judged = matched & ~far
        bundle = with_given_gauge(bundle, belief, done.seen, groups, judged)
        away = corrections(bundle, belief)
        further = judged & (
            (away.angle_rad > np.radians(config.max_rotation_deg))
            | (away.distance > config.max_translation_share * size)
        )
        if not further.any():
            return bundle, far
        far |= further


def _rounds(
    problem: Observed, belief: Belief, config: PoseConfig
) -> tuple[Observed, Bool[np.ndarray, "v"]]:
    """Adjusts with ever stricter a view of wrong matches; returns too which views have a say."""
    views = len(problem.bundle.rotation)
    for round_scale in _ROUNDS:
        if not len(problem.seen.view):
            break
        noise_px = deviation_px(problem.bundle.errors_px(problem.seen))
        least, most = _LEAST_HUBER * config.huber_px, round_scale * config.huber_px
        huber_px = float(np.clip(_HUBER_OF_NOISE * noise_px, least, most))
        bundle = adjust_bundle(
            problem.bundle,
            problem.seen,
            belief,
            huber_px=huber_px,
            max_iterations=config.max_iterations,
        )
        near = bundle.errors_px(problem.seen) < _OUTLIER * huber_px
        problem = _of_views(observed(bundle, problem.seen, near), np.ones(views, bool), config)
    return problem, np.bincount(problem.seen.view, minlength=views) > 0


def _of_views(problem: Observed, allowed: Bool[np.ndarray, "v"], config: PoseConfig) -> Observed:
    """Leaves out views that may not take part or that see too little."""
    allowed = allowed.copy()
    while True:
        problem = observed(problem.bundle, problem.seen, allowed[problem.seen.view])
        count = np.bincount(problem.seen.view, minlength=len(allowed))
        few = (count > 0) & (count < config.min_observations)
        if not few.any():
            return problem
        allowed &= ~few


def _groups(seen: Observations, views: int) -> Int64[np.ndarray, "v"]:
    """Numbers the groups of views that share points, directly or over others."""
    side = views + int(seen.point.max(initial=-1)) + 1
    ends = seen.view, seen.point + views
    links = coo_matrix((np.ones(len(seen.view), np.int8), ends), (side, side))
    return np.asarray(connected_components(links, directed=False)[1][:views], np.int64)


ADJUST = Stage("adjust", 1, Role.MERGER, AdjustResult, _adjust)
"""Work: `AdjustWork`."""
