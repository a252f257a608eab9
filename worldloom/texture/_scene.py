"""Textures for a scene that exists already."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import cast

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.bench import BenchConfig
from worldloom.errors import ConfigError, ReconstructionError
from worldloom.inline import InlineRunner
from worldloom.scene import ReconstructedScene, Texture
from worldloom.stage import Failure, Progress, R, Runner, Stage, W
from worldloom.texture._config import SMALLEST_PAGE_PX, TextureConfig
from worldloom.texture._inputs import TextureInputs
from worldloom.texture._method import TextureSet, load_maps, load_unwrapped, texture_surface
from worldloom.texture._record import (
    RECORD,
    bench_of,
    load_inputs,
    plain_record,
    record_textures,
    texture_config,
)

RunnerFactory = Callable[[BenchConfig], Runner]


@dataclass
class StageRun:
    """Runs stages one after the other and keeps what failed."""

    runner: Runner
    on_progress: Callable[[Progress], None] = lambda _progress: None
    failures: list[Failure] = field(default_factory=list[Failure])

    def __call__(self, stage: Stage[W, R], works: Sequence[W], /) -> list[R | None]:
        """Runs one stage; items that fail come back as None."""
        outcomes = self.runner.map(stage, works, self.on_progress)
        self.failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        return [outcome.value for outcome in outcomes]

    def error(self, what: str) -> ReconstructionError:
        """Returns an error that tells of the first failure."""
        failure = self.failures[0]
        return ReconstructionError(
            f"{what}: {failure.stage} of {failure.subject}: {failure.message}",
            stage=failure.stage,
            failed=len(self.failures),
        )


def bake_textures(
    scene: ReconstructedScene,
    config: TextureConfig | None = None,
    *,
    store_uri: str | None = None,
    runner: RunnerFactory | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> ReconstructedScene:
    """Makes textures for a reconstructed scene, for instance at another resolution.

    What its store holds of them already is found again.

    Args:
        scene: As `reconstruct_files` or `load_scene` returned it.
        config: Settings; None for those of the scene.
        store_uri: Where the artifact store of the scene is; None for where it was.
        runner: What executes the stages; None for this process, on all its cores.
        on_progress: Called after each work item.

    Returns:
        The scene with `unwrapped`, `textures` and their record in its metadata.

    Raises:
        InputError: the scene does not say what its textures are made from, or the store is gone.
        ReconstructionError: a step failed.
    """
    settings = config or texture_config(scene)
    bench_config = bench_of(scene, store_uri)
    opened = (runner or inline_runner)(bench_config)
    try:
        bench = InlineRunner(bench_config).bench
        inputs = load_inputs(bench, scene)
        made = made_textures(StageRun(opened, on_progress), inputs, settings)
    finally:
        opened.close()
    record = plain_record(record_textures(bench, inputs, made))
    evidence = {**_part(scene, "evidence"), RECORD: record}
    parameters = {**_part(scene, "parameters"), "texture": asdict(settings)}
    return replace(
        scene,
        unwrapped=load_unwrapped(bench, made),
        textures=load_maps(bench, made),
        metadata={**scene.metadata, "evidence": evidence, "parameters": parameters},
    )


def made_textures(run: StageRun, inputs: TextureInputs, config: TextureConfig) -> TextureSet:
    """Returns references to textures, found or made.

    Raises:
        ReconstructionError: a step failed.
    """
    made = texture_surface(run, inputs, config)
    if made is None or run.failures:
        raise run.error("textures could not be made")
    return made


def _part(scene: ReconstructedScene, name: str) -> dict[str, object]:
    return cast("dict[str, object]", scene.metadata.get(name, {}))


def inline_runner(bench: BenchConfig) -> Runner:
    """Returns a runner in this process, on all its cores."""
    return InlineRunner(bench, workers=len(os.sched_getaffinity(0)))


def resized_texture(texture: Texture, resolution: int) -> Texture:
    """Returns a texture whose pages have at most `resolution` texels a side.

    Colours and roughness are means; normals are means of unit length. Nothing is enlarged: for more
    texels see `bake_textures`.

    Args:
        texture: Any kind.
        resolution: Greatest side, texels, at least 64.

    Raises:
        ConfigError: the resolution is too small to hold charts.
    """
    if resolution < SMALLEST_PAGE_PX:
        raise ConfigError(
            f"texture_resolution must be at least {SMALLEST_PAGE_PX} texels, got {resolution}",
            field="texture_resolution",
        )
    if all(max(page.shape[:2]) <= resolution for page in texture.pages):
        return texture
    return Texture(
        texture.kind,
        tuple(_reduced(page, resolution, texture.kind == "normal") for page in texture.pages),
        tuple(_reduced_cover(cover, resolution) for cover in texture.covered),
    )


def _reduced_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    scale = min(1.0, resolution / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _reduced(
    page: UInt8[np.ndarray, "h w c"], resolution: int, are_normals: bool
) -> UInt8[np.ndarray, "H W c"]:
    size = _reduced_size(page.shape[0], page.shape[1], resolution)
    values = page.astype(np.float32) - 127.5 if are_normals else page
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    if are_normals:
        length = np.linalg.norm(small, axis=-1, keepdims=True)
        small = np.clip(np.rint(127.5 + 127.5 * small / np.maximum(length, 1e-6)), 0, 255)
    return small.astype(np.uint8)


def _reduced_cover(cover: Bool[np.ndarray, "h w"], resolution: int) -> Bool[np.ndarray, "H W"]:
    size = _reduced_size(cover.shape[0], cover.shape[1], resolution)
    return cv2.resize(cover.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) >= 128
