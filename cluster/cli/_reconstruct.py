"""`worldloom reconstruct`: from video and trajectory to a scene folder."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import tyro

from cluster.cli._ending import Ending
from cluster.cli._execution import Execution
from cluster.cli._progress import report_on
from cluster.cli._settings import Settings
from worldloom.api import reconstruct_files
from worldloom.errors import ConfigError
from worldloom.ingest import IngestLimits, MissingImages


@dataclass(frozen=True)
class Reconstruct:
    """Turns video with a known camera trajectory into a mesh and a point cloud.

    Finished work is kept: run again to resume.
    """

    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT...")]
    """Videos, image folders or scene folders, in one world frame."""
    out: Path
    """Folder for the scene."""
    trajectory: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE...")] = ()
    """Camera file of each video or image folder, in the same order; none: beside or inside the
    inputs."""
    every: int = 1
    """Use every n-th frame of each source."""
    missing_images: MissingImages = "skip"
    """What to do about images that a trajectory file lists and that are not there: skip leaves them
    out with a warning, error refuses them."""
    ending: Annotated[Ending, tyro.conf.arg(name="")] = field(default_factory=Ending)
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    limits: IngestLimits = field(default_factory=IngestLimits)

    @property
    def json(self) -> bool:
        """Whether stdout is for a program."""
        return self.ending.json

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no input; give at least one video or folder", field="inputs")
        if self.every < 1:
            raise ConfigError(f"--every is {self.every}; give at least 1", field="every")
        self.settings.config()

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: what is wrong, and what to do.
        """
        self.execution.start_logging(self.out)
        with report_on(sys.stderr, self.execution.log_format) as report:
            reconstruct_files(
                self.inputs,
                self.out,
                self.settings.config(),
                trajectories=self.trajectory,
                every=self.every,
                missing_images=self.missing_images,
                runner=self.execution.factory(out=self.out),
                store_uri=self.execution.store,
                limits=self.limits,
                cache_mib=self.execution.cache_mib,
                report=self.ending.report,
                on_progress=report,
            )
        self.ending.tell(stdout, self.out)
