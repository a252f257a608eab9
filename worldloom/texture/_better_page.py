"""The stage that improves one page of the albedo with all views at once."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.bench import Bench
from worldloom.scene import UnwrappedMesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._bands import blended_page
from worldloom.texture._detail import with_detail
from worldloom.texture._inputs import TextureView
from worldloom.texture._method import TextureSet, load_unwrapped
from worldloom.texture._pages import COVERED, nearest_filled, read_page, spread, write_page
from worldloom.texture._stream import FootprintStream, page_mesh
from worldloom.texture._super import back_projected, enlarged
from worldloom.texture._texels import texels_on_pages

Step = Literal["baked", "seam_blending", "super_resolution", "detail_enhancement"]
FACTOR = 2
"""Texels of super-resolution along one of the bake."""


@dataclass(frozen=True)
class Steps:
    """What is done to a page, in this order."""

    seam_blending: bool
    super_resolution: bool
    detail_enhancement: bool
    iterations: int
    """Of super-resolution."""


@dataclass(frozen=True, eq=False)
class BetterPageWork:
    """One page, and all that it depends on."""

    made: TextureSet
    page: int
    views: tuple[TextureView, ...]
    """What the textures are made from, by view id."""
    fit_views: tuple[int, ...]
    """Ids of the views that super-resolution and detail are fitted to."""
    padding_px: int
    steps: Steps

    @property
    def subject(self) -> str:
        """For people."""
        return f"page {self.page}"


@dataclass(frozen=True)
class PageStep:
    """A page after one step; its picture is `<step>.png` in the artifact of the page."""

    step: Step
    side_px: int
    amount: float | None = None
    """See `OptimizationStep`."""


@dataclass(frozen=True)
class BetterPage:
    """One page after all steps."""

    page: int
    artifact: ArtifactKey
    """Artifact with a picture a step, and `covered.png` for the last one."""
    faces: int
    """That lie on the page."""
    steps: tuple[PageStep, ...]


def _improve(bench: Bench, key: ArtifactKey, work: BetterPageWork) -> BetterPage:
    unwrapped = load_unwrapped(bench, work.made)
    own = page_mesh(unwrapped, work.page)
    page = read_page(bench, work.made.pages[work.page].artifact, "albedo").astype(np.float32)
    done = list[PageStep]()

    def note(step: Step, values: Float32[np.ndarray, "h w 3"], amount: float | None = None) -> None:
        write_page(bench, key, step, _bytes(values))
        done.append(PageStep(step, values.shape[0], amount))

    if work.steps.seam_blending:
        blended = blended_page(bench, work.views, work.made, work.page, work.padding_px)
        page = _filled(blended, own, work.padding_px)
        note("seam_blending", page)
    if work.steps.super_resolution or work.steps.detail_enhancement:
        fitted = set(work.fit_views)
        views = [view for view in work.views if view.frame.view_id in fitted]
        with FootprintStream(bench, unwrapped, views, work.page) as stream:
            if work.steps.super_resolution:
                page, difference = enlarged(page, FACTOR), 0.0
                for _ in range(work.steps.iterations):
                    (page,), difference = back_projected([page], stream)
                note("super_resolution", page, difference)
            if work.steps.detail_enhancement:
                (page,), gain = with_detail([page], stream, own)
                note("detail_enhancement", page, gain)
    at = texels_on_pages(own, 0, page.shape[0], 0.0)
    covered = np.zeros((*page.shape[:2], 1), np.uint8)
    covered[at.row[at.inside], at.column[at.inside]] = 255
    write_page(bench, key, COVERED, covered)
    return BetterPage(work.page, key, len(own.mesh.faces), tuple(done))


def _filled(
    page: Float32[np.ndarray, "h w 3"], own: UnwrappedMesh, padding_px: int
) -> Float32[np.ndarray, "h w 3"]:
    """Fills what is around the charts."""
    at = texels_on_pages(own, 0, page.shape[0], float(padding_px))
    filled = np.zeros(page.shape[:2], bool)
    filled[at.row, at.column] = True
    mean = page[filled].mean(axis=0) if filled.any() else np.full(3, 128.0)
    return spread(page, nearest_filled(filled), mean)


def _bytes(page: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)


BETTER_PAGE = Stage("better-page", 2, Role.CHUNK, BetterPage, _improve)
"""Improves one page of the albedo with all views."""
