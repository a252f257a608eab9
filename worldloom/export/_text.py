"""Numbers as text: as many digits as the extent of the data asks for, some rows at a time."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Num

_ROWS = 50_000
_DIGITS = 8
_MOST_DECIMALS = 17


def decimals(points: Float[np.ndarray, "n 3"]) -> int:
    """Returns how many decimals keep 1e-8 of the extent of points, wherever the origin is."""
    extent = float(np.linalg.norm(points.max(axis=0) - points.min(axis=0)))
    if extent == 0:
        return _DIGITS
    return min(max(_DIGITS - math.floor(math.log10(extent)), 0), _MOST_DECIMALS)


def lines(pattern: str, *columns: Num[np.ndarray, "n _"]) -> Iterator[bytes]:
    """Formats rows, some at a time: numbers as Python objects take ten times their size.

    Args:
        pattern: Format of one row with its line end, one conversion a value.
        *columns: Arrays of as many rows, joined side by side.
    """
    for first in range(0, len(columns[0]), _ROWS):
        parts = [column[first : first + _ROWS] for column in columns]
        count = len(parts[0])
        if len(parts) == 1:
            values: list[object] = parts[0].ravel().tolist()
        else:
            # Numbers keep their type: floats for %f, integers for %d.
            rows = zip(*(part.tolist() for part in parts), strict=True)
            values = [value for row in rows for group in row for value in group]
        yield ((pattern * count) % tuple(values)).encode("ascii")
