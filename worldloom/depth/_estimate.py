"""Round 1: depth of one view by a plane sweep over its partners."""

from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.depth._backend import plane_costs
from worldloom.depth._config import SweepConfig
from worldloom.depth._correlation import Window
from worldloom.depth._match import choose, distinct_share, match_image, store_depth
from worldloom.depth._sweep import pixel_transfer
from worldloom.errors import PlanError
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True, eq=False)
class EstimateWork:
    """A view to sweep."""

    frame: Frame
    partners: tuple[Frame, ...]
    near: float
    """Nearest depth to try, world unit."""
    far: float
    """Farthest depth to try, world unit."""
    width_px: int
    """Width of the depth map."""
    height_px: int
    """Height of the depth map."""
    config: SweepConfig

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True, eq=False)
class EstimateResult:
    """A depth map of round 1: every pixel that holds data has a depth, right or wrong.

    Beside the map lies `distinct.npz` with `share` (h w), 0 to 1: see `distinct_share`.
    """

    depth: DepthRef
    planes: int
    """Number of depth planes."""
    plane_step: float
    """Distance between planes, 1 / world unit."""


def _estimate(bench: Bench, key: ArtifactKey, work: EstimateWork) -> EstimateResult:
    if not work.partners:
        raise PlanError(
            f"{work.subject} has no partner: no other view overlaps it from another place; add "
            "views around it or leave it out",
            view=work.frame.view_id,
        )
    reference = match_image(bench, work.frame, work.width_px, work.height_px)
    partners = [match_image(bench, p, work.width_px, work.height_px) for p in work.partners]
    count = _plane_count(reference.camera, [p.camera for p in partners], work)
    inverse_depths = np.linspace(1 / work.far, 1 / work.near, count)
    config = work.config
    cost = plane_costs(
        reference,
        partners,
        inverse_depths,
        window=Window(config.window_px, config.window_stride_px, config.grey_sigma),
        noise_level=config.noise_level,
        backend=config.backend,
    )
    winner = choose(cost, reference, config)
    inverse = np.interp(winner.hypothesis, np.arange(count), inverse_depths)
    depth = np.where(reference.valid, 1 / inverse, 0).astype(np.float32)
    ref = store_depth(bench, key, work.frame, depth, winner.confidence)
    bench.write_arrays(key, "distinct.npz", share=distinct_share(cost, winner.hypothesis))
    return EstimateResult(ref, count, float(inverse_depths[1] - inverse_depths[0]))


def _plane_count(reference: Camera, partners: list[Camera], work: EstimateWork) -> int:
    """Planes that move a point by `plane_step_px` in the median partner, within the bounds."""
    width, height = work.width_px, work.height_px
    grid_x, grid_y = np.meshgrid(
        np.linspace(0.2, 0.8, 3) * width, np.linspace(0.2, 0.8, 3) * height
    )
    pixels = np.stack([grid_x.ravel(), grid_y.ravel(), np.ones(9)])
    lengths: list[float] = []
    for partner in partners:
        linear, offset = pixel_transfer(reference, partner)
        ends = [linear @ pixels + offset[:, None] / depth for depth in (work.near, work.far)]
        ahead = (ends[0][2] > 1e-9) & (ends[1][2] > 1e-9)
        if ahead.any():
            near, far = (end[:2, ahead] / end[2, ahead] for end in ends)
            lengths.append(float(np.median(np.linalg.norm(near - far, axis=0))))
    motion_px = float(np.median(lengths)) if lengths else 0.0
    count = round(motion_px / work.config.plane_step_px)
    return int(np.clip(count, work.config.min_planes, work.config.max_planes))


ESTIMATE = Stage("depth", 4, Role.DEPTH, EstimateResult, _estimate)
"""Work: `EstimateWork`."""
