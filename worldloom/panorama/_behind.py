"""The second layer: what is behind a cut goes on under what is before it, as far as one may guess.

Plain and honest: the planes of the far side are carried on under the near side and smoothed between
where they come from (harmonic interpolation of their coefficients, so that a wall behind a chair is
that wall); colours are interpolated likewise, so they blur. Nothing is invented where the far side
would come out before the near one, nor beyond the reach.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float64, Int32, Int64
from scipy.sparse.linalg import splu

from worldloom.panorama._planes import Sheet, symmetric

_BEHIND = 0.2
"""Share of the jump that makes a cut, by which the second layer has to lie behind the first: it may
come close where the two surfaces meet."""


@dataclass(frozen=True, eq=False)
class Background:
    """Vertices of the second layer, each in the direction of one of the first."""

    vertex: Int64[np.ndarray, "b"]
    """The vertex before it."""
    sheet: Sheet
    """Where it is."""
    colors: Float64[np.ndarray, "b 3"]
    """sRGB, 0 to 255."""
    steps: Int64[np.ndarray, "b"]
    """Edges to the cut that it starts from, at least 1."""


@dataclass(frozen=True, eq=False)
class Foreground:
    """The first layer: what the second one is derived from."""

    rays: Float64[np.ndarray, "v 3"]
    sheet: Sheet
    """Distances, and smoothed planes."""
    colors: Float64[np.ndarray, "v 3"]
    """sRGB, 0 to 255."""
    edges: Int32[np.ndarray, "e 2"]
    """All edges of the grid."""
    joined: Bool[np.ndarray, "e"]
    """Those that run on one surface."""


def background(first: Foreground, reach_steps: int, max_jump: float) -> Background:
    """Makes the second layer.

    Args:
        first: The first layer.
        reach_steps: Edges that it goes on behind a cut; 0 for none.
        max_jump: Relative step of distance that makes a cut.
    """
    cuts = _cuts(first)
    grown = _grown(first, cuts, reach_steps, max_jump)
    if not len(grown.vertex):
        return grown
    return _behind(_relaxed(first, cuts, grown, max_jump), first, max_jump)


@dataclass(frozen=True, eq=False)
class _Cuts:
    """The edges that are cut, with something behind them."""

    near: Int64[np.ndarray, "c"]
    """Vertex before the cut, one an edge."""
    far: Int64[np.ndarray, "c"]
    """Vertex behind it."""
    far_colors: Float64[np.ndarray, "v 3"]
    """Colours to carry on from vertices behind a cut."""


def _cuts(first: Foreground) -> _Cuts:
    cut = first.edges[~first.joined].astype(np.int64)
    cut = cut[(first.sheet.inverse[cut] > 0).all(axis=1)]
    inverse = first.sheet.inverse[cut]
    swap = inverse[:, 0] < inverse[:, 1]
    near, far = np.where(swap, cut[:, 1], cut[:, 0]), np.where(swap, cut[:, 0], cut[:, 1])
    # What is itself before a cut is the rim of something round, and no background.
    is_near = np.zeros(len(first.rays), bool)
    is_near[near] = True
    real = ~is_near[far]
    return _Cuts(near[real], far[real], _clean_colors(first, cut))


def _grown(first: Foreground, cuts: _Cuts, reach_steps: int, max_jump: float) -> Background:
    """Carries planes and colours of the far side on, edge by edge, under the near side."""
    count = len(first.rays)
    inverse = first.sheet.inverse
    plane, color = np.zeros((count, 3)), np.zeros((count, 3))
    steps = np.zeros(count, np.int64)
    links = sp.csr_matrix((np.ones(len(cuts.near)), (cuts.near, cuts.far)), shape=(count, count))
    around = symmetric(first.edges, count)
    sources = first.sheet.plane, cuts.far_colors
    for step in range(1, reach_steps + 1):
        number = np.asarray(links.sum(axis=1)).ravel()
        reached = np.nonzero((number > 0) & (steps == 0) & (inverse > 0))[0]
        if not len(reached):
            break
        taken = links[reached]
        guess = (taken @ sources[0]) / number[reached, None]
        tint = (taken @ sources[1]) / number[reached, None]
        at = (guess * first.rays[reached]).sum(axis=1)
        hidden = (at > 0) & (at < inverse[reached] * (1 - _BEHIND * max_jump))
        new = reached[hidden]
        plane[new], color[new], steps[new] = guess[hidden], tint[hidden], step
        # From here on only from what was reached in this step.
        fresh = sp.diags((steps == step).astype(np.float64))
        links = sp.csr_matrix(around @ fresh)
        sources = plane, color
    vertex = np.nonzero(steps)[0]
    at = (plane[vertex] * first.rays[vertex]).sum(axis=1)
    return Background(vertex, Sheet(at, plane[vertex]), color[vertex], steps[vertex])


def _clean_colors(first: Foreground, cut: Int64[np.ndarray, "c 2"]) -> Float64[np.ndarray, "v 3"]:
    """Colours of the ends of cuts from their neighbours away from them: their own are mixed."""
    count = len(first.rays)
    mixed = np.zeros(count, bool)
    mixed[cut.ravel()] = True
    around = symmetric(first.edges[first.joined], count) @ sp.diags((~mixed).astype(np.float64))
    number = np.asarray(around.sum(axis=1)).ravel()
    mean = (around @ first.colors) / np.maximum(number, 1)[:, None]
    return np.where((mixed & (number > 0))[:, None], mean, first.colors)


def _relaxed(first: Foreground, cuts: _Cuts, grown: Background, max_jump: float) -> Background:
    """Interpolates planes and colours between the cuts that they come from (Laplace)."""
    count = len(first.rays)
    place = np.full(count, -1, np.int64)
    place[grown.vertex] = np.arange(len(grown.vertex))
    rooted = place[cuts.near] >= 0
    near, far = place[cuts.near[rooted]], cuts.far[rooted]
    # Planes of a far side that disagrees with what was carried here belong to another surface.
    said = (first.sheet.plane[far] * first.rays[grown.vertex[near]]).sum(axis=1)
    agrees = np.abs(said - grown.sheet.inverse[near]) <= 2 * max_jump * grown.sheet.inverse[near]
    near, far = near[agrees], far[agrees]
    inner = place[first.edges]
    inner = inner[(inner >= 0).all(axis=1)]
    ends = grown.sheet.inverse[inner]
    inner = inner[np.abs(ends[:, 0] - ends[:, 1]) <= 2 * max_jump * ends.min(axis=1)]
    size = len(grown.vertex)
    links = symmetric(inner.astype(np.int32), size)
    held = np.bincount(near, minlength=size).astype(np.float64)
    # A weak hold on what was carried there keeps parts that lost their roots where they are.
    weak = 1e-3
    degree = np.asarray(links.sum(axis=1)).ravel() + held + weak
    known = np.concatenate([first.sheet.plane, cuts.far_colors], axis=1)
    right = sp.csr_matrix((np.ones(len(near)), (near, far)), shape=(size, count)) @ known
    right += weak * np.concatenate([grown.sheet.plane, grown.colors], axis=1)
    solved = splu(sp.csc_matrix(sp.diags(degree) - links)).solve(right)
    plane = np.ascontiguousarray(solved[:, :3])
    at = (plane * first.rays[grown.vertex]).sum(axis=1)
    return Background(grown.vertex, Sheet(at, plane), solved[:, 3:], grown.steps)


def _behind(layer: Background, first: Foreground, max_jump: float) -> Background:
    """Leaves out what came out before the first layer after all."""
    before = first.sheet.inverse[layer.vertex]
    kept = (layer.sheet.inverse > 0) & (layer.sheet.inverse < before * (1 - _BEHIND * max_jump))
    return Background(
        layer.vertex[kept],
        Sheet(layer.sheet.inverse[kept], layer.sheet.plane[kept]),
        layer.colors[kept],
        layer.steps[kept],
    )
