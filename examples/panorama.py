"""One panorama with its depth becomes a mesh: python examples/panorama.py [--out DIR]."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from worldloom import reconstruct_from_panorama
from worldloom.synthetic import SceneSpec, build_scene, render_panorama


def main() -> None:
    """Renders a panorama of a furnished room with its depth, and makes a scene of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/panorama"))
    parser.add_argument("--height", type=int, default=256, help="of the panorama, pixels")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    room = build_scene(SceneSpec(frames=1))
    # The axes of a panorama are those of a camera, y down; in the room y is up.
    world_from_pano = np.diag([-1.0, -1.0, 1.0, 1.0])
    world_from_pano[:3, 3] = 0.3, 1.5, 0.2
    panorama = render_panorama(room, world_from_pano, options.height)
    image = cv2.cvtColor(panorama.image, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(options.out / "room.png"), image)
    np.save(options.out / "room_depth.npy", panorama.distance)

    scene = reconstruct_from_panorama(
        options.out / "room.png",
        output_path=options.out / "scene",
        depth=options.out / "room_depth.npy",
        sampling="icosahedron",
    )
    print(f"{len(scene.mesh.faces):,} faces; look at {options.out / 'scene' / 'preview.png'}")


if __name__ == "__main__":
    main()
