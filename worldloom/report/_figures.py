"""Numbers of a manifest as people read them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DB, _PX, _LEVELS, _SHARE = "dB", "px", "levels of 255", "share"
_KNOWN = {
    "completeness": (_SHARE, "Confirmed depth pixels that the mesh covers; 1 is all of them."),
    "geometric_consistency": (_SHARE, "Depth pixels at which the mesh lies where the views say."),
    "texture_quality": (_SHARE, "How sharp and how alike the colours are where views overlap."),
    "view_consistency": (_SHARE, "How well the views agree with each other about the surface."),
    "input_psnr_db": (_DB, "The mesh rendered into views against their images; more is better."),
    "input_ssim": (_SHARE, "The same by structural similarity; 1 is equal."),
    "holdout_psnr_db": (_DB, "The same for views that nothing was made from."),
    "holdout_ssim": (_SHARE, "The same by structural similarity."),
    "holdout_fitted_psnr_db": (_DB, "The same with the exposure that fits each view best."),
    "holdout_coverage": (_SHARE, "Share of the held-out pixels that the mesh covers."),
    "pose_residual_px": (_PX, "Matches from their epipolar lines, median; above 1: poses are off."),
    "reprojection_residual_px": (_PX, "Features from where other views put them, median."),
    "color_spread_levels": (_LEVELS, "Colour of a place in one view from its mean over the views."),
}
UNKNOWN = "?"
_ACRONYMS = {"psnr": "PSNR", "ssim": "SSIM"}
_UNITS = ("_db", "_px", "_levels", "_m", "_s", "_mib", "_deg")


@dataclass(frozen=True)
class Figure:
    """One number with its name."""

    label: str
    value: str
    """With its unit."""
    note: str = ""
    share: float | None = None
    """The value where it is a share of 1, to be drawn as a bar."""


@dataclass(frozen=True)
class Cell:
    """A value of a table."""

    text: str
    value: str = ""
    """What it is sorted by; empty where it is unknown."""


@dataclass(frozen=True)
class Sheet:
    """A table that a manifest brings along."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def metric_figures(metrics: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Returns the numbers among some metrics; unknown names are shown under their own."""
    return tuple(
        _metric(name, value)
        for name, value in metrics.items()
        if value is None or _is_number(value)
    )


def sheets(title: str, block: Mapping[str, Any]) -> tuple[Sheet, ...]:
    """Returns the lists of records of a block as tables: chunks, seams, whatever there is."""
    return tuple(
        sheet
        for name, value in block.items()
        if (sheet := _sheet(f"{title}: {label_of(name)}" if title else label_of(name), value))
    )


def label_of(name: str) -> str:
    """Returns a name of code as a label: `input_psnr_db` is `Input PSNR`."""
    for unit in _UNITS:
        name = name.removesuffix(unit)
    words = [_ACRONYMS.get(word, word) for word in name.split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def number_text(value: float | int) -> str:
    """Returns a number in at most four digits, or as an integer."""
    if not math.isfinite(value):
        return "unknown"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def duration_text(seconds: float | int) -> str:
    """Returns a duration: `0.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if seconds >= 3600:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {int(seconds % 60)} s"


def size_text(size_bytes: int) -> str:
    """Returns a size: `812 B`, `3.4 MiB`."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def known(value: float | int | None, digits: int = 2, unit: str = "") -> Cell:
    """Returns a cell of a number that may be unknown."""
    if value is None or not math.isfinite(value):
        return Cell(UNKNOWN)
    return Cell(f"{value:.{digits}f}{unit}", repr(value))


def _metric(name: str, value: float | int | None) -> Figure:
    unit, note = _KNOWN.get(name, ("", ""))
    if value is None or not math.isfinite(value):
        return Figure(label_of(name), "not measured", note)
    if unit == _SHARE or (not unit and 0 <= value <= 1):
        return Figure(label_of(name), f"{value:.3f}", note, max(0.0, min(1.0, float(value))))
    text = number_text(value)
    return Figure(label_of(name), f"{text} {unit}" if unit else text, note)


def _sheet(title: str, value: object) -> Sheet | None:
    if isinstance(value, Mapping):
        # Records by name: the name is a column of its own.
        named = [{"name": name, **row} for name, row in value.items() if isinstance(row, Mapping)]
        return _records(title, named) if named and len(named) == len(value) else None
    if isinstance(value, Sequence) and not isinstance(value, str):
        rows = [row for row in value if isinstance(row, Mapping)]
        return _records(title, rows) if rows and len(rows) == len(value) else None
    return None


def _records(title: str, rows: Sequence[Mapping[str, Any]]) -> Sheet | None:
    heads = [name for name in dict.fromkeys(name for row in rows for name in row)]
    heads = [name for name in heads if any(_is_plain(row.get(name)) for row in rows)]
    if not heads:
        return None
    cells = tuple(tuple(_cell(row.get(name)) for name in heads) for row in rows)
    return Sheet(title, tuple(label_of(name) for name in heads), cells)


def _cell(value: object) -> Cell:
    if value is None:
        return Cell(UNKNOWN)
    if isinstance(value, (bool, str)):
        return Cell(str(value), str(value))
    if isinstance(value, (int, float)):
        return Cell(number_text(value), repr(value)) if math.isfinite(value) else Cell(UNKNOWN)
    if isinstance(value, Sequence):
        parts = [number_text(part) if _is_number(part) else str(part) for part in value]
        return Cell(", ".join(parts), ", ".join(parts))
    return Cell("…")


def _is_plain(value: object) -> bool:
    return value is not None and not isinstance(value, Mapping)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
