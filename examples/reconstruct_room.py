"""Makes a video of a synthetic room and reconstructs it, all from Python."""

import argparse
from pathlib import Path

from worldloom import reconstruct_scene
from worldloom.stage import Progress
from worldloom.synthetic import SceneSpec, build_scene, write_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/room"))
    parser.add_argument("--layout", choices=["room", "corner"], default="room")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--resolution", type=int, default=320)
    options = parser.parse_args()

    source = options.out / "input"
    spec = SceneSpec(layout=options.layout, frames=options.frames, width_px=options.resolution)
    write_scene(build_scene(spec), source)

    def tell(progress: Progress) -> None:
        if progress.done == progress.total:
            print(f"{progress.stage}: {progress.total} done")

    scene = reconstruct_scene(
        source / "video.mp4",
        source / "camera.json",
        options.out,
        resolution=options.resolution,
        on_progress=tell,
    )
    print(f"{len(scene.point_cloud):,} points, {len(scene.mesh.faces):,} faces in {options.out}")
    print(f"Open {options.out / 'report.html'} in a browser.")


if __name__ == "__main__":
    main()
