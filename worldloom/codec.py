"""Frozen dataclasses to JSON and back, exactly; and the digest that names an artifact."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, TypeVar, cast, get_origin

import msgspec
import numpy as np

T = TypeVar("T")


def to_json(value: object, *, indent: int = 0) -> bytes:
    """Encodes dataclasses, containers, numbers and numpy arrays as deterministic JSON.

    Args:
        value: Any nesting of dataclasses (their fields, and nothing cached beside them), tuples,
            lists, sets, dicts with string keys, numbers, strings, enums, None and numpy arrays.
            Floats keep their exact value; in arrays they may be infinite or not a number.
        indent: Spaces an indentation level; 0 for the compact form.

    Returns:
        UTF-8 bytes, the same for equal values in every process.

    Raises:
        ValueError: a float outside of an array is not finite; JSON has no form for it.
        NotImplementedError: something of another type.
    """
    data = msgspec.json.encode(_plain(value), order="deterministic", enc_hook=_refuse)
    return msgspec.json.format(data, indent=indent) if indent else data


def from_json(data: bytes, kind: type[T]) -> T:
    """Decodes what `to_json` wrote.

    Args:
        data: UTF-8 JSON.
        kind: The dataclass, or other type, to build.

    Raises:
        msgspec.ValidationError: the data do not have the shape of `kind`.
        msgspec.DecodeError: the data are not JSON.
    """
    return msgspec.json.decode(data, type=kind, dec_hook=_decode_hook)


def digest(*values: object) -> str:
    """Returns the SHA-256 (64 hex digits) of the deterministic JSON of `values`."""
    return hashlib.sha256(to_json(values)).hexdigest()


def _plain(value: Any) -> Any:
    # msgspec would encode a dataclass by its __dict__, where functools.cached_property leaves
    # values: the digest would change when somebody looks at a property.
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no JSON form; use None, or an array")
        return value
    if isinstance(value, np.ndarray):
        return _plain_from_array(cast("np.ndarray[Any, Any]", value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple | Set):
        items = [_plain(item) for item in cast("list[Any]", value)]
        return sorted(items) if isinstance(value, Set) else items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name.name: _plain(getattr(value, name.name)) for name in dataclasses.fields(value)}
    return value.value if isinstance(value, Enum) else value


def _plain_from_array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind not in "biuf":
        raise NotImplementedError(f"an array of {array.dtype} has no JSON form")
    data: Any = array.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        # JSON knows no NaN; numpy reads the words back.
        flat: list[float] = array.ravel().tolist()
        data = [item if math.isfinite(item) else str(item) for item in flat]
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _refuse(value: object) -> object:
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def _decode_hook(kind: type, value: Any) -> object:
    # Annotations name arrays by shape (jaxtyping), which msgspec hands over as they are.
    if isinstance(value, Mapping) and {"dtype", "shape", "data"} <= value.keys():
        fields = cast("Mapping[str, Any]", value)
        array = np.array(fields["data"], dtype=np.dtype(fields["dtype"])).reshape(fields["shape"])
        array.setflags(write=False)
        return array
    raise ValueError(f"not a {get_origin(kind) or kind}")
