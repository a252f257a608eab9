"""Hostile files: valid ones, made wrong in the ways that break parsers."""

import re
import struct
from typing import Any

from hypothesis import strategies as st

EXTREME_BYTES = (
    *(struct.pack("<q", n) for n in (-1, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, -(1 << 63))),
    *(struct.pack("<i", n) for n in (-1, 0, (1 << 31) - 1, 1 << 20)),
    *(struct.pack(">I", n) for n in (0, 0xFFFFFFFF, 1 << 20)),
    *(struct.pack("<d", x) for x in (float("nan"), float("inf"), -1e308, 5e-324, 0.0)),
    b"\x00" * 16,
    b"\xff" * 16,
)
EXTREME_TEXTS = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "1e-320", "9" * 40, "9" * 5000),
    *("null", "true", "[]", "{}", '""', '"a"', "[[[]]]", "[" * 2000, '{"a":' * 2000),
    *("1_0", "0x10", "٣", "²", "1,5", "../../etc/passwd", "\u0000", "\ud7ff", "😀"),
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_]{2,}")


@st.composite
def wronged(draw: st.DrawFn, valid: bytes, *, text: bool) -> bytes:
    """Returns a file after one to six changes.

    Args:
        draw: Hypothesis.
        valid: A file that can be read.
        text: Whether numbers and words in it are text.
    """
    data = valid
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        kinds = ["flip", "cut", "drop", "repeat", "extreme", "insert"]
        data = _changed(draw, data, draw(st.sampled_from(kinds + ["number", "word"] * 3 * text)))
    return data


def _changed(draw: st.DrawFn, data: bytes, kind: str) -> bytes:
    at = draw(st.integers(0, len(data) - 1))
    if kind in {"number", "word"}:
        found = list((_NUMBER if kind == "number" else _WORD).finditer(data))
        if not found:
            return data
        match = found[draw(st.integers(0, len(found) - 1))]
        new = draw(st.sampled_from(EXTREME_TEXTS)).encode(errors="surrogatepass")
        return data[: match.start()] + new + data[match.end() :]
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "extreme":
        new = draw(st.sampled_from(EXTREME_BYTES))
        return data[:at] + new + data[at + len(new) :]
    if kind == "insert":
        return data[:at] + draw(st.binary(max_size=12)) + data[at:]
    end = at + draw(st.integers(1, 64))
    return data[:at] + (data[at:end] * 3 if kind == "repeat" else b"") + data[end:]


_LEAVES: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from([10**400, "NaN", -1, 0, [], {}]),
)
JSON_VALUES: Any = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Any JSON, NaN and numbers beyond a double among it."""


@st.composite
def wronged_json(draw: st.DrawFn, valid: Any) -> Any:
    """Returns a document in which one to three values are something else, gone, or doubled."""
    document = valid
    for _ in range(draw(st.integers(1, 3))):
        document = _replaced(draw, document)
    return document


def _replaced(draw: st.DrawFn, node: Any) -> Any:
    deeper = draw(st.integers(0, 5)) > 0
    if isinstance(node, dict) and node and deeper:
        key = draw(st.sampled_from(sorted(node)))
        if draw(st.integers(0, 9)) == 0:
            return {k: v for k, v in node.items() if k != key}
        return node | {key: _replaced(draw, node[key])}
    if isinstance(node, list) and node and deeper:
        at = draw(st.integers(0, len(node) - 1))
        if draw(st.integers(0, 9)) == 0:
            return node[:at] + node[at + 1 :]
        return [*node[:at], _replaced(draw, node[at]), *node[at + 1 :]]
    return draw(JSON_VALUES)
