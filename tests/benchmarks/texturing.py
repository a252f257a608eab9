"""What texturing costs by itself: its stages made anew for a scene that exists already.

usage: python -m tests.benchmarks.texturing out/atrium --workers 2
       python -m tests.benchmarks.texturing out/atrium --max-texture-faces 1000000

Prints the seconds of each stage, wall and CPU, what came out, and the greatest memory of the
process. Kernels are compiled before, on a small scene of their own, so that the first run counts
as any other.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.textured import bench_at, plane_inputs, textured
from worldloom.bench import BenchConfig
from worldloom.export import load_scene
from worldloom.inline import InlineRunner
from worldloom.stage import R, Stage, W
from worldloom.texture import (
    StageRun,
    bench_of,
    load_inputs,
    texture_config,
    texture_summary,
    texture_surface,
)

STEPS = ("lighten", "unwrap", "look", "choose-views", "pack", "level", "bake", "texture-page")


@dataclass
class TimedRun:
    """Runs stages and keeps what each of them took."""

    run: StageRun
    wall_s: dict[str, float] = field(default_factory=dict[str, float])
    cpu_s: dict[str, float] = field(default_factory=dict[str, float])

    def __call__(self, stage: Stage[W, R], works: Sequence[W], /) -> list[R | None]:
        """Runs one stage."""
        wall, cpu = time.monotonic(), time.process_time()
        made = self.run(stage, works)
        self.wall_s[stage.name] = round(time.monotonic() - wall, 2)
        self.cpu_s[stage.name] = round(time.process_time() - cpu, 2)
        return made


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of a scene, with its artifact store")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--texture-resolution", type=int, default=4096)
    parser.add_argument("--max-texture-pages", type=int, default=4)
    parser.add_argument("--max-texture-faces", type=int, default=200_000)
    options = parser.parse_args()
    scene = load_scene(options.folder)
    store = Path(bench_of(scene, None).store_uri)
    config = replace(
        texture_config(scene),
        texture_resolution=options.texture_resolution,
        max_texture_pages=options.max_texture_pages,
        max_texture_faces=options.max_texture_faces,
    )
    del scene
    with tempfile.TemporaryDirectory(prefix="worldloom-texturing-", dir=options.folder) as name:
        warm = bench_at(Path(name) / "warm")
        textured(warm, plane_inputs(warm))
        fresh = Path(name) / "store"
        fresh.mkdir()
        for stage in store.iterdir():
            if stage.name not in STEPS:
                (fresh / stage.name).symlink_to(stage, target_is_directory=True)
        runner = InlineRunner(BenchConfig(str(fresh)), workers=options.workers)
        timed = TimedRun(StageRun(runner))
        inputs = load_inputs(runner.bench, load_scene(options.folder))
        made = texture_surface(timed, inputs, config)
    assert made is not None, timed.run.failures
    row = {
        "workers": options.workers,
        "wall_s": timed.wall_s,
        "cpu_s": timed.cpu_s,
        "texturing_wall_s": round(sum(timed.wall_s.values()), 1),
        "texturing_cpu_s": round(sum(timed.cpu_s.values()), 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "summary": asdict(texture_summary(made)),
    }
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
