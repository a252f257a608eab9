"""The stage that renders the depth of splats into a view, to be fused to a surface."""

from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.scene import DepthMap, DepthRef
from worldloom.splat._crew import Crew
from worldloom.splat._geometry import SplatGeometry, render_geometry
from worldloom.splat._rasterizer import scene_of
from worldloom.splat._trained import load_splats
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

MIN_ALPHA = 0.5
"""Where less light is spent, the splats have no surface."""
_AGREEMENT = 0.02
"""Relative difference of two depths that are of one surface."""


@dataclass(frozen=True, eq=False)
class SplatDepthWork:
    """A view to render the depth of splats into."""

    splats: ArtifactKey
    """Artifact with `splats.npz`."""
    depth: DepthRef
    """The view, with the depth of its images."""
    anchored: bool
    """True refines that depth: it is averaged with the depth of the splats where the two agree,
    kept where they do not, and filled where it knows nothing."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"view {self.depth.frame.view_id} ({self.depth.frame.name})"


@dataclass(frozen=True, eq=False)
class SplatDepth:
    """The depth of splats in a view."""

    depth: DepthRef
    """Confidence is alpha: nothing is known where the splats let light through."""


def _render(bench: Bench, key: ArtifactKey, work: SplatDepthWork) -> SplatDepth:
    splats, ref = load_splats(bench, work.splats), work.depth
    seen = render_geometry(scene_of(splats), ref.camera, splats.sh_degree, Crew(1))
    own = depth_of_splats(ref.frame.view_id, seen, bench.depth_map(ref))
    result = refined(bench.depth_map(ref), own) if work.anchored else own
    bench.write_arrays(
        key,
        "depth.npz",
        depth=result.depth,
        confidence=result.confidence,
        normal_in_world=result.normal_in_world,
    )
    return SplatDepth(DepthRef(ref.frame, key, ref.width_px, ref.height_px))


def depth_of_splats(view_id: int, seen: SplatGeometry, like: DepthMap) -> DepthMap:
    """Returns the median depth of splats as a depth map, with alpha as confidence."""
    known = (seen.alpha >= MIN_ALPHA) & (seen.depth > 0)
    return DepthMap(
        view_id,
        like.camera,
        np.where(known, seen.depth, 0).astype(np.float32),
        np.where(known, np.clip(seen.alpha, 0, 1), 0).astype(np.float32),
        np.where(known[..., None], seen.normal_in_world, 0).astype(np.float32),
    )


def refined(measured: DepthMap, splats: DepthMap) -> DepthMap:
    """Returns measured depth, refined by that of splats: see `SplatDepthWork.anchored`."""
    m, s = measured.depth, splats.depth
    both = (m > 0) & (s > 0) & (np.abs(m - s) <= _AGREEMENT * np.minimum(m, s))
    filled = (m <= 0) & (s > 0)
    total = np.where(both, measured.confidence + splats.confidence, 1)
    share = np.where(both, splats.confidence / np.maximum(total, 1e-6), np.where(filled, 1, 0))
    depth = (1 - share) * m + share * s
    normal = (1 - share)[..., None] * measured.normal_in_world
    normal = normal + share[..., None] * splats.normal_in_world
    length = np.linalg.norm(normal, axis=2, keepdims=True)
    return DepthMap(
        measured.view_id,
        measured.camera,
        depth.astype(np.float32),
        np.where(filled, splats.confidence, measured.confidence).astype(np.float32),
        np.where(length > 0, normal / np.maximum(length, 1e-12), 0).astype(np.float32),
    )


SPLAT_DEPTH = Stage("splat-depth", 1, Role.CHUNK, SplatDepth, _render)
"""Renders the depth of splats into a view."""
