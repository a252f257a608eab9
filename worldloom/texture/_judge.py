"""How well a texture shows views that it was not made from, and how its seams stand out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from worldloom.bench import Bench
from worldloom.metrics import score_view
from worldloom.render import TexturedRenderer
from worldloom.response import ViewExposure, exposed
from worldloom.scene import Frame, Texture, UnwrappedMesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._choose import load_chosen
from worldloom.texture._contrast import seam_contrast
from worldloom.texture._inputs import TextureView, views_by_id
from worldloom.texture._method import TextureSet, load_unwrapped
from worldloom.texture._pages import read_page

_SAMPLES = 2


@dataclass(frozen=True)
class HeldOutScore:
    """Medians over views, over covered pixels; None where nothing is covered."""

    psnr_db: float | None
    ssim: float | None


def held_out_score(
    bench: Bench,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    frames: Sequence[tuple[Frame, ViewExposure | None]],
) -> HeldOutScore:
    """Scores a texture on some views, at their full size.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        albedo: Its colours.
        frames: Views, with their exposure where it is known: the rendering gets it first.
    """
    renderer = TexturedRenderer(unwrapped, albedo)
    psnr, ssim = list[float](), list[float]()
    for frame, exposure in frames:
        lens = frame.camera.intrinsics
        mask = bench.mask(frame, lens.width_px, lens.height_px)
        if not mask.any():
            continue
        rendered = renderer.render(frame.camera, _SAMPLES)
        if exposure is not None:
            rendered = replace(rendered, image=exposed(rendered.image, exposure))
        score = score_view(rendered, bench.image(frame, lens.width_px, lens.height_px), mask)
        psnr += [] if score.psnr_db is None else [score.psnr_db]
        ssim += [] if score.ssim is None else [score.ssim]
    return HeldOutScore(
        float(np.median(psnr)) if psnr else None, float(np.median(ssim)) if ssim else None
    )


@dataclass(frozen=True)
class StoredPage:
    """A picture in the store."""

    artifact: ArtifactKey
    name: str


@dataclass(frozen=True, eq=False)
class JudgeWork:
    """A texture, and what it is judged by."""

    made: TextureSet
    """Whose mesh, UV set and choice of views it has."""
    albedo: tuple[StoredPage, ...]
    name: str
    frames: tuple[Frame, ...]
    """Views that the texture was not made from."""
    exposures: tuple[ViewExposure | None, ...]
    """One a frame."""
    views: tuple[TextureView, ...]
    """Those that it was made from: they know what is a seam."""

    @property
    def subject(self) -> str:
        """For people."""
        return self.name


@dataclass(frozen=True)
class Judgement:
    """How good a texture is."""

    held_out: HeldOutScore
    seam_levels: float
    """See `SeamContrast.levels`."""


def _judge(bench: Bench, _key: ArtifactKey, work: JudgeWork) -> Judgement:
    unwrapped = load_unwrapped(bench, work.made)
    pages = tuple(read_page(bench, page.artifact, page.name) for page in work.albedo)
    # Neither renderings nor seams ask what is covered.
    albedo = Texture("albedo", pages, tuple(np.ones(page.shape[:2], bool) for page in pages))
    score = held_out_score(
        bench, unwrapped, albedo, list(zip(work.frames, work.exposures, strict=True))
    )
    chosen = load_chosen(bench, work.made.chosen)
    contrast = seam_contrast(bench, unwrapped, albedo, chosen, views_by_id(work.views))
    return Judgement(score, contrast.levels)


JUDGE = Stage("judge-texture", 2, Role.MERGER, Judgement, _judge)
"""Judges a texture."""
