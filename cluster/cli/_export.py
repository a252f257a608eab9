"""`worldloom export`: a product of a scene in another format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import tyro

from cluster.cli._summary import size_text
from cluster.cli._terminal import write_json
from worldloom.api import ARTIFACTS_FOLDER
from worldloom.cameras import TrajectoryFormat
from worldloom.errors import ConfigError
from worldloom.export import (
    CLOUD_FORMATS,
    MESH_FORMATS,
    SPLAT_FORMATS,
    Axes,
    Up,
    export_cameras,
    export_mesh,
    export_point_cloud,
    export_splats,
    load_scene,
)
from worldloom.scene import ReconstructedScene

Product = Literal["mesh", "points", "cameras", "splats"]
FORMATS: dict[Product, tuple[str, ...]] = {
    "mesh": MESH_FORMATS,
    "points": CLOUD_FORMATS,
    "cameras": tuple(TrajectoryFormat),
    "splats": SPLAT_FORMATS,
}


@dataclass(frozen=True)
class Export:
    """Writes the mesh, the points, the splats or the cameras of a scene in another format."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    out: Path
    """File to write; COLMAP cameras: a folder. What a format keeps beside it (materials, textures)
    goes to the same folder."""
    format: str | None = None
    """Mesh: obj, ply, gltf, glb, fbx, usda, usdc, usdz. Points: ply, pcd, pcd-ascii, xyz, las, laz,
    e57. Cameras: worldstereo, worldstereo-panorama, worldmirror, transforms, colmap-binary,
    colmap-text, opencv, tum. Splats: ply, spz, glb, usda, usdc, usdz. None: told by the name of
    the file."""
    points: bool = False
    """Write the point cloud instead of the mesh."""
    cameras: bool = False
    """Write the cameras instead of the mesh."""
    splats: bool = False
    """Write the Gaussian splats instead of the mesh."""
    texture_resolution: int | None = None
    """Longer side of each texture, pixels; above that of the bake they are baked anew."""
    textures: bool = True
    """Write the mesh with its textures; without, the full mesh with vertex colours."""
    colors: bool = True
    """Write the colours of the points."""
    normals: bool = True
    """Write the normals of the points."""
    up: Up = "auto"
    """Axis of the world that points up; auto asks the cameras."""
    axes: Axes = "format"
    """`format`: those that readers of the format expect (see docs/formats.md); `world`: those of
    the input; `y-up`, `z-up`: the world turned so that this axis points up."""
    unit_m: float = 1.0
    """Length of the unit of the world, metres; for the mesh and the splats."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def __post_init__(self) -> None:
        asked = [name for name in ("points", "cameras", "splats") if getattr(self, name)]
        if len(asked) > 1:
            names = " and ".join(f"--{name}" for name in asked)
            raise ConfigError(f"give {names} one at a time, not both; run once for each")
        known = FORMATS[self.product]
        if self.format is not None and known and self.format not in known:
            raise ConfigError(
                f"--format {self.format} is none for the {self.product}; use {', '.join(known)}",
                field="format",
            )
        suffix = self.out.suffix.lower().removeprefix(".")
        named = (self.format or suffix).partition("-")[0]
        if self.product != "cameras" and suffix not in ("", named):
            raise ConfigError(
                f"--format {self.format} does not go with the name {self.out.name}; give one of "
                "the two, or make them agree",
                field="format",
            )
        is_plain = self.texture_resolution is None and self.textures
        is_unit_asked = self.unit_m != 1 and self.product != "splats"
        if self.product != "mesh" and (not is_plain or is_unit_asked):
            raise ConfigError(
                f"--texture-resolution, --no-textures and --unit-m are for the mesh, not for the "
                f"{self.product}; leave them out",
                field="texture_resolution",
            )
        if self.product != "points" and not (self.colors and self.normals):
            raise ConfigError(
                f"--no-colors and --no-normals are for --points, not for the {self.product}; "
                "leave them out",
                field="colors",
            )

    @property
    def product(self) -> Product:
        """What is written."""
        if self.points:
            return "points"
        if self.cameras:
            return "cameras"
        return "splats" if self.splats else "mesh"

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or a file of it is damaged.
            ExportError: the product cannot be written.
        """
        path = self._write(load_scene(self.folder))
        if self.json:
            write_json(stdout, {"product": self.product, "file": str(path.resolve())})
        else:
            size = f", {size_text(path.stat().st_size)}" if path.is_file() else ""
            stdout.write(f"{path}: {self.product}{size}\n")

    def _write(self, scene: ReconstructedScene) -> Path:
        if self.product == "splats":
            return export_splats(
                scene, self.out, self.format, up=self.up, axes=self.axes, unit_m=self.unit_m
            )
        if self.product == "cameras":
            return export_cameras(scene, self.out, self.format, up=self.up, axes=self.axes)
        if self.product == "points":
            return export_point_cloud(
                scene,
                self.out,
                self.format,
                self.colors,
                self.normals,
                up=self.up,
                axes=self.axes,
            )
        return export_mesh(
            scene,
            self.out,
            self.format,
            self.textures,
            self.texture_resolution,
            up=self.up,
            axes=self.axes,
            unit_m=self.unit_m,
            store_uri=self._store(),
        )

    def _store(self) -> str | None:
        """The artifact store, where it lies in the folder; the scene knows where it was."""
        store = self.folder.resolve() / ARTIFACTS_FOLDER
        return str(store) if store.is_dir() else None
