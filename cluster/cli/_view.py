"""`worldloom view`: a scene, or a running job, in a browser."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import tyro

from cluster.cli._terminal import write_json
from worldloom.viewer import Viewer, ViewerConfig


@dataclass(frozen=True)
class View:
    """Shows a scene, or a job that runs, in a browser; until interrupted."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote, or with --live writes."""
    port: int = 8080
    """Port to listen at; the next free one where it is taken."""
    host: str = "127.0.0.1"
    """Address to listen at; the default is reached from this machine only, 0.0.0.0 from all that
    can reach it."""
    live: bool = False
    """Follow a job: its points are added as they come, the scene when it is whole."""
    store: str | None = None
    """Root of the artifact store; None: `artifacts` in the folder."""
    json: bool = False
    """Write one JSON object with the address to stdout, and nothing else."""
    viewer: ViewerConfig = field(default_factory=ViewerConfig)

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene, or a file of it is damaged.
            ConfigError: the address cannot be listened at.
        """
        viewer = Viewer(
            self.folder,
            host=self.host,
            port=self.port,
            live=self.live,
            store_uri=self.store,
            config=self.viewer,
        )
        try:
            self._tell(stdout, viewer)
            viewer.run()
        finally:
            viewer.stop()

    def _tell(self, stdout: TextIO, viewer: Viewer) -> None:
        url = f"http://{viewer.host}:{viewer.port}"
        if self.json:
            write_json(stdout, {"url": url, "host": viewer.host, "port": viewer.port})
        else:
            stdout.write(f"Open {url} in a browser; Ctrl-C ends it.\n")
            if viewer.host == "127.0.0.1":
                tunnel = f"ssh -L {viewer.port}:127.0.0.1:{viewer.port} HOST"
                stdout.write(f"From another machine: {tunnel}, then the same address there.\n")
        stdout.flush()
