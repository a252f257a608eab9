"""XYZ: a point a line, as text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldloom.export._cloud import CloudView
from worldloom.export._files import write_pieces
from worldloom.export._text import decimals, lines


def write_xyz(view: CloudView, path: Path) -> None:
    """Writes `x y z [red green blue] [nx ny nz]`, colours 0 to 255, under a line that says so."""
    write_pieces(path, _pieces(view))


def _pieces(view: CloudView) -> Iterator[bytes]:
    number = f"%.{decimals(np.stack(view.bounds()))}f"
    names, pattern = ["x y z"], [" ".join([number] * 3)]
    if view.has_colors:
        names.append("red green blue")
        pattern.append("%d %d %d")
    if view.has_normals:
        names.append("nx ny nz")
        pattern.append("%.5f %.5f %.5f")
    yield f"# {' '.join(names)}\n".encode("ascii")
    for first, last in view.spans():
        columns: list[np.ndarray] = [view.points(first, last)]
        if view.has_colors:
            columns.append(view.cloud.colors[first:last])
        if view.has_normals:
            columns.append(view.normals(first, last))
        yield from lines(" ".join(pattern) + "\n", *columns)
