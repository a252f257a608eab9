"""Local features of a view."""

from dataclasses import dataclass

import cv2
import numpy as np

from worldloom.bench import Bench
from worldloom.scene import Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True, eq=False)
class FeatureWork:
    """A view to describe."""

    frame: Frame
    width_px: int
    """Width that the image is resampled to."""
    height_px: int
    """Height that the image is resampled to."""
    max_features: int
    min_contrast: float = 0.04
    """Contrast of the weakest features, as in Lowe 2004; less finds more on weak texture."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True, eq=False)
class FeatureResult:
    """Artifact with `features.npz`: pixels (n 2), descriptors (n 128), uint8."""

    frame: Frame
    artifact: ArtifactKey
    width_px: int
    height_px: int
    count: int


def _describe(bench: Bench, key: ArtifactKey, work: FeatureWork) -> FeatureResult:
    image = bench.image(work.frame, work.width_px, work.height_px)
    mask = bench.mask(work.frame, work.width_px, work.height_px).astype(np.uint8)
    inner = cv2.erode(mask, np.ones((5, 5), np.uint8)) if work.frame.has_mask else None
    # Without the precise scale, OpenCV's first octave is off by part of a pixel.
    detector = cv2.SIFT.create(
        nfeatures=work.max_features,
        contrastThreshold=work.min_contrast,
        enable_precise_upscale=True,
    )
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    keypoints, descriptors = detector.detectAndCompute(grey, inner)
    if not keypoints:
        pixels, descriptors = np.zeros((0, 2)), np.zeros((0, 128), np.uint8)
    else:
        pixels = np.array([keypoint.pt for keypoint in keypoints], np.float64) + 0.5
        pixels, descriptors = _canonical(pixels, descriptors.astype(np.uint8))
    bench.write_arrays(key, "features.npz", pixels=pixels, descriptors=descriptors)
    return FeatureResult(work.frame, key, work.width_px, work.height_px, len(pixels))


def _canonical(pixels: np.ndarray, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts by position and drops doubles (one place, several orientations)."""
    _, first = np.unique(pixels, axis=0, return_index=True)
    return pixels[first], descriptors[first]


FEATURES = Stage("features", 2, Role.DEPTH, FeatureResult, _describe)
"""Work: `FeatureWork`."""
