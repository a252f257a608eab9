"""`worldloom refine`: the mesh of a scene, or one in a file, refined."""

import dataclasses
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, TextIO

import tyro
from rich.table import Table
from rich.text import Text

from cluster.cli._summary import size_text
from cluster.cli._terminal import show, write_json
from worldloom.errors import ConfigError
from worldloom.export import export_mesh, load_scene, read_mesh_ply, write_mesh
from worldloom.meshes import MeshReport, RefinementConfig, mesh_report, refine_mesh

_SHARE_TEXT = "give the share of the vertices to keep, above 0 to 1"


@dataclass(frozen=True)
class Refine:
    """Cleans a mesh: loose pieces and spikes go, noise goes, holes close, decimation if asked for.

    The scene folder stays as it is.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR|MESH.PLY")]
    """Folder that `worldloom reconstruct` wrote, or a .ply of a mesh."""
    out: Path
    """File to write, with vertex colours: .ply; from a scene folder also .obj, .gltf, .glb, .fbx,
    .usda, .usdc or .usdz, whose axes are told by the cameras."""
    outliers: bool = True
    """Remove loose pieces, and pull spikes back."""
    smooth: bool = True
    """Smooth noise and keep edges."""
    fill_holes: bool = True
    """Close holes up to the size in the settings."""
    simplify: float | None = None
    """Share of the vertices to keep, above 0 to 1; None: all."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""
    config: Annotated[RefinementConfig, tyro.conf.arg(name="")] = field(
        default_factory=RefinementConfig
    )

    def __post_init__(self) -> None:
        if _is_file(self.source) and not _is_file(self.out):
            raise ConfigError(
                f"{self.source} has no cameras that tell what is up, which {self.out.name} has to "
                "say; write a .ply, or refine a scene folder",
                field="out",
            )
        if self.simplify is not None and not 0 < self.simplify <= 1:
            raise ConfigError(f"--simplify is {self.simplify}; {_SHARE_TEXT}", field="simplify")

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no mesh, or it is damaged.
            ExportError: nothing is left of it, or the file cannot be written.
        """
        start = time.monotonic()
        scene = None if _is_file(self.source) else load_scene(self.source)
        mesh = read_mesh_ply(self.source) if scene is None else scene.mesh
        before = mesh_report(mesh)
        if not self.json:
            sys.stderr.write(f"refine: {before.faces:,} faces\n")
        refined = refine_mesh(
            mesh, self.outliers, self.smooth, self.fill_holes, self.simplify, self.config
        )
        after = mesh_report(refined)
        if scene is None or _is_file(self.out):
            write_mesh(refined, self.out)
        else:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            export_mesh(replace(scene, mesh=refined), self.out, include_textures=False)
        if self.json:
            reports = {"before": _plain(before), "after": _plain(after)}
            write_json(stdout, {"file": str(self.out.resolve()), **reports})
            return
        size = size_text(self.out.stat().st_size)
        seconds = time.monotonic() - start
        show(stdout, _table(before, after), Text(f"{self.out}: {size}, {seconds:.1f} s"))


def _is_file(path: Path) -> bool:
    return path.suffix.lower() == ".ply"


def _plain(report: MeshReport) -> dict[str, object]:
    plain: dict[str, object] = dataclasses.asdict(report)
    plain["watertight"] = report.watertight
    plain["manifold"] = report.manifold
    plain["consistent_winding"] = report.consistent_winding
    return plain


def _table(before: MeshReport, after: MeshReport) -> Table:
    table = Table("mesh", box=None, padding=(0, 2, 0, 0))
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    second = _plain(after)
    for name, value in _plain(before).items():
        table.add_row(name.replace("_", " "), _cell(value), _cell(second[name]))
    return table


def _cell(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}"
