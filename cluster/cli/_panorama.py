"""`worldloom panorama`: from panoramas to a scene folder."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import tyro

from cluster.cli._ending import Ending
from cluster.cli._execution import Execution
from cluster.cli._progress import report_on
from cluster.cli._settings import Settings
from worldloom.errors import ConfigError
from worldloom.ingest import IngestLimits
from worldloom.panorama import DepthKind, DepthSource, LayerConfig, SphereSampling
from worldloom.panoramas import reconstruct_panoramas


@dataclass(frozen=True)
class Panoramas:
    """Turns equirectangular panoramas into a mesh and a point cloud.

    Several panoramas with poses, one panorama with depth or a depth model, or a WorldStereo
    panorama scene. Finished work is kept: run again to resume.
    """

    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT...")]
    """Panoramas (twice as wide as high), folders of them, or WorldStereo panorama scenes."""
    out: Path
    """Folder for the scene."""
    trajectory: Path | None = None
    """Poses, one a panorama; None: a file beside them, or none for a single one."""
    depth: Path | None = None
    """Depth of one panorama, of its size: .npy, .npz, 16-bit .png, .tif; 0 = unknown."""
    depth_kind: DepthKind = "ray"
    """ray: distance along the ray; face-z: depth along the axis of the cube face."""
    depth_scale: float | None = None
    """World units that 1 in the depth file stands for; None: 0.001 for whole numbers, else 1."""
    every: int = 1
    """Use every n-th frame of each trajectory of a WorldStereo panorama scene."""
    ending: Annotated[Ending, tyro.conf.arg(name="")] = field(default_factory=Ending)
    sphere: Annotated[SphereSampling, tyro.conf.arg(name="")] = field(
        default_factory=SphereSampling
    )
    layers: LayerConfig = field(default_factory=LayerConfig)
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    limits: IngestLimits = field(default_factory=IngestLimits)

    @property
    def json(self) -> bool:
        """Whether stdout is for a program."""
        return self.ending.json

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no input; give at least one panorama", field="inputs")
        if self.depth is None and (self.depth_kind != "ray" or self.depth_scale is not None):
            raise ConfigError(
                "--depth-kind and --depth-scale say how to read --depth; give that too, or leave "
                "them out",
                field="depth",
            )
        if self.every < 1:
            raise ConfigError(f"--every is {self.every}; give at least 1", field="every")
        self.settings.config()
        self.source()

    def source(self) -> DepthSource | None:
        """Returns the depth to read, if any."""
        if self.depth is None:
            return None
        return DepthSource(self.depth, self.depth_kind, self.depth_scale)

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: what is wrong, and what to do.
        """
        self.execution.start_logging(self.out)
        with report_on(sys.stderr, self.execution.log_format) as report:
            reconstruct_panoramas(
                self.inputs,
                self.out,
                self.settings.config(),
                trajectory=self.trajectory,
                sampling=self.sphere,
                depth=self.source(),
                layers=self.layers,
                every=self.every,
                runner=self.execution.factory(out=self.out),
                store_uri=self.execution.store,
                limits=self.limits,
                cache_mib=self.execution.cache_mib,
                report=self.ending.report,
                on_progress=report,
            )
        self.ending.tell(stdout, self.out)
