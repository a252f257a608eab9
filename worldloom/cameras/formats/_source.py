"""What a reader gets, and how files are read and written."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from worldloom.cameras._intrinsics import CameraIntrinsics
from worldloom.cameras._origin import Origin

ImageSize: TypeAlias = tuple[int, int]
"""Width and height, pixels."""


@dataclass(frozen=True)
class TrajectorySource:
    """A trajectory file, and what its format may leave to the caller."""

    path: Path
    """File, or folder for formats of several files."""
    name: str
    """Name of the trajectory."""
    image_size: ImageSize | None = None
    """Image size for formats that hold none."""
    intrinsics: CameraIntrinsics | None = None
    """Intrinsics of all frames for formats that hold none."""
    poses_only: bool = False
    """True where the lens does not matter: `intrinsics` stand for those of the file."""

    @property
    def origin(self) -> Origin:
        """The file, for errors."""
        return Origin(self.path)

    def text(self) -> str:
        """Returns the content of the file.

        Raises:
            TrajectoryError: the file cannot be read, or is empty, or is no text.
        """
        return read_text(self.path)

    def json_object(self) -> dict[str, object]:
        """Returns the JSON object that the file holds.

        Raises:
            TrajectoryError: the file cannot be read, or is damaged, or holds something else.
        """
        return parse_json_object(self.text(), self.origin)


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file that must not be empty.

    Raises:
        TrajectoryError: the file cannot be read or is empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Origin(path).error(
            f"cannot be read ({error.strerror}); check the path and the permissions"
        ) from error
    if not data.strip():
        raise Origin(path).error("the file is empty; write it again")
    return data


def read_text(path: Path) -> str:
    """Returns the content of a text file that must not be empty.

    Raises:
        TrajectoryError: the file cannot be read, or is empty, or is no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Origin(path).error(
            f"is not a text file (byte {error.start}); give a trajectory file"
        ) from error


def parse_json_object(text: str, origin: Origin) -> dict[str, object]:
    """Returns the JSON object in a text.

    Raises:
        TrajectoryError: the text is no JSON, or another kind of value.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError, not only its JSONDecodeError: Python reads no whole number of 4301 digits.
        raise origin.error(
            f"the JSON is damaged or cut off ({error}); write the file again"
        ) from error
    if not isinstance(document, dict):
        raise origin.error(
            f"the JSON holds a {type(document).__name__}, not an object with cameras; "
            "give a trajectory file"
        )
    return cast("dict[str, object]", document)


def write_file(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it, so that nobody sees half of it.

    Raises:
        TrajectoryError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise Origin(path).error(
            f"cannot be written ({error.strerror}); check the path and the permissions"
        ) from error


def write_json(path: Path, document: dict[str, object]) -> None:
    """Writes a JSON object.

    Raises:
        TrajectoryError: the file cannot be written.
    """
    write_file(path, (json.dumps(document, indent=1) + "\n").encode())
