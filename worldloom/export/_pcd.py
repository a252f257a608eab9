"""PCD 0.7, the format of the Point Cloud Library, binary or as text.

https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt32

from worldloom.export._cloud import CloudView
from worldloom.export._files import write_pieces
from worldloom.export._model import origin
from worldloom.export._text import Numbers, decimals, lines

logger = logging.getLogger(__name__)


def write_pcd(view: CloudView, path: Path) -> None:
    """Writes single-precision rows, as PCL's point types are."""
    write_pieces(path, _binary(view, path))


def write_pcd_text(view: CloudView, path: Path) -> None:
    """Writes rows as text."""
    write_pieces(path, _text(view, path))


def _header(view: CloudView, path: Path, data: str, color_type: str) -> tuple[bytes, np.ndarray]:
    """Returns the header, and what was taken off the positions: the viewpoint's translation.

    PCL's points are single precision; far from the origin that would cost millimetres.
    """
    moved = origin(np.stack(view.bounds()))
    if moved.any():
        logger.warning(
            "%s: PCD holds single precision, so positions are relative to its VIEWPOINT %s",
            path.name,
            " ".join(f"{value:.17g}" for value in moved),
        )
    fields, types = ["x", "y", "z"], ["F"] * 3
    if view.has_normals:
        fields += ["normal_x", "normal_y", "normal_z"]
        types += ["F"] * 3
    if view.has_colors:
        fields.append("rgb")
        types.append(color_type)
    fields.append("confidence")
    types.append("F")
    count = len(view.cloud)
    viewpoint = " ".join(f"{value:.17g}" for value in moved)
    text = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(fields)}",
        f"SIZE {' '.join('4' for _ in fields)}",
        f"TYPE {' '.join(types)}",
        f"COUNT {' '.join('1' for _ in fields)}",
        f"WIDTH {count}",
        "HEIGHT 1",
        f"VIEWPOINT {viewpoint} 1 0 0 0",
        f"POINTS {count}",
        f"DATA {data}",
    ]
    return ("\n".join(text) + "\n").encode("ascii"), moved


def _binary(view: CloudView, path: Path) -> Iterator[bytes]:
    # PCL packs colours into the bits of a float.
    header, moved = _header(view, path, "binary", "F")
    yield header
    for first, last in view.spans():
        columns = [(view.points(first, last) - moved).astype("<f4")]
        if view.has_normals:
            columns.append(view.normals(first, last).astype("<f4"))
        if view.has_colors:
            columns.append(_packed(view, first, last).astype("<u4").view("<f4")[:, None])
        columns.append(view.cloud.confidence[first:last, None].astype("<f4"))
        yield np.concatenate(columns, axis=1).tobytes()


def _text(view: CloudView, path: Path) -> Iterator[bytes]:
    # As text, the bits of a float would be rounded.
    header, moved = _header(view, path, "ascii", "U")
    yield header
    digits = decimals(_box(view))
    for first, last in view.spans():
        columns = [Numbers(view.points(first, last) - moved, digits)]
        if view.has_normals:
            columns.append(Numbers(view.normals(first, last), 6))
        if view.has_colors:
            columns.append(Numbers(_packed(view, first, last)[:, None]))
        columns.append(Numbers(view.cloud.confidence[first:last, None], 6))
        yield from lines(*columns)


def _packed(view: CloudView, first: int, last: int) -> UInt32[np.ndarray, "n"]:
    red, green, blue = view.cloud.colors[first:last].astype(np.uint32).T
    return red << 16 | green << 8 | blue


def _box(view: CloudView) -> Float64[np.ndarray, "2 3"]:
    return np.stack(view.bounds())
