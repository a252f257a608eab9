"""Textures made better with all views at once: seams, resolution, detail, each of them measured."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32

from worldloom.bench import Bench
from worldloom.errors import ConfigError, InputError, ReconstructionError
from worldloom.inline import InlineRunner
from worldloom.response import ViewExposure
from worldloom.scene import Frame, ReconstructedScene, Texture, UnwrappedMesh
from worldloom.texture._bands import blended_pages
from worldloom.texture._choose import Chosen, load_chosen
from worldloom.texture._config import LARGEST_PAGE_PX, TextureConfig
from worldloom.texture._contrast import seam_contrast
from worldloom.texture._detail import with_detail
from worldloom.texture._inputs import TextureInputs, TextureView, views_by_id
from worldloom.texture._judge import held_out_score
from worldloom.texture._method import (
    TextureSet,
    load_maps,
    load_unwrapped,
    texture_surface,
)
from worldloom.texture._pages import nearest_filled, spread
from worldloom.texture._record import bench_of, load_inputs, texture_config
from worldloom.texture._scene import StageRun
from worldloom.texture._stream import FootprintStream
from worldloom.texture._super import Pages, back_projected, enlarged
from worldloom.texture._texels import texels_on_pages

_logger = logging.getLogger(__name__)
OPTIMIZATION = "texture_optimization"
"""Name of the record of the steps in the metadata of a scene."""
Step = Literal["baked", "seam_blending", "super_resolution", "detail_enhancement"]
_FACTOR = 2


@dataclass(frozen=True)
class OptimizationStep:
    """What one step did."""

    step: Step
    """`baked` is what the others start from."""
    side_px: int
    """Side of the pages after it, texels."""
    held_out_psnr_db: float | None
    """Views that the step did not use, rendered, against their images: median over covered
    pixels."""
    held_out_ssim: float | None
    seam_levels: float
    """What seams add to the steps that views show; see `SeamContrast.levels`."""
    seconds: float
    amount: float | None = None
    """Super-resolution: mean difference of renderings from images, levels, before its last
    iteration. Detail: mean gain. None for the others."""


@dataclass
class _Work:
    """A texture on its way, and what it is judged by."""

    bench: Bench
    unwrapped: UnwrappedMesh
    chosen: Chosen
    views: Mapping[int, TextureView]
    judges: Sequence[tuple[Frame, ViewExposure | None]]
    steps: list[OptimizationStep] = field(default_factory=list[OptimizationStep])

    def judge(
        self, step: Step, albedo: Texture, since_s: float, amount: float | None = None
    ) -> None:
        """Records a step."""
        seconds = time.monotonic() - since_s
        score = held_out_score(self.bench, self.unwrapped, albedo, self.judges)
        contrast = seam_contrast(self.bench, self.unwrapped, albedo, self.chosen, self.views)
        side_px = albedo.pages[0].shape[0]
        found = OptimizationStep(
            step, side_px, score.psnr_db, score.ssim, contrast.levels, seconds, amount
        )
        _logger.info("%s", found)
        self.steps.append(found)


def optimize_textures(
    scene: ReconstructedScene,
    super_resolution: bool = True,
    seam_blending: bool = True,
    detail_enhancement: bool = True,
    *,
    iterations: int = 8,
    holdout: int = 8,
    store_uri: str | None = None,
) -> ReconstructedScene:
    """Improves the albedo of a scene with all of its views.

    Seam blending bakes it anew, with light passing from view to view over several rings of faces
    and detail over one. Super-resolution doubles the texels and fits them to the pixels of all
    views. Detail enhancement raises what is finest as far as the views have more of it, and keeps
    colours within what they show. Each step is judged by views that it does not use: those that the
    reconstruction kept out, or else every `holdout`-th, which then shaped the texture that is
    started from, but not the super-resolution and the detail.

    Args:
        scene: As `reconstruct_files`, `load_scene` or `bake_textures` returned it; its artifact
            store holds the frames.
        super_resolution: Double the texels.
        seam_blending: Blend seams in two bands.
        detail_enhancement: Raise detail.
        iterations: Of super-resolution; more fits the views closer, noise as well.
        holdout: Every n-th view judges, where the reconstruction kept none out.
        store_uri: Where the artifact store of the scene is; None for where it was.

    Returns:
        The scene with the better albedo; normal and roughness stay, on the same UV set.
        `metadata["texture_optimization"]` lists the steps (`OptimizationStep`).

    Raises:
        ConfigError: a setting cannot work, or twice the resolution is too much.
        InputError: the scene does not say what its textures are made from, its store is gone, or
            its textures are not those of its settings.
        ReconstructionError: the textures cannot be made.
    """
    if iterations < 1 or holdout < 2:
        raise ConfigError(
            f"iterations must be at least 1 and holdout at least 2, got {iterations} and {holdout}"
        )
    bench_config = bench_of(scene, store_uri)
    runner = InlineRunner(bench_config)
    inputs = load_inputs(runner.bench, scene)
    config = texture_config(scene)
    bench = runner.bench
    made = _made(StageRun(runner), bench, inputs, config, scene)
    if super_resolution and made.atlas.side_px * _FACTOR > LARGEST_PAGE_PX:
        raise ConfigError(
            f"super-resolution of pages of {made.atlas.side_px} texels would give more than "
            f"{LARGEST_PAGE_PX}; bake with texture_resolution={LARGEST_PAGE_PX // _FACTOR} first, "
            "or leave super_resolution out",
            field="super_resolution",
        )
    unwrapped = load_unwrapped(bench, made)
    used, judges = _split(inputs, holdout)
    chosen = load_chosen(bench, made.chosen)
    work = _Work(bench, unwrapped, chosen, views_by_id(inputs.views), judges)
    textures = load_maps(bench, made)
    start = time.monotonic()
    work.judge("baked", textures["albedo"], start)
    pages: Pages = [page.astype(np.float32) for page in textures["albedo"].pages]
    if seam_blending:
        start = time.monotonic()
        pages = _filled(
            blended_pages(bench, inputs, made, config.texture_padding_px), unwrapped, config
        )
        work.judge("seam_blending", _texture(pages, unwrapped), start)
    if super_resolution or detail_enhancement:
        with FootprintStream(bench, unwrapped, used) as stream:
            if super_resolution:
                pages = _super_resolved(work, pages, stream, iterations)
            if detail_enhancement:
                start = time.monotonic()
                pages, gain = with_detail(pages, stream, unwrapped)
                work.judge("detail_enhancement", _texture(pages, unwrapped), start, gain)
    textures["albedo"] = _texture(pages, unwrapped)
    steps = [asdict(step) for step in work.steps]
    metadata = {**scene.metadata, OPTIMIZATION: steps}
    return replace(scene, unwrapped=unwrapped, textures=textures, metadata=metadata)


def _made(
    run: StageRun,
    bench: Bench,
    inputs: TextureInputs,
    config: TextureConfig,
    scene: ReconstructedScene,
) -> TextureSet:
    """References to the textures of the scene, found in its store or made."""
    made = texture_surface(run, inputs, config)
    if made is None or run.failures:
        failure = run.failures[0]
        raise ReconstructionError(
            f"textures could not be made: {failure.stage} of {failure.subject}: {failure.message}",
            stage=failure.stage,
            failed=len(run.failures),
        )
    if scene.unwrapped is not None:
        uv = load_unwrapped(bench, made).uv
        if not np.array_equal(uv, scene.unwrapped.uv):
            raise InputError(
                "the UV set of the scene is not that of its settings; bake its textures again with "
                "bake_textures"
            )
    return made


def _split(
    inputs: TextureInputs, holdout: int
) -> tuple[list[TextureView], list[tuple[Frame, ViewExposure | None]]]:
    """Views to use, and views to judge by."""
    if inputs.held_out:
        return list(inputs.views), [(frame, None) for frame in inputs.held_out]
    used = [v for i, v in enumerate(inputs.views) if i % holdout != holdout - 1]
    kept = [v for i, v in enumerate(inputs.views) if i % holdout == holdout - 1]
    return used, [(view.frame, view.exposure) for view in kept]


def _super_resolved(
    work: _Work, start_pages: Pages, stream: FootprintStream, iterations: int
) -> list[np.ndarray]:
    start = time.monotonic()
    pages = [enlarged(page, _FACTOR) for page in start_pages]
    difference = 0.0
    for _ in range(iterations):
        pages, difference = back_projected(pages, stream)
    work.judge("super_resolution", _texture(pages, work.unwrapped), start, difference)
    return pages


def _filled(pages: Pages, unwrapped: UnwrappedMesh, config: TextureConfig) -> Pages:
    """Fills what is around the charts."""
    whole: Pages = []
    for number, page in enumerate(pages):
        side = page.shape[0]
        at = texels_on_pages(unwrapped, number, side, float(config.texture_padding_px))
        filled = np.zeros(page.shape[:2], bool)
        filled[at.row, at.column] = True
        mean = page[filled].mean(axis=0) if filled.any() else np.full(3, 128.0)
        whole.append(spread(page, nearest_filled(filled), mean))
    return whole


def _texture(pages: Pages, unwrapped: UnwrappedMesh) -> Texture:
    return Texture(
        "albedo",
        tuple(_bytes(page) for page in pages),
        tuple(_covered(unwrapped, number, page.shape[0]) for number, page in enumerate(pages)),
    )


def _bytes(page: Float32[np.ndarray, "h w 3"]) -> np.ndarray:
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)


def _covered(unwrapped: UnwrappedMesh, page: int, side_px: int) -> np.ndarray:
    at = texels_on_pages(unwrapped, page, side_px, 0.0)
    covered = np.zeros((side_px, side_px), bool)
    covered[at.row, at.column] = at.inside
    return covered
