"""Integer arrays packed for a page: differences, planes of bytes, deflated, base64.

The other side is `page/source/packing.js`. Neighbours in a mesh are alike, so their differences
are small, and planes of the upper bytes are nearly all zero: deflate makes little of them.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Integer, UInt8

STEPS = 65535
Width = Literal[1, 2, 4]
Columns = dict[str, tuple[np.ndarray, Width]]
"""Unsigned integers, and the bytes that each of them takes, by name; larger values wrap around."""


@dataclass(frozen=True)
class Column:
    """Where a column lies in packed data: the columns follow each other."""

    name: str
    count: int
    width: Width
    """Bytes of a value."""


@dataclass(frozen=True)
class Packed:
    """Columns as text for a page."""

    layout: tuple[Column, ...]
    data: str
    """Base64."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """Points on a lattice of 65536 steps along the longest side of their box."""

    low: tuple[float, float, float]
    step: float
    steps: Integer[np.ndarray, "n 3"]


def packed(columns: Columns) -> Packed:
    """Packs columns of unsigned integers.

    Args:
        columns: What to pack; the order is kept.
    """
    planes = b"".join(_planes(values, width) for values, width in columns.values())
    layout = tuple(Column(name, len(values), width) for name, (values, width) in columns.items())
    return Packed(layout, base64.b64encode(zlib.compress(planes, 6)).decode())


def unpacked(source: Packed) -> dict[str, Integer[np.ndarray, "_"]]:
    """Returns the columns that were packed, as a page reads them."""
    data = np.frombuffer(zlib.decompress(base64.b64decode(source.data)), np.uint8)
    columns: dict[str, np.ndarray] = {}
    offset = 0
    for column in source.layout:
        end = offset + column.count * column.width
        planes = data[offset:end].reshape(column.width, column.count).astype(np.int64)
        coded = (planes << (8 * np.arange(column.width))[:, None]).sum(axis=0)
        differences = np.where(coded & 1, -((coded + 1) >> 1), coded >> 1)
        columns[column.name] = np.cumsum(differences) & (2 ** (8 * column.width) - 1)
        offset = end
    return columns


def quantised(points: Float64[np.ndarray, "n 3"], origin: Float64[np.ndarray, "3"]) -> Quantised:
    """Returns points as steps from the low corner of their box, relative to an origin.

    Args:
        points: At least one, finite.
        origin: Taken off, so that single precision suffices in the page.
    """
    moved = points - origin
    low = moved.min(axis=0)
    side = float((moved.max(axis=0) - low).max())
    step = side / STEPS if side > 0 else 1.0
    x, y, z = low.tolist()
    return Quantised((x, y, z), step, np.rint((moved - low) / step).astype(np.int64))


def point_columns(points: Quantised) -> Columns:
    """Returns the columns x, y and z of quantised points."""
    return {name: (points.steps[:, k], 2) for k, name in enumerate("xyz")}


def color_columns(
    colors: UInt8[np.ndarray, "n 3"],
) -> Columns:
    """Returns the columns r, g and b of colours."""
    return {name: (colors[:, k], 1) for k, name in enumerate("rgb")}


def _planes(values: Integer[np.ndarray, "n"], width: Width) -> bytes:
    span = 1 << (8 * width)
    differences = np.diff(values.astype(np.int64), prepend=0) % span
    signed = np.where(differences >= span // 2, differences - span, differences)
    # Zigzag: small differences of either sign become small numbers.
    coded = np.where(signed < 0, -2 * signed - 1, 2 * signed)
    return b"".join(((coded >> (8 * k)) & 255).astype(np.uint8).tobytes() for k in range(width))
