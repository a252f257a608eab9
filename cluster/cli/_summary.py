"""A finished scene in words: tables for people, a compact object for programs."""

from pathlib import Path
from typing import TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cluster.cli._progress import duration_text
from cluster.cli._terminal import show
from worldloom.export import Manifest

_SHOWN_FAILURES = 5


def summary_object(folder: Path, manifest: Manifest) -> dict[str, object]:
    """Returns what programs want to know of a scene; the rest is in its manifest."""
    return {
        "folder": str(folder.resolve()),
        "degraded": manifest.degraded,
        "counts": manifest.counts,
        "metrics": manifest.metrics,
        "quality": manifest.quality,
        "timings": manifest.timings,
        "models": manifest.evidence.get("models", []),
        "warnings": manifest.warnings,
        "failures": manifest.failures,
        "files": [str((folder / file.path).resolve()) for file in manifest.files],
    }


def show_summary(stream: TextIO, folder: Path, manifest: Manifest) -> None:
    """Writes the closing tables of a scene."""
    counts = manifest.counts
    headline = (
        f"{folder}: {counts['views']:,} views, {counts['points']:,} points, "
        f"{counts['faces']:,} faces"
    )
    parts: list[RenderableType] = [Text(headline)]
    if manifest.timings:
        parts.append(_timings(manifest))
    parts.append(_files(folder, manifest))
    numbers = manifest.metrics | {
        f"quality: {name.replace('_', ' ')}": value
        for name, value in manifest.quality.items()
        if isinstance(value, float)
    }
    measured = {name: value for name, value in numbers.items() if value is not None}
    if measured:
        parts.append(_metrics(measured))
    parts += [Text(line) for line in _models(manifest)]
    parts += [Text(f"Warning: {warning}") for warning in manifest.warnings]
    if manifest.failures:
        parts.append(Text(_failures(manifest)))
    show(stream, *parts)


def _timings(manifest: Manifest) -> Table:
    table = Table("stage", box=None, padding=(0, 2, 0, 0))
    for title in ("items", "reused", "failed", "time"):
        table.add_column(title, justify="right")
    for timing in manifest.timings:
        numbers = (f"{number:,}" for number in (timing.items, timing.reused, timing.failed))
        table.add_row(timing.stage, *numbers, duration_text(timing.seconds))
    total_s = sum(timing.seconds for timing in manifest.timings)
    table.add_row("all stages", "", "", "", duration_text(total_s))
    return table


def _files(folder: Path, manifest: Manifest) -> Table:
    table = Table("file", box=None, padding=(0, 2, 0, 0))
    table.add_column("size", justify="right")
    for file in manifest.files:
        table.add_row(str(folder / file.path), size_text(file.bytes))
    return table


def _metrics(measured: dict[str, float]) -> Table:
    table = Table("metric", box=None, padding=(0, 2, 0, 0))
    table.add_column("value", justify="right")
    for name, value in measured.items():
        table.add_row(name, f"{value:.4g}")
    return table


def _models(manifest: Manifest) -> list[str]:
    """A line for each trained model that took part: what comes out may be bound by its licence."""
    models = manifest.evidence.get("models", [])
    return [f"Depth model: {model['name']}, licence {model['licence']}" for model in models]


def _failures(manifest: Manifest) -> str:
    lines = [f"Incomplete: {len(manifest.failures)} work items could not be made."]
    for failure in manifest.failures[:_SHOWN_FAILURES]:
        lines.append(f"  {failure.stage} of {failure.subject}: {failure.message}")
    if len(manifest.failures) > _SHOWN_FAILURES:
        lines.append("  ... all of them are in scene.json")
    return "\n".join(lines)


def size_text(size_bytes: int) -> str:
    """Returns a size as people write it: `812 B`, `3.4 MiB`."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
