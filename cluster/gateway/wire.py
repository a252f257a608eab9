"""Parts of uploads as they come from the wire, read without a copy of their data."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


@dataclass(frozen=True)
class PartMessage:
    """An `UploadPartRequest`; its data are a view of the message."""

    name: str
    offset_bytes: int
    data: memoryview
    crc32c: int | None
    """None where it was not sent."""


def read_part(message: bytes) -> PartMessage:
    """Reads an `UploadPartRequest`.

    The generated class copies the data twice, and the loop that serves all calls would wait for
    that; see the encoding of protobuf, https://protobuf.dev/programming-guides/encoding/.

    Raises:
        DecodeError: it is no such message.
    """
    name, offset, data, crc32c = "", 0, memoryview(b""), None
    for field in _fields(message):
        match field:
            case (1, memoryview() as text):
                name = str(text, "utf-8")
            case (2, int() as number):
                offset = number - (1 << 64) if number >> 63 else number
            case (3, memoryview() as view):
                data = view
            case (4, _Fixed32() as four):
                crc32c = four.value
            case _:
                pass
    return PartMessage(name, offset, data, crc32c)


@dataclass(frozen=True)
class _Fixed32:
    value: int


def _fields(message: bytes) -> Iterator[tuple[int, int | memoryview | _Fixed32 | None]]:
    """The fields of a message: their numbers, and what they hold by the kind on the wire."""
    view, at = memoryview(message), 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, kind = tag >> 3, tag & 7
        if not 0 < field < 1 << 29:
            raise DecodeError(f"{field} is no number of a field")
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield field, number
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        else:
            size = _FIXED_BYTES.get(kind, 0)
        start, at = at, at + size
        if at > len(message) or (not size and kind != _BYTES):
            raise DecodeError("a field is longer than the message, or of no kind")
        content = view[start:at]
        if kind == _FIXED32:
            yield field, _Fixed32(int.from_bytes(content, "little"))
        else:
            yield field, content if kind == _BYTES else None


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for n, byte in enumerate(message[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value & (1 << 64) - 1, at + n + 1
    raise DecodeError("a number does not end")
