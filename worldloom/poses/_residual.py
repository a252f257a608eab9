"""How far a view is from what the other views have put into the geometric memory."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.bench import Bench
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

_MIN_POINTS = 8


@dataclass(frozen=True, eq=False)
class ResidualWork:
    """A view, its matches, and the depth that the views matched with have in the memory."""

    frame: Frame
    evidence: ArtifactKey
    """Artifact with `matches.npz`; see `worldloom.plan.EvidenceResult`."""
    others: tuple[DepthRef, ...]
    min_confidence: float = 0.0
    """Depth below this confidence does not count, 0 to 1."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True)
class ResidualResult:
    """How well one pose fits what others see; no files."""

    view_id: int
    points: int
    """Features of the view whose place other views know."""
    residual_px: float | None
    """Median distance between such a feature and the projection of its place, pixels of the image;
    None of fewer than 8."""


def _measure(bench: Bench, _key: ArtifactKey, work: ResidualWork) -> ResidualResult:
    matches = bench.arrays(work.evidence, "matches.npz")
    found = [np.zeros(0)]
    for other in work.others:
        chosen = matches["other"] == other.frame.view_id
        points, known = _places(bench, other, matches["other_px"][chosen], work.min_confidence)
        pixels, depth = work.frame.camera.project(points)
        error = np.linalg.norm(pixels - matches["own_px"][chosen][known], axis=1)
        found.append(np.where(depth > 0, error, np.inf))
    errors = np.concatenate(found)
    residual = float(np.median(errors)) if len(errors) >= _MIN_POINTS else np.inf
    return ResidualResult(
        work.frame.view_id, len(errors), residual if np.isfinite(residual) else None
    )


def _places(
    bench: Bench, ref: DepthRef, pixels: Float64[np.ndarray, "n 2"], min_confidence: float
) -> tuple[Float64[np.ndarray, "m 3"], np.ndarray]:
    """World points of those pixels of an image whose depth is known, and which these are."""
    lens = ref.frame.camera.intrinsics
    column = np.floor(pixels[:, 0] * (ref.width_px / lens.width_px)).astype(np.intp)
    row = np.floor(pixels[:, 1] * (ref.height_px / lens.height_px)).astype(np.intp)
    depth = (
        bench.depth_map(ref)
        .trusted(min_confidence)
        .depth[row.clip(0, ref.height_px - 1), column.clip(0, ref.width_px - 1)]
        .astype(np.float64)
    )
    known = depth > 0
    return ref.frame.camera.unproject(pixels[known], depth[known]), known


RESIDUAL = Stage("residual", 2, Role.DEPTH, ResidualResult, _measure)
"""Work: `ResidualWork`."""
