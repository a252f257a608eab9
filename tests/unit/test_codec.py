import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import Float64

from worldloom.codec import digest, from_json, to_json


class Mode(StrEnum):
    FAST = "fast"
    SOUND = "sound"


@dataclass(frozen=True)
class Inner:
    name: str
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Outer:
    inner: Inner
    mode: Mode
    pose: Float64[np.ndarray, "4 4"]
    share: float | None = None

    @functools.cached_property
    def norm(self) -> float:
        return float(np.linalg.norm(self.pose))


def _outer(**changes: Any) -> Outer:
    fields = {"inner": Inner("a", (3, 4)), "mode": Mode.FAST, "pose": np.eye(4) / 3, "share": 0.1}
    return Outer(**{**fields, **changes})


def test_round_trip_is_exact():
    again = from_json(to_json(_outer()), Outer)
    assert again.inner == Inner("a", (3, 4))
    assert again.mode is Mode.FAST
    assert again.share == 0.1
    np.testing.assert_array_equal(again.pose, np.eye(4) / 3)
    assert again.pose.dtype == np.float64
    assert not again.pose.flags.writeable
    assert to_json(again) == to_json(_outer())


def test_a_digest_is_golden():
    """Stores in the field are keyed by it: it may change only with a stage version."""
    golden = "891597880c03166a06407991ae06a6150f2a152a2a3aa0eb9d73ddaaec111f16"
    assert digest("stage", 1, _outer()) == golden


def test_looking_at_a_property_does_not_change_the_digest():
    outer = _outer()
    before = digest(outer)
    assert outer.norm > 0
    assert digest(outer) == before


@pytest.mark.parametrize(
    "change",
    [
        {"inner": Inner("b", (3, 4))},
        {"inner": Inner("a", (4, 3))},
        {"mode": Mode.SOUND},
        {"pose": np.eye(4) / 3 + 1e-16 * np.eye(4)[::-1]},
        {"pose": np.eye(4, dtype=np.float32) / 3},
        {"share": None},
        {"share": float(np.nextafter(0.1, 1))},
    ],
)
def test_each_field_changes_the_digest(change: dict[str, Any]):
    assert digest(_outer(**change)) != digest(_outer())


@given(
    hnp.arrays(
        st.sampled_from(["<f4", "<f8", "<i4", "|u1", "|b1", "<u8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray):
    again = from_json(to_json(array), np.ndarray)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)
    if array.dtype.kind == "f":
        finite = ~np.isnan(array)
        np.testing.assert_array_equal(np.signbit(again)[finite], np.signbit(array)[finite])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_bit_for_bit(value: float):
    again = from_json(to_json(value), float)
    assert again == value
    assert np.signbit(again) == np.signbit(value)


def test_order_in_memory_does_not_count():
    array = np.arange(6.0).reshape(2, 3)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest((1, 2)) != digest((2, 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_float_that_json_cannot_say_is_refused(value: float):
    with pytest.raises(ValueError, match="no JSON form"):
        digest({"x": [value]})


@pytest.mark.parametrize(
    "value", [object(), np.array(["text"]), np.array([1j]), np.array([None]), print]
)
def test_other_types_are_refused(value: object):
    with pytest.raises(NotImplementedError):
        to_json(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"inner":{"name":"a","size":[3,4]},"mode":"fast"',
        b'{"inner":{"name":"a","size":[3,4]},"mode":"slow","pose":1}',
        b'{"inner":1}',
        b'{"inner":{"name":"a","size":[3,4]},"mode":"fast","pose":{"dtype":"<f8"}}',
        b'{"inner":{"name":"a","size":[3,4]},"mode":"fast","pose":'
        b'{"dtype":"<f8","shape":[2,2],"data":[1]}}',
        b"\xff\xfe\x00",
    ],
)
def test_damaged_json_is_a_decode_error(data: bytes):
    with pytest.raises(msgspec.DecodeError):
        from_json(data, Outer)


def test_indent_is_for_people_only():
    pretty = to_json(_outer(), indent=2)
    assert pretty.startswith(b'{\n  "inner": {')
    assert to_json(from_json(pretty, Outer)) == to_json(_outer())
