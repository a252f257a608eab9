"""`worldloom demo`: a synthetic scene through the real path, scored against its truth."""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import numpy as np
import tyro

from cluster.cli._execution import Execution
from cluster.cli._logs import say
from cluster.cli._progress import report_on
from cluster.cli._summary import show_summary, summary_object
from cluster.cli._terminal import write_json
from worldloom.api import ARTIFACTS_FOLDER, reconstruct_files
from worldloom.bench import BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError
from worldloom.export import load_manifest
from worldloom.metrics import GeometryScore, ScoreSettings, score_against_mesh
from worldloom.scene import Mesh
from worldloom.synthetic import SceneSpec, SyntheticScene, build_scene, write_scene
from worldloom.texture import TextureConfig

VOXEL_M = 0.02
"""Fine enough for a room: a pixel's footprint, the default, gives twice the faces, no better."""
TEXTURE_FACES = 30_000
"""Enough for a room of flat walls, and quick."""


@dataclass(frozen=True)
class Demo:
    """Makes a synthetic video, reconstructs it on local Ray, scores the mesh against the truth."""

    out: Path = Path("out/demo")
    """Folder for the scene; the video, its cameras and the truth go to `input` in it."""
    frames: int = 40
    """Length of the video."""
    resolution: int = 512
    """Longer image side used for depth, pixels; the video has 320."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ConfigError(f"--frames is {self.frames}; give at least 2", field="frames")
        ReconstructionConfig(resolution=self.resolution)

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: what is wrong, and what to do.
        """
        self.execution.start_logging(self.out)
        say(logging.INFO, "making a room and a video of it, with its cameras", "demo")
        store_uri = self.execution.store or str(self.out.resolve() / ARTIFACTS_FOLDER)
        bench = BenchConfig(store_uri, self.execution.cache_mib)
        source = self.out / "input"
        with closing(self.execution.factory("ray", self.out)(bench)) as runner:
            with ThreadPoolExecutor(1) as aside:
                making = aside.submit(self._make, source)
                runner.start()
                truth = making.result()
            with report_on(sys.stderr, self.execution.log_format) as report:
                scene = reconstruct_files(
                    [source / "video.mp4"],
                    self.out,
                    ReconstructionConfig(
                        resolution=self.resolution,
                        voxel_m=VOXEL_M,
                        texture=TextureConfig(max_texture_faces=TEXTURE_FACES),
                    ),
                    trajectories=[source / "camera.json"],
                    runner=lambda _bench: runner,
                    store_uri=store_uri,
                    cache_mib=self.execution.cache_mib,
                    on_progress=report,
                )
        score = _score(scene.mesh, truth)
        manifest = load_manifest(self.out)
        if self.json:
            write_json(stdout, summary_object(self.out, manifest) | {"truth": _plain(score)})
            return
        show_summary(stdout, self.out, manifest)
        stdout.write(
            f"Against the truth, within 1 % of the diagonal ({score.at[0].threshold:.3f} m): "
            f"F-score {score.fscore:.3f}, precision {score.precision:.3f}, "
            f"recall {score.recall:.3f}\n"
            f"Open {self.out / 'report.html'} in a browser, or {self.out / 'mesh.glb'} in a 3D "
            "viewer.\n"
        )

    def _make(self, source: Path) -> SyntheticScene:
        truth = build_scene(SceneSpec(frames=self.frames))
        write_scene(truth, source)
        return truth


def _score(mesh: Mesh, truth: SyntheticScene) -> GeometryScore:
    """Scores at 1 % of the diagonal, on points twice as dense as that asks for."""
    extent = np.ptp(truth.mesh.vertices_in_world, axis=0)
    diagonal_m = float(np.linalg.norm(extent))
    settings = ScoreSettings(
        (0.01 * diagonal_m,), voxel=0.005 * diagonal_m, margin=0.02 * diagonal_m
    )
    return score_against_mesh(mesh, truth.mesh, truth.trajectory.cameras, settings)


def _plain(score: GeometryScore) -> dict[str, float]:
    return {
        "threshold_m": score.at[0].threshold,
        "fscore": score.fscore,
        "precision": score.precision,
        "recall": score.recall,
    }
