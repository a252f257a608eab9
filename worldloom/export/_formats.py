"""The format of a file: named, or told by its suffix."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from worldloom.errors import ExportError

F = TypeVar("F", bound=str)


def format_of(path: Path, named: str | None, known: Sequence[F], product: str) -> tuple[F, Path]:
    """Finds the format of a file to write.

    Args:
        path: The file; without a suffix it gets that of the named format.
        named: A format, or None for that of the suffix.
        known: Formats of the product. What stands behind a hyphen in a name (`pcd-ascii`) is no
            part of the suffix.
        product: What is written, for messages.

    Returns:
        The format and the file.

    Raises:
        ExportError: there is no such format, or it does not go with the suffix.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if named is None:
        found = next((kind for kind in known if kind == suffix), None)
        if found is None:
            raise ExportError(
                f"no {product} format has the suffix {path.suffix!r}; use one of "
                f"{', '.join(known)}",
                path=str(path),
                format=suffix,
            )
        return found, path
    found = next((kind for kind in known if kind == named), None)
    if found is None:
        raise ExportError(
            f"{named!r} is no {product} format; use one of {', '.join(known)}",
            path=str(path),
            format=named,
        )
    expected = found.partition("-")[0]
    if not suffix:
        return found, path.with_name(f"{path.name}.{expected}")
    if suffix != expected:
        raise ExportError(
            f"the format {named} does not go with the name {path.name}; give one of the two, or "
            "make them agree",
            path=str(path),
            format=named,
        )
    return found, path
