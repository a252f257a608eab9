"""Registration: poses refined before anything is made of them, and how far off they are after."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from worldloom.cameras import Camera
from worldloom.config import ReconstructionConfig
from worldloom.job import Job
from worldloom.plan import FEATURES, EvidenceResult, FeatureResult, FeatureWork, match_candidates
from worldloom.poses import (
    ADJUST,
    MATCH,
    REFERENCE_WIDTH_PX,
    RESIDUAL,
    AdjustWork,
    MatchView,
    MatchWork,
    PoseState,
    ResidualWork,
    pose_states,
)
from worldloom.scene import DepthRef, Frame

_logger = logging.getLogger(__name__)
_NAMED = 5
"""Views that a warning names, at most."""


@dataclass(frozen=True, eq=False)
class PoseCorrection:
    """What became of the given pose of a view."""

    state: PoseState
    """`refined`; or kept as given: `unmatched` (too few features match), `out of bounds` (it would
    have to go further than the settings allow)."""
    turn_deg: float
    """Angle between the pose used and the given one, degrees; 0 where it was kept."""
    move_m: float
    """Distance between the centres, world unit; 0 where it was kept."""
    given_world_from_cam: tuple[tuple[float, ...], ...]
    """The pose as given, rows of a 4x4 matrix."""


@dataclass(frozen=True, eq=False)
class Registration:
    """Frames with the poses to use."""

    frames: tuple[Frame, ...]
    corrections: tuple[PoseCorrection, ...]
    """One a frame."""


@dataclass(frozen=True, eq=False)
class _Poses:
    """Poses as far as they are known, and how far the given ones are off."""

    cameras: tuple[Camera, ...]
    """At the size of the features."""
    states: tuple[PoseState, ...]
    doubt: float
    """Deviation of the given poses, as a share of what the settings believe."""
    feature_px: float
    """Deviation of the features."""


def refine_poses(
    job: Job, frames: Sequence[Frame], sizes: Sequence[tuple[int, int]]
) -> Registration:
    """Corrects poses within bounds, so that they explain the features that views share.

    In two passes: under the given poses matches have to be looked for widely, under those of the
    first pass near their epipolar lines; and the first pass says how far the given poses are off,
    hence how much to believe them. Place, orientation and scale of the whole stay as given.

    Args:
        job: Executes the stages.
        frames: The views with their given cameras.
        sizes: Width and height of each image for features, pixels.
    """
    config = job.config.poses
    works = [
        FeatureWork(frame, *size, config.max_features, config.min_contrast)
        for frame, size in zip(frames, sizes, strict=True)
    ]
    described = [item for item in job.run(FEATURES, works) if item is not None]
    given = tuple(item.frame.camera.resized(item.width_px, item.height_px) for item in described)
    poses = _Poses(given, ("unmatched",) * len(given), 1.0, config.feature_px)
    pairs = _pairs(given, config.matched_views)
    for first in (True, False):
        poses = _adjusted(job, described, given, pairs, poses, first)
    corrected = list(frames)
    states: list[PoseState] = ["unmatched"] * len(frames)
    for item, camera, state in zip(described, poses.cameras, poses.states, strict=True):
        view = item.frame.view_id
        states[view] = state
        if state == "refined":
            moved = replace(item.frame.camera, world_from_cam=camera.world_from_cam)
            corrected[view] = replace(item.frame, camera=moved)
    _warn(frames, states)
    records = map(_record, frames, corrected, states)
    return Registration(tuple(corrected), tuple(records))


def _pairs(cameras: Sequence[Camera], matched_views: int) -> list[tuple[int, ...]]:
    """For each view the later ones to match it with: a pair is matched once."""
    partners: list[set[int]] = [set() for _ in cameras]
    for view, others in enumerate(match_candidates(list(cameras), matched_views)):
        for other in others:
            partners[min(view, other)].add(max(view, other))
    return [tuple(sorted(found)) for found in partners]


def _adjusted(
    job: Job,
    described: Sequence[FeatureResult],
    given: tuple[Camera, ...],
    pairs: Sequence[tuple[int, ...]],
    poses: _Poses,
    first: bool,
) -> _Poses:
    """One pass: matches under the best known poses, and the poses that these lead to."""
    config = job.config.poses
    views = tuple(
        MatchView(item.frame.view_id, item.frame.name, camera, item.artifact)
        for item, camera in zip(described, poses.cameras, strict=True)
    )
    epipolar_px = config.wide_epipolar_px if first else config.epipolar_px
    works = [
        MatchWork(view, tuple(views[j] for j in others), epipolar_px)
        for view, others in zip(views, pairs, strict=True)
        if others
    ]
    matches = tuple(found for found in job.run(MATCH, works) if found is not None)
    work = AdjustWork(views, given, matches, config, poses.doubt, poses.feature_px)
    (result,) = job.run(ADJUST, [work])
    assert result is not None  # a stage whose only item fails has raised
    stored = job.bench.arrays(result.artifact, "poses.npz")
    states = pose_states(stored["state"].tolist())
    return _Poses(
        tuple(map(_moved, given, stored["world_from_cam"])),
        tuple(_state(*both) for both in zip(poses.states, states, strict=True)),
        result.doubt,
        result.feature_px,
    )


def _state(before: PoseState, now: PoseState) -> PoseState:
    """A view that went too far is not matched under its given pose: that is the lesser news."""
    return before if before == "out of bounds" and now == "unmatched" else now


def _moved(camera: Camera, world_from_cam: np.ndarray) -> Camera:
    return replace(camera, world_from_cam=world_from_cam)


def _record(given: Frame, used: Frame, state: PoseState) -> PoseCorrection:
    before, after = given.camera.world_from_cam, used.camera.world_from_cam
    turn = Rotation.from_matrix(before[:3, :3].T @ after[:3, :3]).magnitude()
    return PoseCorrection(
        state,
        float(np.degrees(turn)) if state == "refined" else 0.0,
        float(np.linalg.norm(after[:3, 3] - before[:3, 3])),
        tuple(tuple(row) for row in before.tolist()),
    )


def _warn(frames: Sequence[Frame], states: Sequence[PoseState]) -> None:
    reasons: dict[PoseState, str] = {
        "unmatched": "too few of their features match others; more --poses.max-features may help",
        "out of bounds": "they would have to go further than --poses.max-rotation-deg and "
        "--poses.max-translation-share allow; check their poses",
    }
    for state, reason in reasons.items():
        names = [frame.name for frame, own in zip(frames, states, strict=True) if own == state]
        if names:
            _logger.warning(
                "%d of %d views keep their given poses, %s: %s",
                len(names),
                len(frames),
                reason,
                _listed(names),
            )


def measure_residuals(
    job: Job,
    frames: Sequence[Frame],
    evidence: Sequence[EvidenceResult | None],
    depth: Sequence[DepthRef | None],
) -> list[float | None]:
    """Measures how far the pose of each view is from what others have put into the memory.

    Args:
        job: Executes the stage.
        frames: The views.
        evidence: Matches of each view.
        depth: Confirmed depth of each view, which is what the memory holds of it.

    Returns:
        Median reprojection residuals, pixels of the images; None where too little is known.
    """
    works = [
        ResidualWork(
            frame,
            found.artifact,
            tuple(ref for j in found.matched if (ref := depth[j]) is not None),
            job.config.surface.min_confidence,
        )
        for frame, found in zip(frames, evidence, strict=True)
        if found is not None
    ]
    results = job.run(RESIDUAL, works)
    by_view = {result.view_id: result.residual_px for result in results if result is not None}
    residuals = [by_view.get(view) for view in range(len(frames))]
    _warn_of_residuals(frames, residuals, job.config)
    return residuals


def _warn_of_residuals(
    frames: Sequence[Frame], residuals_px: Sequence[float | None], config: ReconstructionConfig
) -> None:
    """Warns of views that are far from what other views see, and says what to do."""
    limit = config.poses.warn_px / REFERENCE_WIDTH_PX
    far = [
        frame.name
        for frame, residual in zip(frames, residuals_px, strict=True)
        if residual is not None and residual > limit * frame.camera.intrinsics.width_px
    ]
    if far:
        _logger.warning(
            "%d of %d views are more than %.2g %% of their width off what other views see of the "
            "same points; %s: %s",
            len(far),
            len(frames),
            100 * limit,
            "check their poses, or leave them out"
            if config.refine_poses
            else "their poses may be wrong, --refine-poses corrects small errors",
            _listed(far),
        )


def _listed(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
