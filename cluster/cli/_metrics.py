"""`worldloom metrics`: the quality of a scene, as it was measured or measured again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import msgspec
import tyro
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cluster.cli._terminal import show, write_json
from worldloom.api import ARTIFACTS_FOLDER
from worldloom.codec import to_json
from worldloom.errors import ConfigError
from worldloom.export import Manifest, load_manifest, save_manifest
from worldloom.metrics import QualityReport, QualityScores
from worldloom.quality import JUDGED_VIEWS, folder_quality

_SHOWN_PARTS = 8
_FEWEST_PIXELS = 500
"""Parts that fewer pixels see are not shown: their numbers are noise."""


@dataclass(frozen=True)
class Metrics:
    """Shows the quality of a scene, of its chunks and of its seams; each number is 0 to 1."""

    folder: tyro.conf.Positional[Path]
    """Folder that `worldloom reconstruct` wrote."""
    recompute: bool = False
    """Measure again, and write the result into scene.json; else that is done only where nothing is
    known yet."""
    views: int | None = None
    """Views to judge, evenly spread; with it the quality is measured again. None: 12."""
    store: str | None = None
    """Store of the artifacts: a folder, s3:// or gs://; None: `artifacts` in the folder."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def __post_init__(self) -> None:
        if self.views is not None and self.views < 1:
            raise ConfigError(f"--views is {self.views}; give at least 1", field="views")

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            InputError: there is no finished scene.
            StoreError: the artifacts to measure on are gone.
        """
        manifest = load_manifest(self.folder)
        if self.recompute or self.views is not None or not manifest.quality:
            store = self.store or str(self.folder.resolve() / ARTIFACTS_FOLDER)
            report = folder_quality(self.folder, store, views=self.views or JUDGED_VIEWS)
            manifest = replace(manifest, quality=msgspec.json.decode(to_json(report)))
            save_manifest(manifest, self.folder)
        if self.json:
            folder = str(self.folder.resolve())
            known = {"quality": manifest.quality, "metrics": manifest.metrics}
            write_json(stdout, {"folder": folder, **known})
        else:
            show(stdout, *_tables(self.folder, manifest))


def _tables(folder: Path, manifest: Manifest) -> list[RenderableType]:
    report = msgspec.convert(manifest.quality, QualityReport)
    overview = _table("quality")
    _add(overview, "scene", report.scores)
    if report.held_out is not None:
        _add(overview, f"{len(report.held_out_views)} held-out views", report.held_out)
    parts: list[RenderableType] = [Text(f"{folder}: {len(report.views)} views judged"), overview]
    chunks = [
        (f"chunk {chunk.chunk_id}", chunk.scores)
        for chunk in report.chunks
        if chunk.pixels >= _FEWEST_PIXELS
    ]
    seams = [
        (f"chunks {seam.chunk_ids[0]} and {seam.chunk_ids[1]}", seam.scores)
        for seam in report.seams
        if seam.pixels >= _FEWEST_PIXELS
    ]
    for title, rows in (("chunk", chunks), ("seam", seams)):
        if len(rows) > 1 or (title == "seam" and rows):
            worst = sorted(rows, key=lambda row: _lowest(row[1]))[:_SHOWN_PARTS]
            table = _table(f"{title}, worst {len(worst)} of {len(rows)}")
            for name, scores in worst:
                _add(table, name, scores)
            parts.append(table)
    return parts


def _table(title: str) -> Table:
    table = Table(title, box=None, padding=(0, 2, 0, 0))
    for name in ("completeness", "geometric consistency", "texture quality", "view consistency"):
        table.add_column(name, justify="right")
    return table


def _add(table: Table, name: str, scores: QualityScores) -> None:
    table.add_row(name, *("-" if value is None else f"{value:.3f}" for value in _values(scores)))


def _values(scores: QualityScores) -> tuple[float | None, ...]:
    return (
        scores.completeness,
        scores.geometric_consistency,
        scores.texture_quality,
        scores.view_consistency,
    )


def _lowest(scores: QualityScores) -> float:
    return min((value for value in _values(scores) if value is not None), default=1.0)
