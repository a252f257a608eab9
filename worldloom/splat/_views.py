"""The views that show a chunk, as training wants them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.response import ViewExposure, corrected
from worldloom.scene import DepthRef
from worldloom.splat._learner import TrainingView
from worldloom.splat._loss import target_of
from worldloom.splat._region import pixels_in_region
from worldloom.splat._work import TrainWork

_MIN_SHARE = 0.005
"""Views that show less of the chunk, as a share of their pixels, are left out."""


@dataclass(frozen=True, eq=False)
class ShownView:
    """A view that shows the chunk."""

    view_id: int
    training: TrainingView


def views_of_chunk(
    bench: Bench, work: TrainWork, region: Int64[np.ndarray, "k"] | None
) -> list[ShownView]:
    """Returns the views that show something of a chunk.

    Args:
        bench: Store.
        work: The chunk.
        region: Keys of the blocks of the chunk and its halo; None for all of space.

    Raises:
        StageError: there are fewer than two.
    """
    views = [
        ShownView(ref.frame.view_id, view)
        for ref, exposure in zip(work.views, work.exposures, strict=True)
        if (view := view_of_chunk(bench, ref, exposure, work, region)) is not None
    ]
    if len(views) < 2:
        raise StageError(
            f"{work.subject} is shown by {len(views)} views; two are the least to train from",
            stage="train",
            subject=work.subject,
        )
    return views


def view_of_chunk(
    bench: Bench,
    ref: DepthRef,
    exposure: ViewExposure | None,
    work: TrainWork,
    region: Int64[np.ndarray, "k"] | None,
) -> TrainingView | None:
    """Returns what training wants of a view; None where it shows next to nothing of the chunk.

    All of its pixels are judged: what they show beyond the chunk, the surroundings show too.
    """
    depth_map = bench.depth_map(ref)
    judged = bench.mask(ref.frame, ref.width_px, ref.height_px)
    own = judged
    if region is not None:
        own = judged & pixels_in_region(depth_map, region, work.voxel_m)
    if own.mean() < _MIN_SHARE:
        return None
    image = _image(bench, ref, exposure)
    return TrainingView(
        depth_map.camera, target_of(image, judged, depth_map.depth, depth_map.confidence)
    )


def _image(
    bench: Bench, ref: DepthRef, exposure: ViewExposure | None
) -> Float32[np.ndarray, "h w 3"]:
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    if exposure is None:
        return image.astype(np.float32) / 255
    return np.clip(corrected(image, exposure), 0, 255).astype(np.float32) / 255
