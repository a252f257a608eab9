"""Lightens the mesh of a finished scene and writes it, its points and cameras in other formats."""

import argparse
from dataclasses import replace
from pathlib import Path

from worldloom import save_trajectory
from worldloom.display import mesh_within
from worldloom.export import export_mesh, export_point_cloud, load_scene
from worldloom.report import write_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/exported"))
    parser.add_argument("--faces", type=int, default=50_000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    scene = load_scene(options.folder)
    light = replace(scene, mesh=mesh_within(scene.mesh, options.faces))
    for name in ("light.glb", "light.obj", "light.ply", "light.usdz"):
        export_mesh(light, options.out / name, include_textures=False)
    for name in ("points.ply", "points.laz"):
        export_point_cloud(scene, options.out / name)
    save_trajectory(scene.cameras, options.out / "transforms.json", format="transforms")
    save_trajectory(scene.cameras, options.out / "colmap", format="colmap-text")
    write_report(options.folder, options.out / "report.html", title="A scene")
    for path in sorted(options.out.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:>10,} {path.relative_to(options.out)}")


if __name__ == "__main__":
    main()
