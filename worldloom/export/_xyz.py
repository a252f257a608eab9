"""XYZ: a point a line, as text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldloom.export._cloud import CloudView
from worldloom.export._files import write_pieces
from worldloom.export._text import Numbers, decimals, lines


def write_xyz(view: CloudView, path: Path) -> None:
    """Writes `x y z [red green blue] [nx ny nz]`, colours 0 to 255, under a line that says so."""
    write_pieces(path, _pieces(view))


def _pieces(view: CloudView) -> Iterator[bytes]:
    digits = decimals(np.stack(view.bounds()))
    names = ["x y z"]
    if view.has_colors:
        names.append("red green blue")
    if view.has_normals:
        names.append("nx ny nz")
    yield f"# {' '.join(names)}\n".encode("ascii")
    for first, last in view.spans():
        columns = [Numbers(view.points(first, last), digits)]
        if view.has_colors:
            columns.append(Numbers(view.cloud.colors[first:last]))
        if view.has_normals:
            columns.append(Numbers(view.normals(first, last), 5))
        yield from lines(*columns)
