"""One panorama with its depth becomes a mesh: python examples/panorama.py [FOLDER]."""

import sys
from pathlib import Path

import cv2
import numpy as np

from worldloom import reconstruct_from_panorama
from worldloom.synthetic import SceneSpec, build_scene, render_panorama

HEIGHT_PX = 256


def main(folder: Path) -> None:
    """Renders a panorama of a furnished room with its depth, and makes a scene of it."""
    folder.mkdir(parents=True, exist_ok=True)
    room = build_scene(SceneSpec(frames=1))
    # The axes of a panorama are those of a camera, y down; in the room y is up.
    world_from_pano = np.diag([-1.0, -1.0, 1.0, 1.0])
    world_from_pano[:3, 3] = 0.3, 1.5, 0.2
    panorama = render_panorama(room, world_from_pano, HEIGHT_PX)
    cv2.imwrite(str(folder / "room.png"), cv2.cvtColor(panorama.image, cv2.COLOR_RGB2BGR))
    np.save(folder / "room_depth.npy", panorama.distance)
    scene = reconstruct_from_panorama(
        folder / "room.png",
        output_path=folder / "scene",
        depth=folder / "room_depth.npy",
        sampling="icosahedron",
    )
    print(f"{len(scene.mesh.faces):,} faces; look at {folder / 'scene' / 'preview.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/panorama"))
