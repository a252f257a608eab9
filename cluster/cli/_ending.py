"""How a command ends that made a scene folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cluster.cli._summary import show_summary, summary_object
from cluster.cli._terminal import write_json
from worldloom.export import load_manifest


@dataclass(frozen=True)
class Ending:
    """What is written besides the scene, and what is said of it."""

    report: bool = True
    """Write report.html too: one page that shows the scene in a browser, without a network."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def tell(self, stdout: TextIO, folder: Path) -> None:
        """Writes what came out.

        Args:
            stdout: Where to.
            folder: Of the finished scene.

        Raises:
            InputError: there is no finished scene.
        """
        manifest = load_manifest(folder)
        if self.json:
            write_json(stdout, summary_object(folder, manifest))
        else:
            show_summary(stdout, folder, manifest)
