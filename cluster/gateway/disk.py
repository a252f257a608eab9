"""Files of callers on the disk; everything here blocks, and is run by the threads of `Disk`."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import google_crc32c

from cluster.gateway.identifiers import shown
from worldloom.errors import ChecksumError, ConfigError, NotFoundError, QuotaError

T = TypeVar("T")
PIECE_BYTES = 1 << 20
_THREADS = 4


class Disk:
    """Threads that wait for the disk instead of the loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="disk")

    async def run(self, function: Callable[[], T]) -> T:
        """Runs a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def close(self) -> None:
        """Ends the threads, after what they do."""
        self._threads.shutdown()


@dataclass(frozen=True)
class Piece:
    """A piece of a file."""

    offset: int
    data: bytes
    crc32c: int


@dataclass(frozen=True)
class Copied:
    """A file that was copied."""

    size_bytes: int
    sha256: bytes


def write_part(path: Path, offset: int, data: bytes, crc32c: int) -> None:
    """Writes a part of a file, where its checksum is right.

    Raises:
        ChecksumError: it is not what was sent.
        QuotaError: the disk is full.
    """
    if google_crc32c.value(data) != crc32c:
        raise ChecksumError(
            f"the part at {offset} is not what its CRC32C says; send it again",
            name=path.name,
            offset=offset,
        )
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        view = memoryview(data)
        while view:
            written = os.pwrite(fd, view, offset)
            view, offset = view[written:], offset + written
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise QuotaError(
                "the disk of the service is full; try again later", subject="disk"
            ) from error
        raise
    finally:
        os.close(fd)


def copy_in(folder: Path, parts: Sequence[str], target: Path, most_bytes: int) -> Copied:
    """Copies a file below a folder; no link on the way to it is followed.

    Args:
        folder: Allowed by the operator.
        parts: Names on the way to the file.
        target: The copy.
        most_bytes: It may not be larger.

    Raises:
        NotFoundError: there is no such file.
        QuotaError: it is too large.
        ConfigError: it is empty.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(_open_below(folder, parts), "rb") as source, target.open("wb") as copy:
        while piece := source.read(PIECE_BYTES):
            size += len(piece)
            if size > most_bytes:
                target.unlink()
                raise QuotaError(f"the file is above {most_bytes} bytes", subject="bytes")
            digest.update(piece)
            copy.write(piece)
    if not size:
        target.unlink()
        raise ConfigError("the file is empty", field="object")
    return Copied(size, digest.digest())


def _open_below(folder: Path, parts: Sequence[str]) -> int:
    """Opens a file below a folder; no link on the way is followed, so none leads outside."""
    missing_file = NotFoundError(
        f"there is no file {shown('/'.join(parts))} below this import root", name="/".join(parts)
    )
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = below
        fd = os.open(
            parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at
        )
    except OSError as error:
        raise missing_file from error
    finally:
        os.close(at)
    if not os.path.isfile(f"/proc/self/fd/{fd}"):
        os.close(fd)
        raise missing_file
    return fd


def digest_of(path: Path) -> bytes:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def move(draft: Path, target: Path) -> None:
    """Moves a file to its place; where that was done before, nothing is left to do."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if draft.exists():
        draft.replace(target)


def read_piece(fd: int, offset: int, count: int) -> Piece:
    """Reads a piece of a file.

    Raises:
        ChecksumError: the file is shorter than it was.
    """
    data = os.pread(fd, count, offset)
    if not data:
        raise ChecksumError("a file of the service is shorter than it was", offset=offset)
    return Piece(offset, data, google_crc32c.value(data))
