"""Scales and shifts that bring the predictions of a depth model to one scale.

Each prediction is right up to a scale and a shift of its own. Where two views overlap they show the
same directions, so their distances have to agree: that fixes all scales and shifts but for one
common scale. They are solved for together, robustly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from worldloom.errors import ReconstructionError
from worldloom.learned import Quantity
from worldloom.panorama._predictions import PredictedView, ViewSamples, sampled_views
from worldloom.panorama._rays import pixel_rays

_SAMPLE_ROWS = 96
_ROUNDS = 12
_TUKEY = 4.685
"""Tukey's constant: 95% efficiency on normal errors (Holland, Welsch 1977)."""
_SHIFT_HOLD = 1e-3
"""Weak pull of shifts to 0, relative to an overlap: where overlaps say nothing about them."""


@dataclass(frozen=True)
class ViewAlignment:
    """Scale and shift of one prediction: `aligned = scale * predicted + shift`."""

    scale: float
    shift: float
    mismatch: float | None
    """Median relative difference from its neighbours where they overlap; None without any."""


def align_views(views: Sequence[PredictedView], quantity: Quantity) -> tuple[ViewAlignment, ...]:
    """Solves for the scales and shifts of all predictions.

    Least squares over all overlaps, re-weighted with Tukey's weights. In inverse depth the spread
    of the aligned predictions is held, in depth their mean scale (so a model that predicts metres
    keeps them); holding the distances themselves would let a flat world win.

    Args:
        views: Predictions; the views have to cover the sphere with overlap.
        quantity: What the model predicts.

    Raises:
        ReconstructionError: the predictions are no numbers, or too flat to be aligned.
    """
    _require_numbers(views)
    rays = pixel_rays(2 * _SAMPLE_ROWS, _SAMPLE_ROWS)
    # Thinned towards the poles, so that samples are spread evenly over the sphere.
    level = np.hypot(rays[..., 0], rays[..., 2])
    column = np.arange(2 * _SAMPLE_ROWS)
    thin = np.floor((column + 1) * level) > np.floor(column * level)
    samples = sampled_views(views, rays[thin])
    spread = _spread(samples, quantity)
    equations = _Equations.of(samples, quantity, spread)
    scale, shift = equations.solve()
    lowest = scale.min()
    if not lowest > 0:
        raise ReconstructionError(
            f"the predictions of the depth model contradict each other where views overlap (view "
            f"{int(scale.argmin())} would have to be turned inside out); use another model, or "
            "--sampling icosahedron, whose views overlap more",
            stage="panorama_align",
        )
    mismatch = equations.mismatch(scale, shift, len(views))
    return tuple(
        ViewAlignment(float(scale[i]), float(shift[i]), mismatch[i]) for i in range(len(views))
    )


def _require_numbers(views: Sequence[PredictedView]) -> None:
    for number, view in enumerate(views):
        values = view.prediction.values[view.prediction.known]
        broken = int((~np.isfinite(values)).sum())
        if broken:
            raise ReconstructionError(
                f"{broken} pixels of the prediction of view {number} are not numbers; use another "
                "depth model",
                stage="panorama_align",
            )


def _spread(samples: ViewSamples, quantity: Quantity) -> Float64[np.ndarray, "v"]:
    """What the gauge holds, one a view: its contrast, or 1."""
    if quantity == "depth":
        return np.ones(len(samples.values))
    found = [
        float(np.subtract(*np.percentile(values[known], (90, 10)))) if known.any() else 0.0
        for values, known in zip(samples.values, samples.known, strict=True)
    ]
    spread = np.array(found)
    middle = float(np.median(spread))
    if not middle > 0:
        raise ReconstructionError(
            "the predictions of the depth model are flat; use another model, or give the depth",
            stage="panorama_align",
        )
    return np.maximum(spread, 0.05 * middle)


@dataclass(frozen=True, eq=False)
class _Equations:
    """One equation for each pair of views and direction that both see."""

    first: np.ndarray
    """View, one an equation."""
    second: np.ndarray
    predicted: Float64[np.ndarray, "e 2"]
    factor: Float64[np.ndarray, "e 2"]
    """What brings an aligned value to (inverse) distance: cosine, or 1 / cosine for depth."""
    gauge: Float64[np.ndarray, "v"]
    relative: bool
    """Differences count relative to the distance: for depth, where the far would drown the near."""

    @classmethod
    def of(
        cls, samples: ViewSamples, quantity: Quantity, gauge: Float64[np.ndarray, "v"]
    ) -> "_Equations":
        pairs: list[tuple[np.ndarray, ...]] = []
        for i, j in combinations(range(len(gauge)), 2):
            both = np.nonzero(samples.known[i] & samples.known[j])[0]
            size = len(both)
            pairs.append(
                (
                    np.full(size, i),
                    np.full(size, j),
                    samples.values[[i, j]][:, both].T,
                    samples.cosine[[i, j]][:, both].T,
                )
            )
        first, second, predicted, cosine = (
            np.concatenate(part) for part in zip(*pairs, strict=True)
        )
        if not len(first):
            raise ReconstructionError(
                "the views of the depth model do not overlap; give a wider --fov-deg",
                stage="panorama_align",
            )
        factor = cosine if quantity == "inverse_depth" else 1 / cosine
        return cls(first, second, predicted, factor, gauge, quantity == "depth")

    def solve(self) -> tuple[Float64[np.ndarray, "v"], Float64[np.ndarray, "v"]]:
        """Returns scales and shifts."""
        count = len(self.gauge)
        unit = 1 / self.gauge
        center = np.zeros(count)
        scale, shift = unit.copy(), center
        weight = np.ones(len(self.first))
        for _ in range(_ROUNDS):
            scale, shift = self._weighted(weight)
            one, other = self._sides(scale, shift)
            error = np.abs(one - other)
            size = np.maximum(0.5 * (np.abs(one) + np.abs(other)), 1e-12)
            size = size if self.relative else np.ones_like(size)
            relative = error / size
            reach = max(_TUKEY * 1.4826 * float(np.median(relative)), 1e-9)
            weight = np.where(relative < reach, (1 - (relative / reach) ** 2) ** 2, 0) / size**2
        return scale, shift

    def mismatch(
        self, scale: Float64[np.ndarray, "v"], shift: Float64[np.ndarray, "v"], count: int
    ) -> list[float | None]:
        """Returns the median relative difference from its neighbours, one a view."""
        one, other = self._sides(scale, shift)
        size = np.maximum(0.5 * (np.abs(one) + np.abs(other)), 1e-12)
        relative = np.abs(one - other) / size
        found = [relative[(self.first == i) | (self.second == i)] for i in range(count)]
        return [float(np.median(values)) if len(values) else None for values in found]

    def _sides(
        self, scale: Float64[np.ndarray, "v"], shift: Float64[np.ndarray, "v"]
    ) -> tuple[np.ndarray, np.ndarray]:
        one = self.factor[:, 0] * (scale[self.first] * self.predicted[:, 0] + shift[self.first])
        other = self.factor[:, 1] * (scale[self.second] * self.predicted[:, 1] + shift[self.second])
        return one, other

    def _weighted(
        self, weight: Float64[np.ndarray, "e"]
    ) -> tuple[Float64[np.ndarray, "v"], Float64[np.ndarray, "v"]]:
        """Weighted least squares with the gauge as a constraint (a Lagrange multiplier)."""
        count = len(self.gauge)
        normal = np.zeros((2 * count, 2 * count))
        columns = [
            (self.first, self.factor[:, 0] * self.predicted[:, 0]),
            (self.first + count, self.factor[:, 0]),
            (self.second, -self.factor[:, 1] * self.predicted[:, 1]),
            (self.second + count, -self.factor[:, 1]),
        ]
        for row, a in columns:
            for column, b in columns:
                code = row * 2 * count + column
                normal += np.bincount(code, weight * a * b, minlength=4 * count**2).reshape(
                    2 * count, 2 * count
                )
        hold = _SHIFT_HOLD * max(float(np.trace(normal[count:, count:])) / count, 1e-30)
        normal[np.arange(count, 2 * count), np.arange(count, 2 * count)] += hold
        bordered = np.zeros((2 * count + 1, 2 * count + 1))
        bordered[:-1, :-1] = normal
        bordered[-1, :count] = bordered[:count, -1] = self.gauge
        right = np.zeros(2 * count + 1)
        right[-1] = count
        solved = np.linalg.lstsq(bordered, right, rcond=None)[0]
        return solved[:count], solved[count : 2 * count]
