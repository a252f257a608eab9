"""Compiles all kernels, by a tiny reconstruction, so that the first real one does not wait."""

import tempfile
from pathlib import Path

from worldloom import reconstruct_scene
from worldloom.synthetic import SceneSpec, build_scene, write_scene


def main() -> None:
    """Reconstructs a small corner and throws it away; the compiled kernels stay."""
    scene = build_scene(SceneSpec(layout="corner", frames=6, width_px=160, height_px=120))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "input"
        write_scene(scene, source)
        reconstruct_scene(source / "video.mp4", source / "camera.json", Path(folder) / "out")


if __name__ == "__main__":
    main()
