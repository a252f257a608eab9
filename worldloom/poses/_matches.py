"""Matches of a view with others, for poses that may be wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, Int64

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.plan import epipolar_distance, mutual_matches
from worldloom.poses._tracks import FeaturePairs
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

REFERENCE_WIDTH_PX = 512
"""Width at which settings in pixels hold."""
_MIN_MATCHES = 12
_VERIFIED_PX = 1.5
"""Error of a verified match against the common epipolar geometry, at the reference width."""


@dataclass(frozen=True, eq=False)
class MatchView:
    """A view with its features."""

    view_id: int
    name: str
    camera: Camera
    """Best known camera, at the size of the features."""
    features: ArtifactKey
    """Artifact with `features.npz`; see `worldloom.plan.FeatureResult`."""

    @property
    def scale(self) -> float:
        """Pixels of the features in one pixel at the reference width."""
        return self.camera.intrinsics.width_px / REFERENCE_WIDTH_PX


@dataclass(frozen=True, eq=False)
class MatchWork:
    """A view, and the views to match it with."""

    own: MatchView
    others: tuple[MatchView, ...]
    epipolar_px: float
    """Largest distance of a match from its epipolar line, at 512 pixels of width."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.own.view_id} ({self.own.name})"


@dataclass(frozen=True)
class MatchResult:
    """Artifact with `matches.npz`: for each pair its `view_<id>` (n 2), numbers of features."""

    view_id: int
    artifact: ArtifactKey
    others: tuple[int, ...]
    """Views with matches."""
    count: int


def _match(bench: Bench, key: ArtifactKey, work: MatchWork) -> MatchResult:
    found: dict[str, np.ndarray] = {}
    own = bench.arrays(work.own.features, "features.npz")
    for other in work.others:
        theirs = bench.arrays(other.features, "features.npz")
        pairs = _verified(own, theirs, work, other)
        if len(pairs) >= _MIN_MATCHES:
            found[f"view_{other.view_id}"] = pairs.astype(np.int64)
    bench.write_arrays(key, "matches.npz", **found)
    others = tuple(other.view_id for other in work.others if f"view_{other.view_id}" in found)
    return MatchResult(work.own.view_id, key, others, sum(len(pairs) for pairs in found.values()))


def load_pairs(bench: Bench, result: MatchResult) -> Iterator[FeaturePairs]:
    """Reads the matches of a view."""
    stored = bench.arrays(result.artifact, "matches.npz")
    for other in result.others:
        yield FeaturePairs(result.view_id, other, stored[f"view_{other}"])


def _verified(
    own: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    work: MatchWork,
    other: MatchView,
) -> Int64[np.ndarray, "n 2"]:
    pairs = mutual_matches(own["descriptors"], theirs["descriptors"]).astype(np.int64)
    own_px, other_px = own["pixels"][pairs[:, 0]], theirs["pixels"][pairs[:, 1]]
    near = epipolar_distance(work.own.camera, other.camera, own_px, other_px)
    pairs = pairs[near < work.epipolar_px * max(work.own.scale, other.scale)]
    if len(pairs) < _MIN_MATCHES:
        return pairs[:0]
    own_ray = _rays(work.own.camera, own["pixels"][pairs[:, 0]])
    other_ray = _rays(other.camera, theirs["pixels"][pairs[:, 1]])
    tolerance = _VERIFIED_PX * work.own.scale / work.own.camera.intrinsics.fx
    _, inside = cv2.findEssentialMat(own_ray, other_ray, np.eye(3), cv2.RANSAC, 0.999, tolerance)
    return pairs[np.asarray(inside).ravel().astype(bool)]


def _rays(camera: Camera, pixels: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
    lens = camera.intrinsics
    return (pixels - (lens.cx, lens.cy)) / (lens.fx, lens.fy)


MATCH = Stage("match", 1, Role.DEPTH, MatchResult, _match)
"""Work: `MatchWork`."""
