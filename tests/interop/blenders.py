"""Blender in a process of its own, over any number of files."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Blender:
    """What one Blender made of all files."""

    version: str
    reports: dict[str, dict[str, Any]]


def opened_by_blender(
    command: list[str],
    jobs: list[dict[str, str]],
    folder: Path,
    name: str,
    paths: list[str] | None = None,
) -> Blender:
    """Lets a Blender open files; see `blender_reader.py`.

    Args:
        command: That runs the reader.
        jobs: Files, and pictures to draw of them.
        folder: For the jobs and the report.
        name: Of these files.
        paths: Where Python looks for its modules besides.
    """
    given, said = folder / f"{name}-jobs.json", folder / f"{name}-report.json"
    given.write_text(json.dumps(jobs))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    process = subprocess.run(
        [*command, "--", str(given), str(said)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert said.is_file(), process.stdout[-2000:] + process.stderr[-2000:]
    report = json.loads(said.read_text())
    return Blender(report["version"], {item["file"]: item for item in report["reports"]})
