"""`worldloom info`: what a scene folder holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import tyro

from cluster.cli._ending import Ending
from worldloom.export import load_scene


@dataclass(frozen=True)
class Info:
    """Shows what a scene folder holds, and how it was made."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    verify: bool = False
    """Compare every file with its checksum, and read the scene."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or a file of it is damaged.
        """
        if self.verify:
            load_scene(self.folder, verify=True)
        Ending(json=self.json).tell(stdout, self.folder)
