"""What it costs a scene of splats to be trained in several chunks, on a recorded scene.

usage: python -m tests.benchmarks.seams DATA/atrium/traj0 [--chunk-blocks 1024] [--method hybrid]

Every 8th view is kept out of everything. The scene is made twice through the Python API on one
store, so that multi-view stereo is done once: in one chunk, and in chunks of `--chunk-blocks`.
Prints a JSON object for each (held-out PSNR: median and mean over the views kept out, all their
pixels, at the size of training; CPU seconds of its training, summed over its chunks) and one that
compares them: the loss of each view in dB, over all and over those that show at least a twentieth
of two chunks; and how much the mean squared error grows near the border between the Gaussians of
two chunks (4 pixels), near edges in depth elsewhere, and in the rest. Views kept out are taken as
whole, whatever their masks say.

`--store DIR` keeps the store: a second run makes only what is new. `--pictures DIR` writes each
view kept out: the image, one chunk, several, their errors four times enlarged, and whose Gaussians
are seen.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worldloom.api import reconstruct_files
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.inline import InlineRunner
from worldloom.quality import QualityBasis, load_basis
from worldloom.scene import Splats
from worldloom.splat import SplatConfig, SplatRenderer
from worldloom.store import ArtifactKey
from worldloom.surface import SurfaceConfig
from worldloom.texture import TextureConfig

ONE_CHUNK = 10**6
"""Blocks that every recorded scene has fewer of."""
_SEEN_SHARE = 0.05
_NEAR_PX = 4
_EDGE = 0.05
"""Relative step in depth between two pixels that makes an edge."""


@dataclass(frozen=True, eq=False)
class Made:
    """A scene, and what its training took."""

    splats: Splats
    gaussians: tuple[int, ...]
    """Of each chunk, in the order in which they stand in `splats`."""
    basis: QualityBasis
    row: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shown:
    """A view that was kept out."""

    truth: np.ndarray
    image: np.ndarray
    depth: np.ndarray

    @property
    def square(self) -> np.ndarray:
        """Squared error, mean over the channels."""
        return ((self.image.astype(np.float64) - self.truth) ** 2).mean(axis=2)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--method", choices=("splat", "hybrid"), default="splat")
    parser.add_argument("--resolution", type=int, default=160)
    parser.add_argument("--chunk-blocks", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=SplatConfig().rounds)
    parser.add_argument("--steps", type=int, default=SplatConfig().steps)
    parser.add_argument("--seed", type=int, default=0, help="of the single chunk: the noise")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or Path(folder)
        one = _made(options, ONE_CHUNK, store, options.seed)
        several = _made(options, options.chunk_blocks, store, 0)
        bench = Bench(BenchConfig(str(store / "store")))
        before, after = _shown(bench, one), _shown(bench, several)
        for made, views in ((one, before), (several, after)):
            psnr = [_psnr_db(view.square) for view in views]
            made.row["median_db"] = round(float(np.median(psnr)), 2)
            made.row["mean_db"] = round(float(np.mean(psnr)), 2)
            print(json.dumps(made.row), flush=True)
        owned = _owned(bench, several)
        print(json.dumps(_compared(before, after, owned)), flush=True)
        if options.pictures is not None:
            _draw(before, after, owned, options.pictures)


def _made(options: argparse.Namespace, chunk_blocks: int, store: Path, seed: int) -> Made:
    splat = SplatConfig(steps=options.steps, rounds=options.rounds, seed=seed)
    config = ReconstructionConfig(
        method=options.method,
        resolution=options.resolution,
        holdout=8,
        surface=SurfaceConfig(chunk_blocks=chunk_blocks),
        splat=splat,
        texture=TextureConfig(textures=False),
    )
    out = store / f"{options.method}-{chunk_blocks}-{seed}-{options.rounds}"
    wall, cpu = time.monotonic(), time.process_time()
    scene = reconstruct_files(
        [options.scene],
        out,
        config,
        store_uri=str(store / "store"),
        runner=partial(InlineRunner, workers=options.workers),
        report=False,
    )
    manifest = json.loads((out / "scene.json").read_text())
    bench = Bench(BenchConfig(str(store / "store")))
    basis = load_basis(bench.store, ArtifactKey(manifest["evidence"]["quality_basis"]))
    trained = manifest["evidence"]["splats"]
    assert scene.splats is not None
    row = {
        "chunks": len(trained["chunks"]),
        "gaussians": len(scene.splats),
        "around": [chunk["around"] for chunk in trained["chunks"]],
        "holdout_psnr_db": manifest["metrics"]["holdout_psnr_db"],
        "train_s": round(manifest["metrics"]["train_seconds"], 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }
    gaussians = tuple(chunk["gaussians"] for chunk in trained["chunks"])
    assert sum(gaussians) == len(scene.splats), "a chunk has kept its halo: it failed in a round"
    return Made(scene.splats, gaussians, basis, row)


def _shown(bench: Bench, made: Made) -> list[Shown]:
    renderer = SplatRenderer(made.splats, 1)
    views: list[Shown] = []
    for frame in made.basis.held_out:
        size = frame.size_within(made.basis.longer_px)
        seen = renderer.render(frame.camera.resized(*size))
        views.append(Shown(bench.image(frame, *size), seen.image, seen.depth))
    return views


def _owned(bench: Bench, made: Made) -> list[np.ndarray]:
    """Position of the chunk whose Gaussians show most in each pixel of each view."""
    number = np.repeat(np.arange(len(made.gaussians)), made.gaussians)
    votes: list[list[np.ndarray]] = []
    for chunk in range(len(made.gaussians)):
        # 0.5 is added to the harmonics: white where it is the chunk's, black elsewhere.
        shade = np.where(number == chunk, 0.5, -0.5)[:, None, None] / 0.28209479177387814
        sh = np.repeat(shade, 3, axis=2).astype(np.float32)
        views = _shown(bench, replace(made, splats=replace(made.splats, sh=sh)))
        votes.append([view.image[..., 0] for view in views])
    return [np.argmax(np.stack(view), axis=0) for view in zip(*votes, strict=True)]


def _compared(
    one: list[Shown], several: list[Shown], owned: list[np.ndarray]
) -> dict[str, float | int | dict[str, float]]:
    before, after = ([_psnr_db(view.square) for view in views] for views in (one, several))
    loss = np.array(before) - after
    counts = [np.bincount(view.ravel()) / view.size for view in owned]
    across = np.array([(share >= _SEEN_SHARE).sum() >= 2 for share in counts])
    growth: dict[str, list[np.ndarray]] = {"border": [], "edges": [], "rest": []}
    for a, b, number in zip(one, several, owned, strict=True):
        border = _widened(_steps(number, lambda x, y: x != y))
        edges = _widened(_steps(a.depth, lambda x, y: np.abs(x - y) > _EDGE * np.minimum(x, y)))
        more = b.square - a.square
        growth["border"].append(more[border])
        growth["edges"].append(more[edges & ~border])
        growth["rest"].append(more[~edges & ~border])
    return {
        "median_of_loss_db": round(float(np.median(loss)), 2),
        "mean_loss_db": round(float(loss.mean()), 2),
        "worst_loss_db": round(float(loss.max()), 2),
        "views_across": int(across.sum()),
        "mean_loss_across_db": round(float(loss[across].mean()), 2),
        "error_grows_by": {
            name: round(float(np.concatenate(parts).mean()), 2) for name, parts in growth.items()
        },
        "share_of_pixels": {
            name: round(sum(len(part) for part in parts) / sum(v.size for v in owned), 3)
            for name, parts in growth.items()
        },
    }


def _steps(
    values: np.ndarray, differ: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Pixels that differ from the one to the right of them or below."""
    found = np.zeros(values.shape, bool)
    found[:, :-1] |= differ(values[:, :-1], values[:, 1:])
    found[:-1] |= differ(values[:-1], values[1:])
    return found


def _widened(mask: np.ndarray) -> np.ndarray:
    window = np.ones((2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), window).astype(bool)


def _psnr_db(square: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / square.mean()))


def _draw(one: list[Shown], several: list[Shown], owned: list[np.ndarray], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place, (a, b, number) in enumerate(zip(one, several, owned, strict=True)):
        off = [np.abs(view.image.astype(int) - view.truth) * 4 for view in (a, b)]
        whose = cv2.applyColorMap((number * 61 % 256).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
        shown = [a.truth, a.image, b.image, *(np.clip(error, 0, 255) for error in off), whose]
        row = np.hstack([part.astype(np.uint8) for part in shown])
        cv2.imwrite(str(folder / f"{place:03d}.png"), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
