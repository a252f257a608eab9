"""Tracks: features of several views that show the same point, and where that point is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from worldloom.poses._bundle import Bundle, Observations


@dataclass(frozen=True, eq=False)
class FeaturePairs:
    """Features of two views that match."""

    view: int
    other: int
    features: Int64[np.ndarray, "n 2"]
    """Numbers of the features in the one and in the other."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A bundle and the features that it has to explain."""

    bundle: Bundle
    seen: Observations


def join_tracks(
    pairs: Sequence[FeaturePairs], pixels: Sequence[Float64[np.ndarray, "_ 2"]]
) -> Observations:
    """Joins matches over views to tracks.

    A track that holds two features of one view is wrong about that view, which is taken out of it.

    Args:
        pairs: Matches, each pair of views at most once.
        pixels: Features of each view.
    """
    offset = np.concatenate([[0], np.cumsum([len(found) for found in pixels])]).astype(np.int64)
    first = [pair.features[:, 0] + offset[pair.view] for pair in pairs]
    second = [pair.features[:, 1] + offset[pair.other] for pair in pairs]
    none = np.zeros(0, np.int64)
    ends = np.concatenate([none, *first]), np.concatenate([none, *second])
    count = int(offset[-1])
    links = coo_matrix((np.ones(len(ends[0]), np.int8), ends), (count, count))
    track = np.asarray(connected_components(links, directed=False)[1], np.int64)
    feature = np.unique(np.concatenate(ends))
    view = np.searchsorted(offset, feature, side="right") - 1
    order = np.lexsort((feature, view, track[feature]))
    seen = Observations(
        view[order].astype(np.int64),
        track[feature][order],
        np.concatenate([np.zeros((0, 2)), *pixels])[feature[order]],
    )
    again = (np.diff(seen.view) == 0) & (np.diff(seen.point) == 0)
    twice = np.zeros(len(seen.view), bool)
    twice[:-1] |= again
    twice[1:] |= again
    return thinned(seen, ~twice)


def thinned(seen: Observations, kept: Bool[np.ndarray, "o"]) -> Observations:
    """Returns the observations kept, less those that are the only ones of their point.

    Points are numbered anew; `surviving_points` says which they were.
    """
    kept = _paired(seen, kept)
    _, point = np.unique(seen.point[kept], return_inverse=True)
    return Observations(seen.view[kept], point.astype(np.int64), seen.pixel[kept])


def surviving_points(seen: Observations, kept: Bool[np.ndarray, "o"]) -> Int64[np.ndarray, "p"]:
    """Returns the old numbers of the points that `thinned` leaves."""
    return np.unique(seen.point[_paired(seen, kept)])


def _paired(seen: Observations, kept: Bool[np.ndarray, "o"]) -> Bool[np.ndarray, "o"]:
    if not len(seen.point):
        return kept
    return kept & (np.bincount(seen.point, kept) >= 2)[seen.point]


def triangulate(bundle: Bundle, seen: Observations, min_angle_deg: float) -> Observed:
    """Finds the point nearest to the rays of each track, by least squares of distances.

    Args:
        bundle: Poses; its points are not looked at.
        seen: Tracks.
        min_angle_deg: Tracks whose rays are closer to parallel are left out, as are points behind
            one of their cameras.
    """
    lens, rotation = bundle.lens[seen.view], bundle.rotation[seen.view]
    ray = np.column_stack([(seen.pixel - lens[:, 2:]) / lens[:, :2], np.ones(len(lens))])
    ray = np.einsum("oji,oj->oi", rotation, ray)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    across = np.eye(3) - ray[:, :, None] * ray[:, None, :]
    count = int(seen.point.max(initial=-1)) + 1
    # Relative to a centre of the track, so that scenes far from the origin lose no digits.
    anchor = bundle.centre[seen.view[seen.start[:-1]]]
    centre = bundle.centre[seen.view] - anchor[seen.point]
    matrix = _summed(seen.point, across.reshape(-1, 9), count).reshape(-1, 3, 3)
    side = _summed(seen.point, np.einsum("oij,oj->oi", across, centre), count)
    apart = np.linalg.eigvalsh(matrix)[:, 0] > 1 - np.cos(np.radians(min_angle_deg))
    safe = np.where(apart[:, None, None], matrix, np.eye(3))
    points = np.linalg.solve(safe, side[:, :, None])[:, :, 0] + anchor
    placed = Bundle(bundle.rotation, bundle.centre, bundle.lens, points)
    behind = np.bincount(seen.point, ~np.isfinite(placed.errors_px(seen)), count) > 0
    return observed(placed, seen, (apart & ~behind)[seen.point])


def observed(bundle: Bundle, seen: Observations, kept: Bool[np.ndarray, "o"]) -> Observed:
    """Returns a bundle with the observations kept, and the points that these still show."""
    points = bundle.points[surviving_points(seen, kept)]
    placed = Bundle(bundle.rotation, bundle.centre, bundle.lens, points)
    return Observed(placed, thinned(seen, kept))


def _summed(label: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    columns = [np.bincount(label, column, count) for column in values.T]
    return np.column_stack(columns)
