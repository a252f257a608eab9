"""Sparse points of a view: features matched and triangulated with the known poses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.plan._features import FeatureResult
from worldloom.plan._matching import epipolar_distance, mutual_matches
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

_WIDE = 16.0
"""Matches are kept up to this multiple of the epipolar limit, so that wrong poses can be seen."""


@dataclass(frozen=True, eq=False)
class EvidenceWork:
    """A view, and the views to match it with."""

    own: FeatureResult
    others: tuple[FeatureResult, ...]
    max_epipolar_px: float
    """At 512 pixels of width."""
    max_points: int = 400
    """Points kept, evenly spread over the ranks of depth."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.own.frame.view_id} ({self.own.frame.name})"


@dataclass(frozen=True)
class EvidenceResult:
    """Artifact with `points.npz` and `matches.npz`.

    Points: points_in_world (n 3). Matches: other (m), ids of the views matched with; own_px and
    other_px (m 2), pixels of the images.
    """

    view_id: int
    artifact: ArtifactKey
    count: int
    """Points triangulated."""
    matched: tuple[int, ...]
    """Ids of the views matched with."""
    residual_px: float | None
    """Median distance of a match from its epipolar line: how far the poses are off. None without
    matches."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Matches between two views, in pixels of each."""

    other: FeatureResult
    own_px: Float64[np.ndarray, "n 2"]
    other_px: Float64[np.ndarray, "n 2"]
    distance_px: Float64[np.ndarray, "n"]

    def within(self, distance_px: float) -> "_Pair":
        """Returns the matches that are this near to their epipolar lines."""
        near = self.distance_px < distance_px
        return _Pair(self.other, self.own_px[near], self.other_px[near], self.distance_px[near])


def _triangulate_view(bench: Bench, key: ArtifactKey, work: EvidenceWork) -> EvidenceResult:
    scale = work.own.width_px / 512
    points: list[np.ndarray] = [np.zeros((0, 3))]
    residuals: list[np.ndarray] = [np.zeros(0)]
    matches: list[_Pair] = []
    for own, other, pair in _matched_pairs(bench, work):
        plausible = pair.distance_px < 4 * work.max_epipolar_px * scale
        residuals.append(pair.distance_px[plausible])
        matches.append(pair.within(_WIDE * work.max_epipolar_px * scale))
        good = pair.distance_px < work.max_epipolar_px * scale
        points.append(_triangulate(own, other, pair.own_px[good], pair.other_px[good], 2 * scale))
    found = np.concatenate(points)
    depth = found @ work.own.frame.camera.forward_in_world if len(found) else np.zeros(0)
    order = np.argsort(depth, kind="stable")
    spread = np.unique(np.linspace(0, len(found) - 1, work.max_points).round().astype(int))
    kept = found[order[spread]] if len(found) else found
    bench.write_arrays(key, "points.npz", points_in_world=kept)
    _write_matches(bench, key, work, matches)
    residual = np.concatenate(residuals)
    return EvidenceResult(
        work.own.frame.view_id,
        key,
        len(found),
        tuple(other.frame.view_id for other in work.others),
        float(np.median(residual)) if len(residual) else None,
    )


def _write_matches(
    bench: Bench, key: ArtifactKey, work: EvidenceWork, matches: list[_Pair]
) -> None:
    other = [np.full(len(pair.own_px), pair.other.frame.view_id) for pair in matches]
    bench.write_arrays(
        key,
        "matches.npz",
        other=np.concatenate([np.zeros(0, np.int64), *other]),
        own_px=_image_pixels(work.own, [pair.own_px for pair in matches]),
        other_px=np.concatenate(
            [np.zeros((0, 2)), *(_image_pixels(pair.other, [pair.other_px]) for pair in matches)]
        ),
    )


def _image_pixels(view: FeatureResult, pixels: list[np.ndarray]) -> Float64[np.ndarray, "n 2"]:
    """Pixels of features as pixels of the stored image."""
    lens = view.frame.camera.intrinsics
    scale = np.array([lens.width_px / view.width_px, lens.height_px / view.height_px])
    return np.concatenate([np.zeros((0, 2)), *pixels]) * scale


def _matched_pairs(bench: Bench, work: EvidenceWork) -> Iterator[tuple[Camera, Camera, _Pair]]:
    own = bench.arrays(work.own.artifact, "features.npz")
    own_camera = work.own.frame.camera.resized(work.own.width_px, work.own.height_px)
    for result in work.others:
        other = bench.arrays(result.artifact, "features.npz")
        matches = mutual_matches(own["descriptors"], other["descriptors"])
        if len(matches) == 0:
            continue
        camera = result.frame.camera.resized(result.width_px, result.height_px)
        own_px, other_px = own["pixels"][matches[:, 0]], other["pixels"][matches[:, 1]]
        distance = epipolar_distance(own_camera, camera, own_px, other_px)
        yield own_camera, camera, _Pair(result, own_px, other_px, distance)


def _triangulate(
    own: Camera,
    other: Camera,
    own_px: Float64[np.ndarray, "n 2"],
    other_px: Float64[np.ndarray, "n 2"],
    max_error_px: float,
    min_angle_deg: float = 0.5,
) -> Float64[np.ndarray, "m 3"]:
    """Midpoints of the rays where these meet in front of both cameras at a useful angle."""
    ones = np.ones(len(own_px))
    towards_own = own.unproject(own_px, ones) - own.centre_in_world
    towards_other = other.unproject(other_px, ones) - other.centre_in_world
    baseline = other.centre_in_world - own.centre_in_world
    aa, bb = (towards_own**2).sum(1), (towards_other**2).sum(1)
    ab = (towards_own * towards_other).sum(1)
    a_base, b_base = towards_own @ baseline, towards_other @ baseline
    determinant = aa * bb - ab * ab
    apart = determinant > np.sin(np.radians(min_angle_deg)) ** 2 * aa * bb
    safe = np.where(apart, determinant, 1)
    along_own = (a_base * bb - b_base * ab) / safe
    along_other = (a_base * ab - b_base * aa) / safe
    points = 0.5 * (
        own.centre_in_world
        + along_own[:, None] * towards_own
        + other.centre_in_world
        + along_other[:, None] * towards_other
    )
    good = apart & (along_own > 0) & (along_other > 0)
    for camera, pixels in ((own, own_px), (other, other_px)):
        projected, depth = camera.project(points)
        error = np.linalg.norm(projected - pixels, axis=1)
        good &= (depth > 0) & (error < max_error_px)
    return points[good]


EVIDENCE = Stage("evidence", 2, Role.DEPTH, EvidenceResult, _triangulate_view)
"""Work: `EvidenceWork`."""
