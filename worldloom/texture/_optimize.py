"""Textures made better with all views at once: seams, resolution, detail, each of them measured."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, InputError
from worldloom.inline import InlineRunner
from worldloom.response import ViewExposure
from worldloom.scene import Frame, ReconstructedScene, Texture
from worldloom.stage import Progress, Runner
from worldloom.texture._better_page import (
    BETTER_PAGE,
    FACTOR,
    BetterPage,
    BetterPageWork,
    Step,
    Steps,
)
from worldloom.texture._config import LARGEST_PAGE_PX
from worldloom.texture._inputs import TextureInputs
from worldloom.texture._judge import JUDGE, JudgeWork, StoredPage
from worldloom.texture._method import TextureSet, load_maps, load_unwrapped
from worldloom.texture._pages import COVERED, read_page
from worldloom.texture._record import bench_of, load_inputs, texture_config
from worldloom.texture._scene import StageRun, inline_runner, made_textures

_logger = logging.getLogger(__name__)
OPTIMIZATION = "texture_optimization"
"""Name of the record of the steps in the metadata of a scene."""


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
    amount: float | None = None
    """Super-resolution: mean difference of renderings from images, levels, before its last
    iteration. Detail: mean gain. Means over pages by their faces. None for the others."""


def optimize_textures(
    scene: ReconstructedScene,
    super_resolution: bool = True,
    seam_blending: bool = True,
    detail_enhancement: bool = True,
    *,
    iterations: int = 8,
    holdout: int = 8,
    store_uri: str | None = None,
    runner: Callable[[BenchConfig], Runner] | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> ReconstructedScene:
    """Improves the albedo of a scene with all of its views.

    Seam blending bakes it anew, with light passing from view to view over several rings of faces
    and detail over one. Super-resolution doubles the texels and fits them to the pixels of all
    views. Detail enhancement raises what is finest as far as the views have more of it, and keeps
    colours within what they show. Each step is judged by views that it does not use: those that the
    reconstruction kept out, or else every `holdout`-th, which then shaped the texture that is
    started from, but not the super-resolution and the detail. What was finished is found again.

    Args:
        scene: As `reconstruct_files`, `load_scene` or `bake_textures` returned it; its artifact
            store holds the frames.
        super_resolution: Double the texels.
        seam_blending: Blend seams in two bands.
        detail_enhancement: Raise detail.
        iterations: Of super-resolution; more fits the views closer, noise as well.
        holdout: Every n-th view judges, where the reconstruction kept none out.
        store_uri: Where the artifact store of the scene is; None for where it was.
        runner: What executes the stages, a page an item; None for this process, on all its cores.
        on_progress: Called after each work item.

    Returns:
        The scene with the better albedo; normal and roughness stay, on the same UV set.
        `metadata["texture_optimization"]` lists the steps (`OptimizationStep`).

    Raises:
        ConfigError: a setting cannot work, or twice the resolution is too much.
        InputError: the scene does not say what its textures are made from, its store is gone, or
            its textures are not those of its settings.
        ReconstructionError: a step failed.
    """
    if iterations < 1 or holdout < 2:
        raise ConfigError(
            f"iterations must be at least 1 and holdout at least 2, got {iterations} and {holdout}"
        )
    bench_config = bench_of(scene, store_uri)
    bench = InlineRunner(bench_config).bench
    inputs = load_inputs(bench, scene)
    steps = Steps(seam_blending, super_resolution, detail_enhancement, iterations)
    opened = (runner or inline_runner)(bench_config)
    try:
        run = StageRun(opened, on_progress)
        made = _made(run, bench, inputs, scene, super_resolution)
        padding_px = texture_config(scene).texture_padding_px
        pages = _improved(run, inputs, made, steps, padding_px, holdout)
        record = _judged(run, inputs, made, pages, holdout)
    finally:
        opened.close()
    textures = load_maps(bench, made)
    if pages[0].steps:
        textures["albedo"] = _albedo(bench, pages)
    metadata = {**scene.metadata, OPTIMIZATION: [asdict(step) for step in record]}
    return replace(
        scene, unwrapped=load_unwrapped(bench, made), textures=textures, metadata=metadata
    )


def _made(
    run: StageRun,
    bench: Bench,
    inputs: TextureInputs,
    scene: ReconstructedScene,
    super_resolution: bool,
) -> TextureSet:
    """References to the textures of the scene, found in its store or made."""
    made = made_textures(run, inputs, texture_config(scene))
    if super_resolution and made.atlas.side_px * FACTOR > LARGEST_PAGE_PX:
        raise ConfigError(
            f"super-resolution of pages of {made.atlas.side_px} texels would give more than "
            f"{LARGEST_PAGE_PX}; bake with texture_resolution={LARGEST_PAGE_PX // FACTOR} first, "
            "or leave super_resolution out",
            field="super_resolution",
        )
    if scene.unwrapped is not None:
        uv = load_unwrapped(bench, made).uv
        if not np.array_equal(uv, scene.unwrapped.uv):
            raise InputError(
                "the UV set of the scene is not that of its settings; bake its textures again with "
                "bake_textures"
            )
    return made


def _improved(
    run: StageRun,
    inputs: TextureInputs,
    made: TextureSet,
    steps: Steps,
    padding_px: int,
    holdout: int,
) -> list[BetterPage]:
    fit_views, _ = _split(inputs, holdout)
    works = [
        BetterPageWork(made, page, inputs.views, fit_views, padding_px, steps)
        for page in range(made.atlas.pages)
    ]
    pages = [page for page in run(BETTER_PAGE, works) if page is not None]
    if run.failures:
        raise run.error("textures could not be optimised")
    return pages


def _split(
    inputs: TextureInputs, holdout: int
) -> tuple[tuple[int, ...], list[tuple[Frame, ViewExposure | None]]]:
    """Ids of the views to fit to, and views to judge by."""
    if inputs.held_out:
        ids = tuple(view.frame.view_id for view in inputs.views)
        return ids, [(frame, None) for frame in inputs.held_out]
    used = [v.frame.view_id for i, v in enumerate(inputs.views) if i % holdout != holdout - 1]
    kept = [v for i, v in enumerate(inputs.views) if i % holdout == holdout - 1]
    return tuple(used), [(view.frame, view.exposure) for view in kept]


def _judged(
    run: StageRun,
    inputs: TextureInputs,
    made: TextureSet,
    pages: Sequence[BetterPage],
    holdout: int,
) -> list[OptimizationStep]:
    _, judges = _split(inputs, holdout)
    frames, exposures = tuple(f for f, _ in judges), tuple(e for _, e in judges)
    start: Step = "baked"
    names: list[Step] = [start, *(step.step for step in pages[0].steps)]
    works = [
        JudgeWork(made, _pictures(made, pages, name), name, frames, exposures, inputs.views)
        for name in names
    ]
    found = run(JUDGE, works)
    record = list[OptimizationStep]()
    for number, (name, judgement) in enumerate(zip(names, found, strict=True)):
        if judgement is None:
            raise run.error("textures could not be judged")
        side_px, amount = made.atlas.side_px, None
        if number:
            side_px, amount = pages[0].steps[number - 1].side_px, _amount(pages, number - 1)
        score = judgement.held_out
        record.append(
            OptimizationStep(
                name, side_px, score.psnr_db, score.ssim, judgement.seam_levels, amount
            )
        )
        _logger.info("%s", record[-1])
    return record


def _pictures(made: TextureSet, pages: Sequence[BetterPage], step: Step) -> tuple[StoredPage, ...]:
    if step == "baked":
        return tuple(StoredPage(page.artifact, "albedo") for page in made.pages)
    return tuple(StoredPage(page.artifact, step) for page in pages)


def _amount(pages: Sequence[BetterPage], number: int) -> float | None:
    amounts = [page.steps[number].amount for page in pages]
    known = [(a, page.faces) for a, page in zip(amounts, pages, strict=True) if a is not None]
    faces = sum(count for _, count in known)
    return sum(amount * count for amount, count in known) / faces if faces else None


def _albedo(bench: Bench, pages: Sequence[BetterPage]) -> Texture:
    return Texture(
        "albedo",
        tuple(read_page(bench, page.artifact, page.steps[-1].step) for page in pages),
        tuple(read_page(bench, page.artifact, COVERED)[..., 0] > 0 for page in pages),
    )
