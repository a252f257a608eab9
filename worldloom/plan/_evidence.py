"""Sparse points of a view: features matched and triangulated with the known poses."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.plan._features import FeatureResult
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


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
    """Artifact with `points.npz`: points_in_world (n 3)."""

    view_id: int
    artifact: ArtifactKey
    count: int
    """Points triangulated."""
    residual_px: float | None
    """Median distance of a match from its epipolar line: how far the poses are off. None without
    matches."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Matches between two views, in pixels of each."""

    own_px: Float64[np.ndarray, "n 2"]
    other_px: Float64[np.ndarray, "n 2"]
    distance_px: Float64[np.ndarray, "n"]


def _triangulate_view(bench: Bench, key: ArtifactKey, work: EvidenceWork) -> EvidenceResult:
    scale = work.own.width_px / 512
    points: list[np.ndarray] = [np.zeros((0, 3))]
    residuals: list[np.ndarray] = [np.zeros(0)]
    for own, other, pair in _matched_pairs(bench, work):
        plausible = pair.distance_px < 4 * work.max_epipolar_px * scale
        residuals.append(pair.distance_px[plausible])
        good = pair.distance_px < work.max_epipolar_px * scale
        points.append(_triangulate(own, other, pair.own_px[good], pair.other_px[good], 2 * scale))
    found = np.concatenate(points)
    depth = found @ work.own.frame.camera.forward_in_world if len(found) else np.zeros(0)
    order = np.argsort(depth, kind="stable")
    spread = np.unique(np.linspace(0, len(found) - 1, work.max_points).round().astype(int))
    kept = found[order[spread]] if len(found) else found
    bench.write_arrays(key, "points.npz", points_in_world=kept)
    residual = np.concatenate(residuals)
    return EvidenceResult(
        work.own.frame.view_id,
        key,
        len(found),
        float(np.median(residual)) if len(residual) else None,
    )


def _matched_pairs(bench: Bench, work: EvidenceWork) -> Iterator[tuple[Camera, Camera, _Pair]]:
    own = bench.arrays(work.own.artifact, "features.npz")
    own_camera = work.own.frame.camera.resized(work.own.width_px, work.own.height_px)
    for result in work.others:
        other = bench.arrays(result.artifact, "features.npz")
        matches = _mutual_matches(own["descriptors"], other["descriptors"])
        if len(matches) == 0:
            continue
        camera = result.frame.camera.resized(result.width_px, result.height_px)
        own_px, other_px = own["pixels"][matches[:, 0]], other["pixels"][matches[:, 1]]
        distance = _epipolar_distance(own_camera, camera, own_px, other_px)
        yield own_camera, camera, _Pair(own_px, other_px, distance)


def _mutual_matches(
    own: UInt8[np.ndarray, "n 128"], other: UInt8[np.ndarray, "m 128"], ratio: float = 0.8
) -> np.ndarray:
    """Index pairs that are each other's nearest and clearly nearer than the second (Lowe 2004)."""
    if len(own) < 2 or len(other) < 2:
        return np.zeros((0, 2), np.intp)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    # RootSIFT (Arandjelovic and Zisserman 2012): Hellinger distance suits histograms better.
    roots = [np.sqrt(d / np.maximum(d.sum(1, keepdims=True), 1.0)) for d in (own, other)]
    forward = matcher.knnMatch(roots[0].astype(np.float32), roots[1].astype(np.float32), k=2)
    back = matcher.match(roots[1].astype(np.float32), roots[0].astype(np.float32))
    nearest_back = {match.queryIdx: match.trainIdx for match in back}
    pairs = [
        (first.queryIdx, first.trainIdx)
        for first, second in forward
        if first.distance < ratio * second.distance
        and nearest_back[first.trainIdx] == first.queryIdx
    ]
    return np.array(pairs, np.intp).reshape(-1, 2)


def _epipolar_distance(
    own: Camera,
    other: Camera,
    own_px: Float64[np.ndarray, "n 2"],
    other_px: Float64[np.ndarray, "n 2"],
) -> Float64[np.ndarray, "n"]:
    """Sampson distance, pixels (Hartley and Zisserman 2004, eq. 11.9)."""
    other_from_own = other.cam_from_world @ own.world_from_cam
    x, y, z = other_from_own[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    fundamental = (
        np.linalg.inv(other.pixel_from_cam).T
        @ (cross @ other_from_own[:3, :3])
        @ np.linalg.inv(own.pixel_from_cam)
    )
    a = np.column_stack([own_px, np.ones(len(own_px))])
    b = np.column_stack([other_px, np.ones(len(other_px))])
    line_other, line_own = a @ fundamental.T, b @ fundamental
    error = np.abs(np.sum(b * line_other, axis=1))
    gradient = (line_other[:, :2] ** 2).sum(axis=1) + (line_own[:, :2] ** 2).sum(axis=1)
    return error / np.sqrt(np.maximum(gradient, 1e-20))


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


EVIDENCE = Stage("evidence", 1, Role.DEPTH, EvidenceResult, _triangulate_view)
"""Work: `EvidenceWork`."""
