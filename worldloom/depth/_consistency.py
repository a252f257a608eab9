"""Cross-view consistency: a depth counts where other views agree with it."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.depth._confidence import Evidence, calibrated
from worldloom.depth._config import ConsistencyConfig
from worldloom.depth._normals import depth_normals
from worldloom.scene import DepthMap, DepthRef
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True, eq=False)
class CheckWork:
    """A depth map to check against others."""

    depth: DepthRef
    partners: tuple[DepthRef, ...]
    config: ConsistencyConfig

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.depth.frame.view_id} ({self.depth.frame.name})"


@dataclass(frozen=True, eq=False)
class CheckResult:
    """A depth map with what others say of it: confidence, and 0 where they see through it."""

    depth: DepthRef
    kept_share: float
    """Share of all pixels whose depth others confirm, 0 to 1."""
    depth_low: float
    """First percentile of the confirmed depths, world unit; 0 where there is none."""
    depth_median: float
    """Median of the confirmed depths, world unit; 0 where there is none."""
    depth_high: float
    """99th percentile of the confirmed depths, world unit; 0 where there is none."""
    noise: float
    """Standard deviation of the confirmed depth, relative to it, by how far the view is from the
    mean of all that agree; 0 where there is none."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """What the partners say about each pixel."""

    support: Float64[np.ndarray, "h w"]
    """Sum of the voices that agree, each 0 to 1."""
    contradicted: Int32[np.ndarray, "h w"]
    """Partners that see through the point: their surface lies clearly behind it."""
    mean_depth: Float32[np.ndarray, "h w"]
    """Mean of the depth and of those that agree with it, by voice; 0 = unknown."""


def agreement(
    depth_map: DepthMap, partners: list[DepthMap], config: ConsistencyConfig
) -> Agreement:
    """Compares a depth map with those of other views.

    A pixel is carried to the partner by its depth and back by the partner's; the voice of the
    partner falls with the squared differences of position and depth, in sigmas, and ends at three.
    """
    shape = depth_map.depth.shape
    support, contradicted = np.zeros(shape), np.zeros(shape, np.int32)
    total = depth_map.depth.astype(np.float64)
    for partner in partners:
        forward, back = _pair(depth_map.camera, partner.camera)
        _compare(
            depth_map.depth,
            partner.depth,
            forward,
            back,
            config.depth_tolerance,
            config.reprojection_tolerance_px,
            support,
            contradicted,
            total,
        )
    return Agreement(support, contradicted, (total / (support + 1)).astype(np.float32))


def _pair(
    reference: Camera, partner: Camera
) -> tuple[Float64[np.ndarray, "3 4"], Float64[np.ndarray, "3 4"]]:
    """Homogeneous pixel (top-left centre at 0.5) and depth, from one view to the other."""

    def transfer(target: Camera, source: Camera) -> Float64[np.ndarray, "3 4"]:
        target_from_source = target.cam_from_world @ source.world_from_cam
        linear = target.pixel_from_cam @ target_from_source[:3, :3]
        linear = linear @ np.linalg.inv(source.pixel_from_cam)
        offset = target.pixel_from_cam @ target_from_source[:3, 3:]
        return np.ascontiguousarray(np.hstack([linear, offset]))

    return transfer(partner, reference), transfer(reference, partner)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _move(transfer: np.ndarray, x: float, y: float, depth: float) -> tuple[float, float, float]:
    a = (transfer[0, 0] * x + transfer[0, 1] * y + transfer[0, 2]) * depth + transfer[0, 3]
    b = (transfer[1, 0] * x + transfer[1, 1] * y + transfer[1, 2]) * depth + transfer[1, 3]
    c = (transfer[2, 0] * x + transfer[2, 1] * y + transfer[2, 2]) * depth + transfer[2, 3]
    return a, b, c


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    depth: np.ndarray,
    partner_depth: np.ndarray,
    forward: np.ndarray,
    back: np.ndarray,
    sigma_ratio: float,
    sigma_px: float,
    support: np.ndarray,
    contradicted: np.ndarray,
    total: np.ndarray,
) -> None:
    height, width = depth.shape
    partner_height, partner_width = partner_depth.shape
    for y in range(height):
        for x in range(width):
            d = np.float64(depth[y, x])
            if d <= 0:
                continue
            a, b, c = _move(forward, x + 0.5, y + 0.5, d)
            if c <= 1e-9:
                continue
            u, v = a / c, b / c
            if not (0 <= u < partner_width and 0 <= v < partner_height):
                continue
            seen = np.float64(partner_depth[int(v), int(u)])
            if seen <= 0:
                continue
            if seen > c * (1 + 4 * sigma_ratio):
                contradicted[y, x] += 1
            # The partner's depth belongs to the centre of its pixel, not to where the point fell.
            p, q, r = _move(back, int(u) + 0.5, int(v) + 0.5, seen)
            if r <= 1e-9:
                continue
            away_x, away_y = p / r - (x + 0.5), q / r - (y + 0.5)
            sigmas = (away_x * away_x + away_y * away_y) / (sigma_px * sigma_px)
            sigmas += ((r - d) / (sigma_ratio * d)) ** 2
            if sigmas < 9:
                voice = np.exp(-0.5 * sigmas)
                support[y, x] += voice
                total[y, x] += voice * r


def gather_evidence(
    own: DepthMap, agreed: Agreement, config: ConsistencyConfig
) -> tuple[Evidence, Float32[np.ndarray, "h w 3"]]:
    """Returns what is known about each pixel, and the normals of the depth that is confirmed."""
    needed = np.maximum(config.min_support, config.contradiction_weight * agreed.contradicted)
    confirmed = (agreed.support >= needed) & (agreed.mean_depth > 0)
    depth = np.where(confirmed, agreed.mean_depth, 0).astype(np.float32)
    normals = depth_normals(depth, own.camera)
    edge_on = ~_facing(normals, own.camera, config.max_slant_deg)
    evidence = Evidence(agreed.support, agreed.contradicted, own.confidence, confirmed, edge_on)
    return evidence, normals


def _check(bench: Bench, key: ArtifactKey, work: CheckWork) -> CheckResult:
    own, config = bench.depth_map(work.depth), work.config
    agreed = agreement(own, [bench.depth_map(ref) for ref in work.partners], config)
    evidence, normals = gather_evidence(own, agreed, config)
    confirmed = evidence.confirmed & ~evidence.edge_on
    kept = confirmed
    if config.keep_unconfirmed:
        kept = (agreed.support >= config.doubt_weight * agreed.contradicted) & (own.depth > 0)
        kept |= confirmed
    depth = np.where(kept, agreed.mean_depth, 0).astype(np.float32)
    normals = np.where(confirmed[..., None], normals, 0).astype(np.float32)
    bench.write_arrays(
        key,
        "depth.npz",
        depth=depth,
        confidence=np.where(kept, calibrated(evidence.terms()), 0).astype(np.float32),
        normal_in_world=normals,
    )
    ref = DepthRef(work.depth.frame, key, work.depth.width_px, work.depth.height_px)
    low, median, high = (
        np.percentile(depth[confirmed], (1, 50, 99)).tolist() if confirmed.any() else (0.0,) * 3
    )
    noise = _noise(own.depth[confirmed], depth[confirmed], agreed.support[confirmed])
    return CheckResult(ref, float(confirmed.mean()), low, median, high, noise)


def _noise(
    own: Float32[np.ndarray, "n"], mean: Float32[np.ndarray, "n"], support: Float64[np.ndarray, "n"]
) -> float:
    """Robust standard deviation of a depth, relative to it.

    About the mean of n + 1 values it is less than about the truth, by sqrt(n / (n + 1)).
    """
    if not len(own):
        return 0.0
    share = np.sqrt(support / (support + 1))
    return float(1.4826 * np.median(np.abs(own - mean) / mean / np.maximum(share, 0.1)))


def _facing(
    normals: Float32[np.ndarray, "h w 3"], camera: Camera, max_slant_deg: float
) -> np.ndarray:
    """True where the normal is unknown or the surface is not seen edge-on."""
    height, width = normals.shape[:2]
    intrinsics = camera.intrinsics
    ray_x = (np.arange(width) + 0.5 - intrinsics.cx) / intrinsics.fx
    ray_y = (np.arange(height) + 0.5 - intrinsics.cy) / intrinsics.fy
    rays = np.stack(np.broadcast_arrays(ray_x[None, :], ray_y[:, None], 1.0), axis=-1)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    cosine = -np.sum(normals * (rays @ camera.world_from_cam[:3, :3].T), axis=-1)
    return (cosine >= np.cos(np.radians(max_slant_deg))) | ~normals.any(axis=-1)


CHECK = Stage("check", 5, Role.DEPTH, CheckResult, _check)
"""Work: `CheckWork`."""
