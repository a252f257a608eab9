"""The quality of a scene in four numbers, and the same for its parts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from worldloom.metrics._pixels import PixelQuality, measures
from worldloom.metrics._regions import NOWHERE, Regions
from worldloom.render import RenderedView
from worldloom.scene import DepthMap


@dataclass(frozen=True)
class QualityScores:
    """The four measures, each 0 (bad) to 1 (good); None where nothing could be judged.

    `docs/metrics.md` has the formulas and the limits.
    """

    completeness: float | None
    """Share of the view rays with data that the surface explains."""
    geometric_consistency: float | None
    """Agreement of the surface with the depth of the views."""
    texture_quality: float | None
    """Detail of the images that renderings show."""
    view_consistency: float | None
    """Agreement of the colours of renderings and images, over all views."""


@dataclass(frozen=True)
class ViewQuality:
    """One view."""

    name: str
    """Of the frame."""
    scores: QualityScores


@dataclass(frozen=True)
class ChunkQuality:
    """One chunk of the surface plan."""

    chunk_id: int
    scores: QualityScores
    pixels: int
    """Pixels of the judged views that see it."""


@dataclass(frozen=True)
class SeamQuality:
    """The seam between two chunks."""

    chunk_ids: tuple[int, int]
    """The smaller first."""
    scores: QualityScores
    pixels: int
    """Pixels of the judged views that see it."""


@dataclass(frozen=True)
class QualityReport:
    """Quality of a scene, measured without a truth; see `QualityScores` for the four numbers."""

    completeness: float | None
    geometric_consistency: float | None
    texture_quality: float | None
    view_consistency: float | None
    held_out: QualityScores | None = None
    """Of views that nothing was made from, at the gain that fits them best; their geometry is not
    judged, as they have no depth. None where none was kept out."""
    views: tuple[ViewQuality, ...] = ()
    """The views that were judged."""
    held_out_views: tuple[ViewQuality, ...] = ()
    chunks: tuple[ChunkQuality, ...] = ()
    """Of those that a judged view sees."""
    seams: tuple[SeamQuality, ...] = ()
    """Of those that a judged view sees."""

    @property
    def scores(self) -> QualityScores:
        """Those of the whole scene."""
        return QualityScores(
            self.completeness,
            self.geometric_consistency,
            self.texture_quality,
            self.view_consistency,
        )


@dataclass(frozen=True, eq=False)
class JudgedView:
    """One view: its name, its pixels, and what they look at."""

    name: str
    quality: PixelQuality
    rendered: RenderedView
    depth_map: DepthMap | None
    """None for a view that was kept out."""


def quality_report(
    views: Iterable[JudgedView], held_out: Iterable[JudgedView], regions: Regions
) -> QualityReport:
    """Sums up pixels over the scene, its chunks and its seams.

    Scores are weighted means over all pixels of all views, so large views count as their pixels
    do. A pixel belongs to the chunk in which its depth lies, or, without depth, the surface that
    it shows; a ray that meets nothing and has no depth belongs to the scene alone.

    Args:
        views: Judged views; asked for one at a time, so that only one is in memory.
        held_out: Views that were kept out.
        regions: Chunks and seams.
    """
    chunks, seams = _Sums.zeros(len(regions.chunk_ids)), _Sums.zeros(len(regions.seams))
    total, kept_out = _Sums.zeros(1), _Sums.zeros(1)
    scored: list[ViewQuality] = []
    for view in views:
        scored.append(ViewQuality(view.name, _Sums.zeros(1).added(view.quality).scores(0)))
        total = total.added(view.quality)
        points, seen = _places(view)
        labels = np.full(seen.shape, NOWHERE, np.int64)
        labels[seen] = regions.chunk_of(points)
        chunks = chunks.added(view.quality, labels)
        labels[seen] = regions.seam_of(points)
        seams = seams.added(view.quality, labels)
    scored_out: list[ViewQuality] = []
    for view in held_out:
        scored_out.append(ViewQuality(view.name, _Sums.zeros(1).added(view.quality).scores(0)))
        kept_out = kept_out.added(view.quality)
    whole = total.scores(0)
    return QualityReport(
        whole.completeness,
        whole.geometric_consistency,
        whole.texture_quality,
        whole.view_consistency,
        kept_out.scores(0) if scored_out else None,
        tuple(scored),
        tuple(scored_out),
        tuple(
            ChunkQuality(number, chunks.scores(i), int(chunks.pixels[i]))
            for i, number in enumerate(regions.chunk_ids)
            if chunks.pixels[i]
        ),
        tuple(
            SeamQuality(pair, seams.scores(i), int(seams.pixels[i]))
            for i, pair in enumerate(regions.seams)
            if seams.pixels[i]
        ),
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """Weighted scores and weights of the four measures, by region."""

    scored: Float64[np.ndarray, "4 r"]
    weights: Float64[np.ndarray, "4 r"]
    pixels: Int64[np.ndarray, "r"]

    @classmethod
    def zeros(cls, regions: int) -> "_Sums":
        return cls(np.zeros((4, regions)), np.zeros((4, regions)), np.zeros(regions, np.int64))

    def added(self, quality: PixelQuality, labels: np.ndarray | None = None) -> "_Sums":
        """With the pixels of a view, by region; without labels all are of the first."""
        count = len(self.pixels)
        if not count:
            return self
        used = slice(None) if labels is None else labels >= 0
        scored, weights, pixels = self.scored.copy(), self.weights.copy(), self.pixels
        for row, name in enumerate(measures()):
            measure = getattr(quality, name)
            weight = measure.weight[used].reshape(-1).astype(np.float64)
            score = measure.score[used].reshape(-1) * weight
            where = np.zeros(len(weight), np.int64) if labels is None else labels[used]
            scored[row] += np.bincount(where, score, count)
            weights[row] += np.bincount(where, weight, count)
            if row == 0:
                pixels = pixels + np.bincount(where, minlength=count)
        return _Sums(scored, weights, pixels)

    def scores(self, region: int) -> QualityScores:
        """The four numbers of a region."""
        values = [
            min(float(scored[region] / weights[region]), 1.0) if weights[region] > 0 else None
            for scored, weights in zip(self.scored, self.weights, strict=True)
        ]
        return QualityScores(*values)


def _places(view: JudgedView) -> tuple[Float64[np.ndarray, "p 3"], np.ndarray]:
    """World points of the pixels that have one, and which these are."""
    depth = view.rendered.depth
    if view.depth_map is not None:
        depth = np.where(view.depth_map.depth > 0, view.depth_map.depth, depth)
    seen = depth > 0
    row, column = np.nonzero(seen)
    pixels = np.stack([column, row], axis=-1) + 0.5
    return view.rendered.camera.unproject(pixels, depth[seen]), seen
