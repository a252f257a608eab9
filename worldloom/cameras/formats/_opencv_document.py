"""XML and YAML as `cv2.FileStorage` writes them, read without it.

OpenCV's own reader corrupts the heap of the process on damaged YAML (5.0, found by
tests/properties/test_hostile_files.py), and files come from strangers.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import yaml
from jaxtyping import Float64

from worldloom.cameras._origin import Origin

_MATRIX = "opencv-matrix"
_DEEPEST = 16
_KIND = re.compile(r"(\d{0,3})[ucwsifdh]")
_DIRECTIVE = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*%YAML[: ][^\n]*\n")
_ESCAPED = re.compile(rb"(\\\\)|\\'")
_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')
_QUOTE = "\ue000"
_NUMBERS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix of one channel, or of several along a third axis."""

    values: Float64[np.ndarray, "..."]


Node: TypeAlias = "str | Matrix | list[Node] | dict[str, Node]"


def read_document(data: bytes, origin: Origin) -> dict[str, Node]:
    """Returns the nodes of a file by name; numbers are kept as text.

    Raises:
        TrajectoryError: the file is damaged.
    """
    is_yaml = _DIRECTIVE.match(data) is not None
    try:
        root = _yaml_root(data) if is_yaml else _xml_root(data)
    except (yaml.YAMLError, ElementTree.ParseError, ValueError, LookupError) as error:
        what = " ".join(str(error).split())[:200]
        raise origin.error(f"the file is damaged or cut off ({what}); write it again") from error
    if not isinstance(root, dict):
        raise origin.error("the file is damaged or cut off (it has no nodes); write it again")
    return root


def number_of(text: str) -> float:
    """Returns the number in a text.

    Raises:
        ValueError: there is none.
    """
    return float(_NUMBERS.get(text.lower(), text))


def _matrix(parts: dict[str, Node]) -> Matrix:
    rows, cols, kind = (parts.get(name) for name in ("rows", "cols", "dt"))
    data = parts.get("data", [])
    if not (isinstance(rows, str) and isinstance(cols, str) and isinstance(kind, str)):
        raise ValueError("a matrix lacks rows, cols or dt")
    found = _KIND.fullmatch(kind)
    if found is None or not (rows.isascii() and rows.isdecimal() and len(rows) < 10):
        raise ValueError(f"a matrix has the type {kind[:20]!r} and {rows[:20]!r} rows")
    if not (cols.isascii() and cols.isdecimal() and len(cols) < 10):
        raise ValueError(f"a matrix has {cols[:20]!r} columns")
    entries = [data] if isinstance(data, str) else data
    if not isinstance(entries, list):
        raise ValueError("the data of a matrix are no list")
    numbers = [number_of(entry) if isinstance(entry, str) else float("nan") for entry in entries]
    shape = (int(rows), int(cols), int(found[1] or 1))
    if len(numbers) != shape[0] * shape[1] * shape[2]:
        raise ValueError(f"a matrix of {rows}x{cols} has {len(numbers)} numbers")
    values = np.array(numbers, np.float64).reshape(shape)
    return Matrix(values[..., 0] if shape[2] == 1 else values)


def _yaml_root(data: bytes) -> Node:
    # OpenCV escapes apostrophes, which YAML does not know.
    plain = _ESCAPED.sub(lambda found: found[1] or b"'", _DIRECTIVE.sub(b"", data, count=1))
    events = yaml.parse(plain, Loader=yaml.CBaseLoader)
    for event in events:
        if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            return _yaml_node(event, events, 0)
    raise ValueError("it ends before it begins")


def _yaml_node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    """Builds a node from events: a node that is named and used again could grow without end."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_yaml_node(event, events, depth + 1))
        return items
    if isinstance(event, yaml.MappingStartEvent):
        nodes: dict[str, Node] = {}
        is_matrix = str(event.tag or "").endswith(_MATRIX)
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = _yaml_node(event, events, depth + 1)
            if not isinstance(key, str):
                raise ValueError("the name of a node is no text")
            nodes[key] = _yaml_node(next(events), events, depth + 1)
        return _matrix(nodes) if is_matrix else nodes
    raise ValueError(f"it holds {type(event).__name__}, which is not read")


def _xml_root(data: bytes) -> Node:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it declares entities, which are not read")
    # A quote that belongs to a text is escaped; it has to stay apart from those around texts.
    return _xml_node(ElementTree.fromstring(data.replace(b"&quot;", _QUOTE.encode())), 0)


def _xml_node(element: ElementTree.Element, depth: int) -> Node:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    children = list(element)
    if depth and not children:
        found = _WORD.findall(element.text or "")
        words = [(quoted or bare).replace(_QUOTE, '"') for quoted, bare in found]
        return words[0] if len(words) == 1 else list[Node](words)
    if children and all(child.tag == "_" for child in children):
        return [_xml_node(child, depth + 1) for child in children]
    nodes = {child.tag: _xml_node(child, depth + 1) for child in children}
    return _matrix(nodes) if element.get("type_id") == _MATRIX else nodes
