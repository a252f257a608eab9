"""Stage: the prediction of one view in the unit of the world, by what the memories know of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from worldloom.bench import Bench
from worldloom.learned._alignment import Alignment, align_prediction
from worldloom.learned._config import AlignmentConfig
from worldloom.learned._estimator import Prediction, Quantity
from worldloom.scene import DepthRef, Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True, eq=False)
class AlignWork:
    """A prediction to align."""

    prediction: ArtifactKey
    """Artifact of `PREDICT` with `prediction.npz`."""
    quantity: Quantity
    """What it holds."""
    checked: DepthRef
    """What other views confirm of the view's own depth."""
    prior: ArtifactKey
    """Artifact with `prior.npz`, the memory rendered into the view at the size of `checked`."""
    config: AlignmentConfig

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        frame = self.checked.frame
        return f"view {frame.view_id} ({frame.name})"


@dataclass(frozen=True, eq=False)
class AlignResult:
    """Artifact with `aligned.npz`: depth (h w) at the size of `checked`, 0 = unknown."""

    frame: Frame
    artifact: ArtifactKey
    alignment: Alignment


def _align(bench: Bench, key: ArtifactKey, work: AlignWork) -> AlignResult:
    confirmed = bench.depth_map(work.checked).depth
    remembered = bench.arrays(work.prior, "prior.npz")["depth"]
    depth = np.where(confirmed > 0, confirmed, remembered)
    found = bench.arrays(work.prediction, "prediction.npz")
    size = work.checked.width_px, work.checked.height_px
    prediction = _resized(Prediction(found["values"], found["known"]), size)
    aligned = align_prediction(prediction, depth, work.quantity, work.config)
    bench.write_arrays(key, "aligned.npz", depth=aligned.depth)
    return AlignResult(work.checked.frame, key, aligned.alignment)


def _resized(prediction: Prediction, size: tuple[int, int]) -> Prediction:
    """The prediction at a size (width, height); a pixel is known only if all of it is."""
    if prediction.values.shape == size[::-1]:
        return prediction
    known = prediction.known.astype(np.float32)
    return Prediction(
        cv2.resize(prediction.values, size, interpolation=cv2.INTER_AREA),
        cv2.resize(known, size, interpolation=cv2.INTER_AREA) >= np.float32(1 - 1e-6),
    )


ALIGN = Stage("align", 1, Role.DEPTH, AlignResult, _align)
"""Work: `AlignWork`."""
