"""Times, durations, enums and optional numbers."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from worldloom.errors import ConfigError

V = TypeVar("V")


def time_to_pb(seconds: float | None) -> Timestamp | None:
    """Returns seconds since 1970 as a message; None stays unset."""
    if seconds is None:
        return None
    whole = math.floor(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))


def time_from_pb(message: Any, field: str) -> float | None:
    """Returns a field of a message as seconds since 1970; None where it is unset."""
    if not message.HasField(field):
        return None
    value = getattr(message, field)
    return value.seconds + value.nanos / 1e9


def duration_to_pb(seconds: float | None) -> Duration | None:
    """Returns a length of time as a message; None stays unset."""
    if seconds is None:
        return None
    whole = math.floor(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def duration_from_pb(message: Any, field: str) -> float | None:
    """Returns a field of a message as seconds; None where it is unset."""
    return time_from_pb(message, field)


def optional_from_pb(message: Any, field: str, fallback: V) -> V:
    """Returns an optional field of a message, or what holds where it is unset."""
    return getattr(message, field) if message.HasField(field) else fallback


def chosen(value: int, table: Mapping[int, V], field: str) -> V:
    """Returns what an enum value of a caller stands for.

    Raises:
        ConfigError: it stands for nothing.
    """
    if value not in table:
        known = ", ".join(str(number) for number in sorted(table))
        raise ConfigError(f"{field} must be one of the values {known}, got {value}", field=field)
    return table[value]


def within(value: float, low: float, high: float, field: str) -> None:
    """Checks the range of a number.

    Raises:
        ConfigError: it is outside, or no number.
    """
    if not low <= value <= high:
        raise ConfigError(f"{field} must be {low:g} to {high:g}, got {value:g}", field=field)


def inverse(table: Mapping[int, V]) -> dict[V, int]:
    """Returns a table the other way round; of several values for one the highest."""
    return {value: number for number, value in sorted(table.items())}


def wire(number: int) -> Any:
    """Returns the number of an enum value as messages take it; their stubs know names alone."""
    return number
