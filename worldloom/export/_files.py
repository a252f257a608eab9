"""Files written whole or not at all, and what is needed to check them later."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from worldloom.errors import ExportError


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes a file under a temporary name beside it, then renames it.

    Args:
        path: The file; its folder is made where it does not exist.
        data: Its content, at once or in pieces that are asked for as they are written.

    Raises:
        ExportError: the file cannot be written.
    """
    with staged(path) as place:
        write_pieces(place, data)


def write_pieces(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes a file piece by piece, for use inside `staged`.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        for piece in (data,) if isinstance(data, bytes | bytearray) else data:
            file.write(piece)


@contextmanager
def staged(path: Path) -> Generator[Path]:
    """Lets a writer make a file, and others that it refers to, before any of them appears.

    Args:
        path: Where the file shall be; its folder is made where it does not exist.

    Yields:
        A path of the same name in a temporary folder beside. What the block leaves in that folder
        is moved to the folder of `path` in the end, the file itself last.

    Raises:
        ExportError: something cannot be written; nothing is left but what was there before.
    """
    folder = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        try:
            place = folder / path.name
            yield place
            for beside in sorted(folder.iterdir()):
                if beside != place:
                    os.replace(beside, path.with_name(beside.name))
            os.replace(place, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder",
            path=str(path),
        ) from error


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, 64 hex digits.

    Raises:
        ExportError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(
            f"cannot read {path}: {error.strerror or error}; export the scene again",
            path=str(path),
        ) from error
