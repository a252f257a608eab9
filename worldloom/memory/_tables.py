"""The memory as Parquet: rows of (cell, view), and fused cells.

Both tables ascend by Morton key and are compressed with zstd. The schema metadata hold
`worldloom.format` (`memory.rows` or `memory.fused`), `worldloom.version` and `worldloom.cell_m`
(hexadecimal float, exact). The columns are the fields of `GeometricMemory` and `FusedMemory`; x, y
and z of a triple, or r, g and b, are columns of their own.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from worldloom.errors import InputError
from worldloom.memory._fused import FusedMemory
from worldloom.memory._memory import GeometricMemory

VERSIONS = {"memory.rows": 1, "memory.fused": 2}
_Format = Literal["memory.rows", "memory.fused"]
_OFFSETS = ("offset_x", "offset_y", "offset_z")
_NORMALS = ("normal_x", "normal_y", "normal_z")
_COLORS = ("color_r", "color_g", "color_b")


def _schema(kind: _Format, cell_m: float) -> pa.Schema:
    rows = kind == "memory.rows"
    fields: list[tuple[str, pa.DataType]] = [("cell", pa.int64())]
    fields += [("view", pa.int32())] if rows else []
    fields += [(name, pa.uint16()) for name in _OFFSETS]
    fields += [(name, pa.int8() if rows else pa.int16()) for name in _NORMALS]
    fields += [(name, pa.uint8()) for name in _COLORS]
    fields += [("confidence", pa.uint8())]
    fields += [("count", pa.uint16() if rows else pa.int32())]
    fields += [] if rows else [("views", pa.list_(pa.int32()))]
    metadata = {
        "worldloom.format": kind,
        "worldloom.version": str(VERSIONS[kind]),
        "worldloom.cell_m": float(cell_m).hex(),
    }
    return pa.schema([pa.field(n, t, nullable=False) for n, t in fields], metadata=metadata)


def _write(schema: pa.Schema, groups: Sequence[Sequence[pa.Array]]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    plain = [name for name in schema.names if name != "views"]
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding={
            name: "DELTA_BINARY_PACKED" if name == "cell" else "PLAIN" for name in plain
        },
    ) as writer:
        for columns in groups:
            table = pa.Table.from_arrays(list(columns), schema=schema)
            writer.write_table(table, row_group_size=max(len(table), 1))
    return sink.getvalue()


def write_rows(cell_m: float, groups: Sequence[GeometricMemory]) -> pa.Buffer:
    """Returns Parquet with one row group a memory; empty ones are left out."""
    schema = _schema("memory.rows", cell_m)
    return _write(
        schema,
        [
            [
                pa.array(column, field.type)
                for column, field in zip(
                    [
                        group.cells,
                        group.views,
                        *group.offsets.T,
                        *group.normals.T,
                        *group.colors.T,
                        group.confidence,
                        group.count,
                    ],
                    schema,
                    strict=True,
                )
            ]
            for group in groups
            if len(group)
        ],
    )


def write_fused(memory: FusedMemory) -> pa.Buffer:
    """Returns a fused memory as Parquet."""
    schema = _schema("memory.fused", memory.cell_m)
    columns = [
        memory.cells,
        *memory.offsets.T,
        *memory.normals.T,
        *memory.colors.T,
        memory.confidence,
        memory.count,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    starts = pa.array(memory.view_starts, pa.int32())
    arrays.append(pa.ListArray.from_arrays(starts, pa.array(memory.views, pa.int32())))
    return _write(schema, [arrays])


def _open(source: pa.NativeFile | pa.Buffer, kind: _Format) -> tuple[pq.ParquetFile, float]:
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise InputError(f"not a {kind} table: {error}; make it anew") from error
    metadata = {
        key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()
    }
    found = (metadata.get("worldloom.format"), metadata.get("worldloom.version"))
    if found != (kind, str(VERSIONS[kind])):
        raise InputError(
            f"a {kind} table of version {VERSIONS[kind]} was expected, found {found[0]} of version "
            f"{found[1]}; make it anew with this release"
        )
    return file, float.fromhex(metadata["worldloom.cell_m"])


def _column(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).combine_chunks().to_numpy(zero_copy_only=False)


def _triple(table: pa.Table, names: tuple[str, str, str]) -> np.ndarray:
    return np.stack([_column(table, name) for name in names], axis=-1)


def read_rows(
    source: pa.NativeFile | pa.Buffer, groups: Sequence[int] | None = None
) -> GeometricMemory:
    """Reads what `write_rows` wrote: all of it, or some of its row groups.

    Raises:
        InputError: it is another kind or version of table.
    """
    file, cell_m = _open(source, "memory.rows")
    table = file.read() if groups is None else file.read_row_groups(list(groups))
    return GeometricMemory(
        cell_m,
        cells=_column(table, "cell"),
        views=_column(table, "view"),
        offsets=_triple(table, _OFFSETS),
        normals=_triple(table, _NORMALS),
        colors=_triple(table, _COLORS),
        confidence=_column(table, "confidence"),
        count=_column(table, "count"),
    )


def read_cells(source: pa.NativeFile | pa.Buffer) -> Int64[np.ndarray, "n"]:
    """Reads the cells alone of what `write_rows` wrote, ascending.

    Raises:
        InputError: it is another kind or version of table.
    """
    file, _ = _open(source, "memory.rows")
    return _column(file.read(columns=["cell"]), "cell")


def read_fused(source: pa.NativeFile | pa.Buffer) -> FusedMemory:
    """Reads what `write_fused` wrote.

    Raises:
        InputError: it is another kind or version of table.
    """
    file, cell_m = _open(source, "memory.fused")
    table = file.read()
    lists = table.column("views").combine_chunks()
    return FusedMemory(
        cell_m,
        cells=_column(table, "cell"),
        offsets=_triple(table, _OFFSETS),
        normals=_triple(table, _NORMALS),
        colors=_triple(table, _COLORS),
        confidence=_column(table, "confidence"),
        count=_column(table, "count"),
        view_starts=lists.offsets.to_numpy(zero_copy_only=False).astype(np.int64),
        views=lists.values.to_numpy(zero_copy_only=False),
    )
