"""`worldloom export`: a product of a scene in another format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import tyro

from cluster.cli._summary import size_text
from cluster.cli._terminal import write_json
from worldloom.cameras import TrajectoryFormat, save_trajectory
from worldloom.errors import ConfigError
from worldloom.export import load_scene, write_cloud, write_mesh

Product = Literal["mesh", "points", "cameras"]
FORMATS: dict[Product, tuple[str, ...]] = {
    "mesh": ("ply", "glb", "obj"),
    "points": ("ply",),
    "cameras": tuple(TrajectoryFormat),
}


@dataclass(frozen=True)
class Export:
    """Writes the mesh, the point cloud or the cameras of a scene in another format."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    out: Path
    """File to write; COLMAP cameras: a folder."""
    format: str | None = None
    """Mesh: ply, glb, obj. Points: ply. Cameras: worldstereo, worldstereo-panorama, worldmirror,
    transforms, colmap-binary, colmap-text, opencv, tum. None: told by the name of the file."""
    points: bool = False
    """Write the point cloud instead of the mesh."""
    cameras: bool = False
    """Write the cameras instead of the mesh."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def __post_init__(self) -> None:
        if self.points and self.cameras:
            raise ConfigError("give --points or --cameras, not both; run once for each")
        known = FORMATS[self.product]
        if self.format is not None and self.format not in known:
            raise ConfigError(
                f"--format {self.format} is none for the {self.product}; use {', '.join(known)}",
                field="format",
            )
        suffix = self.out.suffix.lower().removeprefix(".")
        if self.product != "cameras" and self.format and suffix not in ("", self.format):
            raise ConfigError(
                f"--format {self.format} does not go with the name {self.out.name}; give one of "
                "the two, or make them agree",
                field="format",
            )

    @property
    def product(self) -> Product:
        """What is written."""
        return "points" if self.points else "cameras" if self.cameras else "mesh"

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or a file of it is damaged.
            ExportError: the product cannot be written.
        """
        scene = load_scene(self.folder)
        path = self.out
        if self.product == "cameras":
            path.parent.mkdir(parents=True, exist_ok=True)
            save_trajectory(scene.cameras, path, format=self.format)
        else:
            path = path if path.suffix or not self.format else path.with_suffix(f".{self.format}")
            if self.points:
                write_cloud(scene.point_cloud, path)
            else:
                write_mesh(scene.mesh, path)
        if self.json:
            write_json(stdout, {"product": self.product, "file": str(path.resolve())})
        else:
            size = f", {size_text(path.stat().st_size)}" if path.is_file() else ""
            stdout.write(f"{path}: {self.product}{size}\n")
