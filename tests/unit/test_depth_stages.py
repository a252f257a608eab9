"""Planning and depth on a small exact scene, from features to checked depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.corner import corner_frames, made, share_within
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera
from worldloom.depth import (
    CHECK,
    ESTIMATE,
    CheckWork,
    ConsistencyConfig,
    EstimateResult,
    EstimateWork,
    SweepConfig,
)
from worldloom.errors import PlanError
from worldloom.plan import (
    EVIDENCE,
    FEATURES,
    EvidenceWork,
    FeatureWork,
    PlanConfig,
    depth_ranges,
    match_candidates,
    plan_views,
    replan_view,
)
from worldloom.scene import Frame
from worldloom.stage import execute

CONFIG = PlanConfig()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(BenchConfig(str(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def scene(bench: Bench) -> tuple[list[Frame], list[np.ndarray]]:
    return corner_frames(bench)


def evidence(bench: Bench, frames: list[Frame]) -> tuple[list[np.ndarray], list[float | None]]:
    features = [made(FEATURES, bench, FeatureWork(f, 160, 120, 500)) for f in frames]
    candidates = match_candidates([f.camera for f in frames], 4)
    found = [
        made(EVIDENCE, bench, EvidenceWork(own, tuple(features[j] for j in candidates[i]), 2.0))
        for i, own in enumerate(features)
    ]
    points = [bench.arrays(item.artifact, "points.npz")["points_in_world"] for item in found]
    return points, [item.residual_px for item in found]


def test_sparse_points_lie_on_the_surface(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    points, residuals = evidence(bench, frames)
    for frame, depth, found, residual in zip(frames, depths, points, residuals, strict=True):
        assert len(found) >= 20
        assert residual is not None
        assert residual < 0.5
        pixels, z = frame.camera.project(found)
        seen = depth[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
        assert np.median(np.abs(z - seen) / seen) < 0.02


def test_depth_range_holds_the_truth(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    points, _ = evidence(bench, frames)
    ranges = depth_ranges([f.camera for f in frames], points, CONFIG)
    for found, depth in zip(ranges, depths, strict=True):
        inside = (depth > found.near) & (depth < found.far)
        assert inside[depth > 0].mean() > 0.97
        assert found.far / found.near < 12
        assert found.source == "own"


def test_wrong_poses_show_in_the_residual(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    angle = np.radians(0.6)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = [
        replace(f, camera=Camera(f.camera.intrinsics, f.camera.world_from_cam @ turn))
        if f.view_id % 2
        else f
        for f in frames
    ]
    _, right = evidence(bench, frames)
    _, wrong = evidence(bench, turned)
    assert np.median([r for r in wrong if r is not None]) > 1.5 * np.median(
        [r for r in right if r is not None]
    )


def test_without_points_the_plan_says_what_to_check() -> None:
    with pytest.raises(PlanError, match="poses belong to these frames"):
        depth_ranges([], [np.zeros((0, 3))], CONFIG)


def test_a_view_without_own_points_borrows(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    points, _ = evidence(bench, frames)
    points[2] = np.zeros((0, 3))
    ranges = depth_ranges([f.camera for f in frames], points, CONFIG)
    assert ranges[2].source == "neighbours"
    assert ranges[2].points >= 20


def test_partners_overlap_at_an_angle(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    cameras = [f.camera for f in frames]
    points, _ = evidence(bench, frames)
    ranges = depth_ranges(cameras, points, CONFIG)
    plans = plan_views(cameras, ranges, points, CONFIG)
    for plan in plans:
        assert plan.view_id not in plan.partners
        assert 2 <= len(plan.partners) <= CONFIG.max_partners
        assert plan.witnesses[: len(plan.partners)] == plan.partners
        assert len(set(plan.witnesses) | {plan.view_id}) == len(plan.witnesses) + 1
        assert len(plan.witnesses) <= CONFIG.max_witnesses
        assert all(0.5 < angle < 45 for angle in plan.angles_deg)
    remembered = replan_view(plans[0], [(3, 0.9), (1, 0.5)], cameras, points[0], CONFIG)
    assert set(remembered.partners) <= {1, 3}
    assert replan_view(plans[0], [], cameras, points[0], CONFIG) is plans[0]


def test_views_from_one_place_are_no_partners(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    points, _ = evidence(bench, frames)
    doubled = [*[f.camera for f in frames], frames[0].camera]
    points = [*points, points[0]]
    ranges = depth_ranges(doubled, points, CONFIG)
    plans = plan_views(doubled, ranges, points, CONFIG)
    assert len(frames) not in plans[0].partners
    assert 0 not in plans[len(frames)].partners
    assert 0 not in match_candidates(doubled, 4)[len(frames)]


def estimated(bench: Bench, frames: list[Frame]) -> list[EstimateResult]:
    cameras = [f.camera for f in frames]
    points, _ = evidence(bench, frames)
    plans = plan_views(cameras, depth_ranges(cameras, points, CONFIG), points, CONFIG)
    return [
        made(
            ESTIMATE,
            bench,
            EstimateWork(
                frames[p.view_id],
                tuple(frames[j] for j in p.partners),
                p.depth_range.near,
                p.depth_range.far,
                160,
                120,
                SweepConfig(),
            ),
        )
        for p in plans
    ]


def test_swept_depth_is_true_and_checking_makes_it_truer(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, depths = scene
    results = estimated(bench, frames)
    raw = [bench.depth_map(result.depth).depth for result in results]
    assert np.mean([share_within(d, t, 0.02) for d, t in zip(raw, depths, strict=True)]) > 0.75
    for view, result in enumerate(results):
        others = tuple(r.depth for i, r in enumerate(results) if i != view)
        only_confirmed = ConsistencyConfig(keep_unconfirmed=False)
        checked = made(CHECK, bench, CheckWork(result.depth, others, only_confirmed))
        kept = bench.depth_map(checked.depth)
        known = (kept.depth > 0) & (depths[view] > 0)
        precision = share_within(kept.depth, np.where(known, depths[view], 0), 0.02)
        assert precision > max(0.85, share_within(raw[view], depths[view], 0.02))
        assert known.mean() > 0.5
        assert ((kept.confidence > 0) == (kept.depth > 0)).all()
        assert checked.depth_low <= checked.depth_median <= checked.depth_high
        everything = made(CHECK, bench, CheckWork(result.depth, others, ConsistencyConfig()))
        more = bench.depth_map(everything.depth)
        np.testing.assert_array_equal(more.depth[kept.depth > 0], kept.depth[kept.depth > 0])
        doubtful = (more.depth > 0) & (kept.depth == 0)
        assert doubtful.any()
        assert np.median(more.confidence[doubtful]) < np.median(kept.confidence[kept.depth > 0])
        assert everything.kept_share == checked.kept_share


def test_depth_is_the_same_to_the_bit_in_another_store(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]], tmp_path: Path
) -> None:
    frames, _ = scene
    other = Bench(BenchConfig(str(tmp_path)))
    corner_frames(other)
    first, second = estimated(bench, frames), estimated(other, frames)
    for a, b in zip(first, second, strict=True):
        assert a.depth.artifact == b.depth.artifact
        assert bench.store.read(a.depth.artifact, "depth.npz") == other.store.read(
            b.depth.artifact, "depth.npz"
        )


def test_a_view_without_partners_fails_with_a_remedy(
    bench: Bench, scene: tuple[list[Frame], list[np.ndarray]]
) -> None:
    frames, _ = scene
    outcome = execute(
        ESTIMATE, bench, EstimateWork(frames[0], (), 1.0, 5.0, 160, 120, SweepConfig())
    )
    assert outcome.value is None
    assert outcome.failure is not None
    assert "no partner" in outcome.failure.message
    assert "corner/0" in outcome.failure.subject
