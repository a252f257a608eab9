"""The stage that lays the charts of all parts out on pages."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from worldloom.bench import Bench
from worldloom.errors import StageError
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._choose import ChosenViews, load_chosen
from worldloom.texture._config import SMALLEST_PAGE_PX
from worldloom.texture._light import LightMesh, load_light
from worldloom.texture._packing import Packing, packed
from worldloom.texture._unwrap import UnwrappedPart, load_charts

ATLAS_FILE = "atlas.npz"
_LEAST_DENSITY = 0.2
"""Of charts that no view sees, and of those seen from far away, as a share of the median."""
_BISECTIONS = 10


@dataclass(frozen=True)
class PackWork:
    """Charts, and the pages that there may be."""

    light: LightMesh
    parts: tuple[UnwrappedPart, ...]
    """All of them, in order."""
    chosen: ChosenViews
    texture_resolution: int
    """See `TextureConfig`."""
    max_texture_pages: int
    texels_per_pixel: float
    padding_px: int

    @property
    def subject(self) -> str:
        """For people."""
        return "atlas"


@dataclass(frozen=True)
class Atlas:
    """The UV set of a light mesh."""

    artifact: ArtifactKey
    """Artifact with `atlas.npz`: the fields of `AtlasArrays`."""
    pages: int
    side_px: int
    """Side of each page, texels."""
    charts: int
    utilisation: float
    """Share of the texels of all pages that belong to a face."""
    density_share: float
    """Texel density over that asked for; below 1 where the pages do not suffice."""


@dataclass(frozen=True, eq=False)
class AtlasArrays:
    """The UV set in memory."""

    uv: Float32[np.ndarray, "f 3 2"]
    """0 to 1, origin at the bottom left."""
    page: Int32[np.ndarray, "f"]
    chart: Int32[np.ndarray, "f"]
    """Chart of each face; those of a part follow each other."""
    boxes: Int32[np.ndarray, "c 4"]
    """Left, lower, width and height of each chart with its padding, texels, rows from below."""


def load_atlas(bench: Bench, atlas: Atlas) -> AtlasArrays:
    """Returns the UV set."""
    return AtlasArrays(**bench.arrays(atlas.artifact, ATLAS_FILE))


@dataclass(frozen=True, eq=False)
class _Gathered:
    """The charts of all parts."""

    uv_m: Float32[np.ndarray, "f 3 2"]
    chart: Int32[np.ndarray, "f"]
    size_m: Float64[np.ndarray, "c 2"]


def _gather(bench: Bench, work: PackWork) -> _Gathered:
    loaded = [load_charts(bench, part) for part in work.parts]
    first = np.cumsum([0, *(len(charts.size_m) for charts in loaded)])
    return _Gathered(
        np.concatenate([charts.uv_m for charts in loaded]),
        np.concatenate(
            [charts.chart + start for charts, start in zip(loaded, first, strict=False)]
        ).astype(np.int32),
        np.concatenate([charts.size_m for charts in loaded]).astype(np.float64),
    )


def _densities(
    mesh: Mesh, chart: Int32[np.ndarray, "f"], density_px: Float32[np.ndarray, "f"]
) -> Float64[np.ndarray, "c"]:
    """Pixels along a world unit that the views resolve on each chart, in the mean over its area."""
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    square = density_px.astype(np.float64) ** 2
    seen = square > 0
    if not seen.any():
        # Nothing to go by: a thousand pixels across the mesh.
        extent = float(np.linalg.norm(np.ptp(mesh.vertices_in_world, axis=0)))
        return np.full(int(chart.max()) + 1, 1000 / extent)
    total = np.bincount(chart, area * square)
    covered = np.bincount(chart, area * seen)
    density = np.sqrt(np.divide(total, covered, out=np.zeros_like(total), where=covered > 0))
    return np.maximum(density, _LEAST_DENSITY * float(np.median(density_px[seen])))


def _sizes(
    size_m: Float64[np.ndarray, "c 2"], texels: Float64[np.ndarray, "c"], padding_px: int
) -> Int64[np.ndarray, "c 2"]:
    return np.ceil(size_m * texels[:, None]).astype(np.int64) + 2 * padding_px


def _attempts(work: PackWork) -> Iterator[tuple[int, int]]:
    """Sides and numbers of pages, from few texels to many."""
    side = SMALLEST_PAGE_PX
    while side < work.texture_resolution:
        yield side, 1
        side *= 2
    for pages in range(1, work.max_texture_pages + 1):
        yield work.texture_resolution, pages


def _fitted(
    size_m: Float64[np.ndarray, "c 2"], texels: Float64[np.ndarray, "c"], work: PackWork
) -> tuple[Packing, int, float]:
    """A packing, the side of its pages, and the share of the density that it has."""
    sizes = _sizes(size_m, texels, work.padding_px)
    for side, pages in _attempts(work):
        found = packed(sizes, side, pages)
        if found is not None:
            return found, side, 1.0
    side, pages = work.texture_resolution, work.max_texture_pages
    low, best = 0.0, None
    high = 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        found = packed(_sizes(size_m, texels * middle, work.padding_px), side, pages)
        if found is None:
            high = middle
        else:
            low, best = middle, found
    if best is None:
        raise StageError(
            f"{len(size_m)} charts do not fit on {pages} pages of {side} texels; raise "
            "texture_resolution or max_texture_pages, or lower max_texture_faces",
            stage="pack",
        )
    return best, side, low


def _pack(bench: Bench, key: ArtifactKey, work: PackWork) -> Atlas:
    mesh = load_light(bench, work.light).mesh
    charts = _gather(bench, work)
    density = _densities(mesh, charts.chart, load_chosen(bench, work.chosen).density_px)
    texels = density * work.texels_per_pixel
    packing, side, share = _fitted(charts.size_m, texels, work)
    texels = texels * share
    corner = packing.corner[charts.chart] + work.padding_px
    at = charts.uv_m * texels[charts.chart, None, None] + corner[:, None, :]
    sizes = _sizes(charts.size_m, texels, work.padding_px)
    u, v = at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]
    covered = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum()
    bench.write_arrays(
        key,
        ATLAS_FILE,
        uv=(at / side).astype(np.float32),
        page=packing.page[charts.chart],
        chart=charts.chart,
        boxes=np.concatenate([packing.corner, sizes], axis=1).astype(np.int32),
    )
    return Atlas(
        key,
        packing.pages,
        side,
        len(sizes),
        float(covered) / (packing.pages * side**2),
        share,
    )


PACK = Stage("pack", 1, Role.MERGER, Atlas, _pack)
"""Lays the charts out on pages."""
