"""`worldloom report`: one page that shows a scene."""

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import tyro

from cluster.cli._summary import size_text
from cluster.cli._terminal import write_json
from worldloom.report import write_report


@dataclass(frozen=True)
class Report:
    """Writes one HTML page that shows a scene, without a network."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    out: Path | None = None
    """File to write; None: report.html in the folder, listed in its manifest."""
    title: str | None = None
    """Heading; None: the names of the inputs."""
    store: str | None = None
    """Root of the artifact store, for the pictures of the views; None: `artifacts` in the
    folder."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or a file of it is damaged.
            ExportError: the page cannot be written.
        """
        path = write_report(self.folder, self.out, store_uri=self.store, title=self.title)
        if self.json:
            write_json(stdout, {"file": str(path.resolve())})
        else:
            stdout.write(f"{path}: report, {size_text(path.stat().st_size)}\n")
