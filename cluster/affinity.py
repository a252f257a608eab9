"""What a work item reads: the artifacts that it names, wherever they stand in it."""

import re
from dataclasses import fields, is_dataclass

_ARTIFACT = re.compile(r"[\w-]+/[0-9a-f]{2}/[0-9a-f]{64}")


def inputs_of(work: object) -> frozenset[str]:
    """Returns the keys of the artifacts that a work item names."""
    found: set[str] = set()
    waiting: list[object] = [work]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if _ARTIFACT.fullmatch(value):
                found.add(value)
        elif isinstance(value, (tuple, list)):
            waiting += [item for item in value if not isinstance(item, (int, float))]
        elif is_dataclass(value):
            waiting += [getattr(value, field.name) for field in fields(value)]
    return frozenset(found)
