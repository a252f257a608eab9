"""Archives of callers, unpacked within bounds: a few bytes must not become a full disk."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from cluster.worker.task import Bounds
from worldloom.errors import InputError, LimitError

_PIECE = 1 << 20
_DEEPEST = 16
_SMALL_BYTES = 1 << 16
"""Files up to this size may be packed at any ratio: empty masks shrink a thousandfold."""


def is_archive(name: str) -> bool:
    """Returns whether a file name is that of an archive."""
    return name.lower().endswith(".zip")


def unpack(path: Path, folder: Path, bounds: Bounds) -> Path:
    """Unpacks a zip and returns the folder that holds its content.

    Everything is checked against the table of the archive before a byte is unpacked, and counted
    again while it is: a table may lie.

    Args:
        path: The zip.
        folder: Where to; made where it does not exist.
        bounds: Caps.

    Returns:
        `folder`, or the only folder in it.

    Raises:
        InputError: it is no zip, is damaged, or names a place outside.
        LimitError: it is above a cap.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(path.name, entries, path.stat().st_size, bounds)
            for entry in entries:
                _unpack_one(archive, entry, folder / _place(path.name, entry))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise InputError(
            f"{path.name} is no zip that can be read ({error}); pack it again, without a password",
            path=path.name,
        ) from error
    inside = list(folder.iterdir()) if folder.is_dir() else []
    if not inside:
        raise InputError(f"{path.name} holds no file; pack it again", path=path.name)
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _check(name: str, entries: list[zipfile.ZipInfo], packed_bytes: int, bounds: Bounds) -> None:
    if len(entries) > bounds.max_archive_entries:
        raise _above(name, f"{len(entries)} files", len(entries), bounds.max_archive_entries)
    total = sum(entry.file_size for entry in entries)
    if total > bounds.max_archive_mib << 20:
        raise _above(name, f"{total} bytes unpacked", total >> 20, bounds.max_archive_mib)
    if total > _SMALL_BYTES and total > bounds.max_archive_ratio * packed_bytes:
        raise _above(name, "a ratio", total / max(packed_bytes, 1), bounds.max_archive_ratio)
    for entry in entries:
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > _SMALL_BYTES and ratio > bounds.max_archive_ratio:
            raise _above(name, f"{entry.filename!r} with a ratio", ratio, bounds.max_archive_ratio)


def _above(name: str, what: str, value: float, limit: float) -> LimitError:
    return LimitError(
        f"{name}: {what} of {value:.0f} is above the cap of {limit:.0f}; make the archive smaller",
        path=name,
        value=value,
        limit=limit,
    )


def _place(name: str, entry: zipfile.ZipInfo) -> PurePosixPath:
    place = PurePosixPath(entry.filename.replace("\\", "/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    is_plain = kind in (0, stat.S_IFREG)
    parts = place.parts
    if not is_plain or place.is_absolute() or not 0 < len(parts) <= _DEEPEST or ".." in parts:
        raise InputError(
            f"{name} names {entry.filename!r}, which is no plain file below it; pack plain files "
            "by relative names",
            path=name,
        )
    if any("\0" in part or ":" in part for part in parts):
        raise InputError(f"{name} names {entry.filename!r}; rename that file", path=name)
    return place


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as packed, target.open("wb") as plain:
        while piece := packed.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise InputError(
                    f"{archive.filename} holds more of {entry.filename!r} than it says",
                    path=entry.filename,
                )
            plain.write(piece)
