"""`worldloom render`: a scene filmed from new places."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import tyro

from cluster.cli._summary import size_text
from cluster.cli._terminal import write_json
from worldloom.cameras import CameraTrajectory, load_trajectory
from worldloom.errors import ConfigError
from worldloom.export import load_scene
from worldloom.film import FilmConfig, Preset, render_scene
from worldloom.scene import ReconstructedScene


@dataclass(frozen=True)
class Render:
    """Films a scene along a path: a video, or a folder of pictures."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    out: Path
    """Video to write, *.mp4; or a folder for pictures."""
    trajectory: Path | None = None
    """Cameras to film from, in the world of the scene, in any format of trajectories; None: a
    preset."""
    preset: Preset | None = None
    """orbit: round what the recorded cameras look at, or about from their midst. fly-through: along
    the recorded path, smoothed. None: fly-through."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""
    film: Annotated[FilmConfig, tyro.conf.arg(name="")] = field(default_factory=FilmConfig)

    def __post_init__(self) -> None:
        if self.trajectory is not None and self.preset is not None:
            raise ConfigError("give --trajectory or --preset, not both", field="preset")

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or it does not have what shall be filmed.
            ExportError: the film cannot be written.
        """
        scene = load_scene(self.folder)
        made = render_scene(
            scene, self.out, self._path(scene), self.film, None if self.json else _told
        )
        if self.json:
            facts = {"source": made.source, "frames": made.frames, "seconds": made.seconds}
            size = {"width_px": made.width_px, "height_px": made.height_px}
            write_json(stdout, {"file": str(made.path.resolve()), **facts, **size})
            return
        size = f", {size_text(made.path.stat().st_size)}" if made.path.is_file() else ""
        stdout.write(
            f"{made.path}: {made.source}, {made.frames} frames of "
            f"{made.width_px}x{made.height_px}{size}\n"
        )

    def _path(self, scene: ReconstructedScene) -> CameraTrajectory | Preset:
        if self.trajectory is None:
            return self.preset or "fly-through"
        lens = scene.cameras[0].intrinsics
        size = (lens.width_px, lens.height_px)
        return load_trajectory(self.trajectory, image_size=size)


def _told(done: int, total: int) -> None:
    """Says how far it is, at every tenth."""
    if done == 1 or done * 10 // total != (done - 1) * 10 // total:
        sys.stderr.write(f"render: {done}/{total}\n")
