"""The plan: the depth range of every view, and its partners."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import Camera
from worldloom.errors import PlanError
from worldloom.plan._candidates import parallax_floor, view_pools
from worldloom.plan._config import PlanConfig

MIN_POINTS = 20
"""Points from which on percentiles of depth are trusted."""


Source = Literal["own", "neighbours", "scene"]


@dataclass(frozen=True)
class DepthRange:
    """Where the surfaces of a view are, and how we know."""

    near: float
    """World unit, margin included."""
    median: float
    """World unit."""
    far: float
    """World unit, margin included."""
    points: int
    """Points that it rests on."""
    source: Source
    """Whose points: the view's own, those of views around it, or all that fall into it."""


@dataclass(frozen=True)
class ViewPlan:
    """What to match a view with."""

    view_id: int
    depth_range: DepthRange
    partners: tuple[int, ...]
    """Ids of the views to match with, best first; empty where none overlaps."""
    angles_deg: tuple[float, ...]
    """Median triangulation angle of each partner."""
    witnesses: tuple[int, ...]
    """Ids of the views whose depth is compared: the partners, then others that overlap."""


def depth_ranges(
    cameras: Sequence[Camera],
    points_by_view: Sequence[Float64[np.ndarray, "_ 3"]],
    config: PlanConfig,
) -> list[DepthRange]:
    """Finds the depth range of each view from sparse points.

    Raises:
        PlanError: no view has any point.
    """
    centres = np.array([camera.centre_in_world for camera in cameras])
    everything = np.concatenate(points_by_view)
    if len(everything) < MIN_POINTS:
        raise PlanError(
            f"only {len(everything)} points could be triangulated over {len(cameras)} views; check "
            "that poses belong to these frames (order, camera-to-world or world-to-camera, axes), "
            "that the camera moves, and that the images have texture"
        )
    everything = _thinned(everything, 20000)
    pools = view_pools(centres, nearest=8, strided=0)
    ranges: list[DepthRange] = []
    for view, camera in enumerate(cameras):
        around = np.concatenate([points_by_view[view], *(points_by_view[j] for j in pools[view])])
        tiers: tuple[tuple[Source, Float64[np.ndarray, "_ 3"], int], ...] = (
            ("own", points_by_view[view], 3 * MIN_POINTS),
            ("neighbours", around, MIN_POINTS),
            ("scene", everything, 1),
        )
        ranges.append(_range_of(view, camera, tiers, config))
    return ranges


def _range_of(
    view: int,
    camera: Camera,
    tiers: Sequence[tuple[Source, Float64[np.ndarray, "_ 3"], int]],
    config: PlanConfig,
) -> DepthRange:
    """The range from the first tier (source, points, number needed) that has enough points."""
    for source, points, needed in tiers:
        depth = _visible_depths(camera, points)
        if len(depth) >= needed:
            low, median, high = np.percentile(depth, (1, 50, 99)).tolist()
            near, far = low * config.near_margin, high * config.far_margin
            return DepthRange(near, median, far, len(depth), source)
    raise PlanError(f"view {view} sees none of the points found; check its pose", view=view)


def plan_views(
    cameras: Sequence[Camera],
    ranges: Sequence[DepthRange],
    points_by_view: Sequence[Float64[np.ndarray, "_ 3"]],
    config: PlanConfig,
    unusable: Collection[int] = (),
) -> list[ViewPlan]:
    """Chooses the partners of each view, over all trajectories.

    A partner is scored by the share of the view's points that it sees, times a factor for the
    angle under which both see them; a partner near one already chosen is passed over.

    Args:
        cameras: All views.
        ranges: Depth range of each view.
        points_by_view: Sparse points of each view, world.
        config: Settings.
        unusable: Views whose image cannot be read; they are nobody's partner.
    """
    centres = np.array([camera.centre_in_world for camera in cameras])
    pools = view_pools(centres, nearest=128, strided=64)
    still = parallax_floor(centres)
    plans: list[ViewPlan] = []
    for view, camera in enumerate(cameras):
        points = _sample_points(camera, ranges[view], points_by_view[view])
        apart = np.linalg.norm(centres[pools[view]] - centres[view], axis=1) > still
        pool = pools[view][apart & ~np.isin(pools[view], list(unusable))]
        overlap = np.array([_visible_share(cameras[j], points) for j in pool])
        plans.append(_plan_view(view, ranges[view], points, pool, overlap, centres, config))
    return plans


def replan_view(
    plan: ViewPlan,
    shared: Sequence[tuple[int, float]],
    cameras: Sequence[Camera],
    points: Float64[np.ndarray, "_ 3"],
    config: PlanConfig,
) -> ViewPlan:
    """Chooses the partners of a view among those that see the same cells of the memory.

    Args:
        plan: The plan of round 1; kept where the memory knows nobody.
        shared: Ids of other views, and the share of this view's cells that each sees.
        cameras: All views, by id.
        points: Sparse points of the view.
        config: As in `plan_views`.
    """
    if not shared:
        return plan
    centres = np.array([camera.centre_in_world for camera in cameras])
    samples = _sample_points(cameras[plan.view_id], plan.depth_range, points)
    still = parallax_floor(centres)
    apart = [
        (other, share)
        for other, share in shared
        if np.linalg.norm(centres[other] - centres[plan.view_id]) > still
    ]
    pool = np.array([other for other, _ in apart], np.intp)
    overlap = np.array([share for _, share in apart])
    return _plan_view(plan.view_id, plan.depth_range, samples, pool, overlap, centres, config)


def _plan_view(
    view: int,
    depth_range: DepthRange,
    points: Float64[np.ndarray, "n 3"],
    pool: np.ndarray,
    overlap: np.ndarray,
    centres: Float64[np.ndarray, "v 3"],
    config: PlanConfig,
) -> ViewPlan:
    angles = np.array([_median_angle(points, centres[view], centres[j]) for j in pool])
    fade = np.maximum(angles - config.wide_angle_deg, 0) / config.angle_spread_deg
    factor = np.minimum(angles / config.best_angle_deg, 1) * np.exp(-0.5 * fade**2)
    scores = overlap * factor
    chosen = _spread_out(view, pool, scores, centres, config)
    others = [
        k
        for k in np.lexsort((pool, -scores)).tolist()
        if scores[k] >= config.min_score and k not in chosen
    ]
    witnesses = [*chosen, *others[: max(config.max_witnesses - len(chosen), 0)]]
    return ViewPlan(
        view,
        depth_range,
        tuple(int(pool[k]) for k in chosen),
        tuple(round(float(angles[k]), 3) for k in chosen),
        tuple(int(pool[k]) for k in witnesses),
    )


def _spread_out(
    view: int,
    pool: np.ndarray,
    scores: np.ndarray,
    centres: Float64[np.ndarray, "n 3"],
    config: PlanConfig,
) -> list[int]:
    """Positions in the pool of the partners: by score, but not two from the same place."""
    chosen: list[int] = []
    for k in np.lexsort((pool, -scores)).tolist():
        if scores[k] < config.min_score or len(chosen) == config.max_partners:
            break
        baseline = np.linalg.norm(centres[pool[k]] - centres[view])
        gaps = [np.linalg.norm(centres[pool[k]] - centres[pool[other]]) for other in chosen]
        if all(gap > config.min_spacing * baseline for gap in gaps):
            chosen.append(k)
    return chosen


def _sample_points(
    camera: Camera, depth_range: DepthRange, points: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, "m 3"]:
    """The view's sparse points and a grid through its frustum at typical depths."""
    width, height = camera.intrinsics.width_px, camera.intrinsics.height_px
    grid_x, grid_y = np.meshgrid(np.linspace(0.05, 0.95, 5), np.linspace(0.05, 0.95, 4))
    pixels = np.stack([grid_x.ravel() * width, grid_y.ravel() * height], axis=-1)
    depths = depth_range.median * np.array([0.7, 1.0, 1.4])
    grid = [camera.unproject(pixels, np.full(len(pixels), depth)) for depth in depths]
    return np.concatenate([*grid, _thinned(points, 60)])


def _thinned(points: Float64[np.ndarray, "n 3"], count: int) -> Float64[np.ndarray, "m 3"]:
    if len(points) <= count:
        return points
    return points[np.linspace(0, len(points) - 1, count).round().astype(int)]


def _visible(camera: Camera, points: Float64[np.ndarray, "n 3"]) -> np.ndarray:
    pixels, depth = camera.project(points)
    size = np.array([camera.intrinsics.width_px, camera.intrinsics.height_px])
    return (depth > 0) & (pixels >= 0).all(axis=1) & (pixels < size).all(axis=1)


def _visible_share(camera: Camera, points: Float64[np.ndarray, "n 3"]) -> float:
    return float(_visible(camera, points).mean())


def _visible_depths(camera: Camera, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "m"]:
    return camera.project(points)[1][_visible(camera, points)]


def _median_angle(
    points: Float64[np.ndarray, "n 3"],
    centre: Float64[np.ndarray, "3"],
    other: Float64[np.ndarray, "3"],
) -> float:
    a, b = points - centre, points - other
    cosine = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))
