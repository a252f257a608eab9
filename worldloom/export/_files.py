"""Files written whole or not at all, and what is needed to check them later."""

import hashlib
import os
import uuid
from pathlib import Path

from worldloom.errors import ExportError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name beside it, then renames it.

    Args:
        path: The file; its folder is made where it does not exist.
        data: Its content.

    Raises:
        ExportError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
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
