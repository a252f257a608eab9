"""Numbers as text: as many digits as the extent of the data asks for, some rows at a time."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int, Num
from pyarrow import csv

_ROWS = 100_000
_DIGITS = 8
_MOST_DECIMALS = 17
_EXACT_DECIMALS = 15
"""Rounding to more digits than a double holds would only add noise."""
_OPTIONS = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")


@dataclass(frozen=True, eq=False)
class Numbers:
    """Some columns of a table, to be written as numbers."""

    values: Num[np.ndarray, "n _"]
    decimals: int = 0
    """Digits after the point at most; integers are written as they are."""

    def texts(self, rows: slice) -> list[pa.Array]:
        """Returns each column as what Arrow writes."""
        return [self._column(column) for column in self.values[rows].T]

    def _column(self, column: Num[np.ndarray, "n"]) -> pa.Array:
        plain = np.ascontiguousarray(column)
        if np.issubdtype(plain.dtype, np.integer):
            return pa.array(plain)
        double = plain.astype(np.float64)
        if self.decimals <= _EXACT_DECIMALS:
            double = np.round(double, self.decimals)
        return pa.array(double + 0.0)  # No line says -0.


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners of faces, each an index or several joined by a sign: `1/2/3`."""

    values: Int[np.ndarray, "n 3 _"]
    sign: str

    def texts(self, rows: slice) -> list[pa.Array]:
        """Returns each corner as what Arrow writes."""
        part = self.values[rows]
        return [
            self._joined([pa.array(np.ascontiguousarray(index)) for index in corner.T])
            for corner in part.transpose(1, 0, 2)
        ]

    def _joined(self, indices: list[pa.Array]) -> pa.Array:
        texts = [index.cast(pa.string()) for index in indices]
        return pc.call_function("binary_join_element_wise", [*texts, pa.scalar(self.sign)])


def decimals(points: Float[np.ndarray, "n 3"]) -> int:
    """Returns how many decimals keep 1e-8 of the extent of points, wherever the origin is."""
    extent = float(np.linalg.norm(points.max(axis=0) - points.min(axis=0)))
    if extent == 0:
        return _DIGITS
    return min(max(_DIGITS - math.floor(math.log10(extent)), 0), _MOST_DECIMALS)


def lines(*columns: Numbers | Corners, word: str | None = None) -> Iterator[bytes]:
    """Writes rows of a table, some at a time, with a blank between the columns.

    Args:
        *columns: As many rows each, joined side by side.
        word: Starts each line.
    """
    count = len(columns[0].values)
    for first in range(0, count, _ROWS):
        rows = slice(first, min(first + _ROWS, count))
        lead = [] if word is None else [pa.repeat(word, rows.stop - first)]
        arrays = lead + [text for column in columns for text in column.texts(rows)]
        out = io.BytesIO()
        csv.write_csv(pa.table(arrays, [str(k) for k in range(len(arrays))]), out, _OPTIONS)
        yield out.getvalue()
