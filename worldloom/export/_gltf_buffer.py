"""The binary part of a glTF file: described first, made piece by piece when it is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

FLOAT, UINT16, UINT32 = 5126, 5123, 5125
VERTEX_DATA, INDEX_DATA = 34962, 34963
_ITEM = {FLOAT: 4, UINT16: 2, UINT32: 4}
_SHAPE = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
ROWS = 200_000
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class _Block:
    length: int
    """Bytes, without padding."""
    make: Callable[[], Iterator[bytes]]


@dataclass
class Buffer:
    """Buffer views and accessors as they are added, and the bytes that they stand for."""

    views: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    accessors: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    length: int = 0
    """Bytes so far, each block filled up to four."""
    _blocks: list[_Block] = field(default_factory=list[_Block])

    def add_rows(
        self,
        count: int,
        component: int,
        shape: str,
        target: int,
        rows: Callable[[int, int], np.ndarray],
        **more: object,
    ) -> int:
        """Adds an array of vertices or indices.

        Args:
            count: Number of rows.
            component: glTF's code of the component type.
            shape: SCALAR, VEC2, VEC3 or VEC4.
            target: Vertex or index data.
            rows: Makes the rows from a first up to a last, little-endian, of the component type.
            **more: Further members of the accessor.

        Returns:
            Index of its accessor.
        """

        def make() -> Iterator[bytes]:
            for first in range(0, count, ROWS):
                yield np.ascontiguousarray(rows(first, min(first + ROWS, count))).tobytes()

        view = self._add(_Block(count * _SHAPE[shape] * _ITEM[component], make))
        self.views[view]["target"] = target
        self.accessors.append(
            {
                "bufferView": view,
                "componentType": component,
                "count": count,
                "type": shape,
                **more,
            }
        )
        return len(self.accessors) - 1

    def add_image(self, data: bytes) -> int:
        """Adds an encoded image and returns the index of its buffer view."""
        return self._add(_Block(len(data), lambda: iter((data,))))

    def pieces(self) -> Iterator[bytes]:
        """Makes the bytes, each block filled up to four."""
        for block in self._blocks:
            yield from block.make()
            yield b"\0" * (-block.length % 4)

    def _add(self, block: _Block) -> int:
        self.views.append({"buffer": 0, "byteOffset": self.length, "byteLength": block.length})
        self._blocks.append(block)
        self.length += block.length + -block.length % 4
        return len(self.views) - 1
