"""Round 2: depth of one view at full size, around what the memory expects it to see."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from worldloom.bench import Bench
from worldloom.depth._backend import surface_costs
from worldloom.depth._config import RefineConfig
from worldloom.depth._correlation import Window
from worldloom.depth._estimate import EstimateResult
from worldloom.depth._match import choose, lean_on_prior, match_image, store_depth
from worldloom.depth._normals import inverse_slopes
from worldloom.depth._planes import view_planes
from worldloom.depth._propagation import propagate
from worldloom.depth._proposals import DOUBTFUL, LOOSE, TRUSTED, Proposals
from worldloom.depth._regions import border_planes, region_planes, regions
from worldloom.depth._sweep import MatchImage
from worldloom.errors import PlanError
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

_JUMP = 1.1
"""Ratio of inverse depths within a 5x5 window of round 1 that is an edge."""


@dataclass(frozen=True, eq=False)
class RefineWork:
    """A view to refine."""

    partners: tuple[Frame, ...]
    estimate: EstimateResult
    """Round 1: dense, unchecked."""
    checked: DepthRef
    """Round 1: what other views confirm."""
    prior: ArtifactKey
    """Artifact of `RETRIEVE` with `prior.npz`, at the size of round 1."""
    width_px: int
    """Width of the depth map."""
    height_px: int
    """Height of the depth map."""
    config: RefineConfig
    predicted: ArtifactKey | None = None
    """Artifact with `aligned.npz`, the depth that a trained model guesses, at the size of round 1;
    None without one."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        frame = self.estimate.depth.frame
        return f"view {frame.view_id} ({frame.name})"


@dataclass(frozen=True, eq=False)
class RefineResult:
    """A depth map of round 2: dense, unchecked."""

    depth: DepthRef


def _refine(bench: Bench, key: ArtifactKey, work: RefineWork) -> RefineResult:
    frame, config = work.estimate.depth.frame, work.config
    if not work.partners:
        raise PlanError(
            f"{work.subject} has no partner in the memory: no other view saw the same points; add "
            "views around it",
            view=frame.view_id,
        )
    reference = match_image(bench, frame, work.width_px, work.height_px)
    partners = [match_image(bench, p, work.width_px, work.height_px) for p in work.partners]
    surface = _prior_surface(bench, work, reference, partners)
    reach = round(config.reach_planes * config.steps_per_plane)
    step = work.estimate.plane_step / config.steps_per_plane
    offsets = np.arange(-reach, reach + 1) * step
    cost = surface_costs(
        reference,
        partners,
        surface,
        offsets,
        window=Window(config.window_px, config.window_stride_px, config.grey_sigma),
        noise_level=config.noise_level,
        backend=config.backend,
    )
    lean_on_prior(cost, _texture(bench, work), config.prior_cost)
    winner = choose(cost, reference, config)
    moved = surface + ((winner.hypothesis - np.float32(reach)) * np.float32(step))
    inverse = np.maximum(moved, np.float32(0.5) * surface)
    depth = np.where(reference.valid, 1 / inverse, 0).astype(np.float32)
    return RefineResult(store_depth(bench, key, frame, depth, winner.confidence))


def _texture(bench: Bench, work: RefineWork) -> Float32[np.ndarray, "h w"]:
    """1 where texture tells depth, down to 0 where it says nothing, at the size of round 1."""
    share = bench.arrays(work.estimate.depth.artifact, "distinct.npz")["share"]
    return np.minimum(share / np.float32(work.config.min_distinct), 1).astype(np.float32)


def _prior_surface(
    bench: Bench, work: RefineWork, reference: MatchImage, partners: Sequence[MatchImage]
) -> Float32[np.ndarray, "h w"]:
    """Inverse depth expected at every pixel, at full size.

    In order of trust: the view's own depth where others confirm it, the memory rendered into the
    view, the guess of a trained model where there is one, the view's own depth as it is. Smoothed
    where it is smooth, so that steps of the planes of round 1 do not become steps of the windows.
    Pixels that nobody confirms, and those beside edges, then choose among the planes around them.
    """
    own = bench.depth_map(work.estimate.depth).depth
    confirmed = bench.depth_map(work.checked).depth
    remembered = bench.arrays(work.prior, "prior.npz")["depth"]
    if work.predicted is not None:
        guessed = bench.arrays(work.predicted, "aligned.npz")["depth"]
        own = np.where(guessed > 0, guessed, own)
    depth = np.where(confirmed > 0, confirmed, np.where(remembered > 0, remembered, own))
    known = depth > 0
    inverse = np.where(known, 1 / np.maximum(depth, 1e-12), 0).astype(np.float32)
    if not known.all():
        inverse = _spread(inverse, known)
    inverse = cv2.medianBlur(inverse, 5)
    inverse = cv2.bilateralFilter(inverse, 9, 2 * work.estimate.plane_step, 5)
    size = (work.width_px, work.height_px)
    surface = cv2.resize(inverse, size, interpolation=cv2.INTER_LINEAR)
    config, step = work.config, work.estimate.plane_step
    surface = propagate(
        reference,
        partners,
        surface,
        _proposals(bench, work, inverse, confirmed > 0, remembered),
        same=config.same_planes * step,
        grey_sigma=config.grey_sigma,
        noise_level=config.noise_level,
        config=config.propagation,
    )
    return cv2.medianBlur(surface, 5)


def _proposals(
    bench: Bench,
    work: RefineWork,
    inverse: Float32[np.ndarray, "h w"],
    confirmed: Bool[np.ndarray, "h w"],
    remembered: Float32[np.ndarray, "h w"],
) -> Proposals:
    height, width = inverse.shape
    texture = _texture(bench, work)
    weak = texture < 1
    sure = np.where(confirmed, inverse, 0).astype(np.float32)
    slopes = inverse_slopes(sure, reach=3)
    trust = np.where(confirmed & slopes.known & ~weak, TRUSTED, DOUBTFUL).astype(np.uint8)
    around = np.ones((5, 5), np.uint8)
    jump = cv2.dilate(inverse, around) / np.maximum(cv2.erode(inverse, around), 1e-12)
    trust[(trust == TRUSTED) & (jump > _JUMP)] = LOOSE
    image = bench.image(work.estimate.depth.frame, width, height)
    labels = regions(image)
    step = work.estimate.plane_step
    known = (trust > DOUBTFUL) | ((remembered > 0) & ~weak)
    surfaces = view_planes(inverse, known, work.config.plane_tolerance * step)
    return Proposals(
        inverse,
        np.where(slopes.known[..., None], np.stack([slopes.along_x, slopes.along_y], -1), 0).astype(
            np.float32
        ),
        trust,
        np.where(remembered > 0, 1 / np.maximum(remembered, 1e-12), 0).astype(np.float32),
        labels,
        region_planes(labels, inverse, trust == TRUSTED, 0.5 * step),
        surfaces,
        border_planes(labels, weak, surfaces, work.config.propagation.reach_px),
        texture,
        image.astype(np.float32),
    )


def _spread(inverse: Float32[np.ndarray, "h w"], known: np.ndarray) -> Float32[np.ndarray, "h w"]:
    """Gives pixels without data the value of the nearest pixel that has one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(labels, np.intp)
    values = np.zeros(int(nearest.max()) + 1, np.float32)
    values[nearest[known]] = inverse[known]
    return values[nearest]


REFINE = Stage("refine", 4, Role.DEPTH, RefineResult, _refine)
"""Work: `RefineWork`."""
