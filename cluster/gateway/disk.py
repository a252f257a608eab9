"""Files of callers on the disk; everything here blocks, and is run by the threads of `Disk`."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import numpy as np

from cluster.gateway.checker import sha256_of
from cluster.gateway.digests import Digests
from cluster.gateway.direct import write_at
from worldloom.errors import (
    ChecksumError,
    PreconditionError,
    QuotaError,
)

Buffer = bytes | memoryview
T = TypeVar("T")
PIECE_BYTES = 1 << 20
_THREADS = 4
_COMMITS = 2
"""Files that are checked at a time: a long one does not hold up all others."""


class Disk:
    """Threads that wait for the disk instead of the loop.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="disk")
        self._commits = ThreadPoolExecutor(_COMMITS, thread_name_prefix="commit")
        self._digests = Digests(_COMMITS)

    async def run(self, function: Callable[[], T]) -> T:
        """Runs a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def settle(self, draft: Path, target: Path, sha256: bytes) -> bool:
        """Moves a draft to its place; see `settle`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._commits, settle, draft, target, sha256, self._digests.sha256
        )

    def close(self) -> None:
        """Ends the threads, after what they do."""
        self._threads.shutdown()
        self._commits.shutdown()
        self._digests.close()


@dataclass(frozen=True)
class Piece:
    """A piece of a file."""

    offset: int
    data: bytes
    crc32c: int


def make_draft(path: Path) -> None:
    """Makes the empty file that parts are written into; one that is there stays."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640))


def write_part(path: Path, offset: int, data: Buffer, crc32c: int) -> None:
    """Writes a part of a draft, where its checksum is right.

    Raises:
        ChecksumError: it is not what was sent.
        PreconditionError: the draft is being made an asset, or is none any more.
        QuotaError: the disk is full.
    """
    # The library takes no views; an array over one it takes without a copy.
    content: Any = np.frombuffer(data, np.uint8)
    if google_crc32c.value(content) != crc32c:
        raise ChecksumError(
            f"the part at {offset} is not what its CRC32C says; send it again",
            name=path.name,
            offset=offset,
        )
    with _locked(path, os.O_WRONLY, fcntl.LOCK_SH) as fd:
        try:
            write_at(fd, memoryview(data), offset)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise QuotaError(
                    "the disk of the service is full; try again later", subject="disk"
                ) from error
            raise


def settle(
    draft: Path, target: Path, sha256: bytes, digest: Callable[[Path], bytes] = sha256_of
) -> bool:
    """Moves a draft to its place, where it has the right content.

    Nothing is written into it from the moment on that it is read: writers, of other gateways too,
    hold its lock as well. Where it was moved before, the file in its place is what is looked at.

    Args:
        draft: Where its parts were written.
        target: Its place.
        sha256: What it should be.
        digest: Computes the SHA-256 of a file.

    Returns:
        Whether the file in its place is the right one.

    Raises:
        PreconditionError: a part of it is being written.
    """
    if not target.exists():
        with _locked(draft, os.O_RDWR, fcntl.LOCK_EX):
            if digest(draft) != sha256:
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(target)
            return True
    return digest(target) == sha256


@contextmanager
def _locked(path: Path, flags: int, lock: int) -> Generator[int]:
    """Opens a draft and locks it as long as it is open."""
    refused = PreconditionError(
        f"uploads/{path.name} takes no more parts, or is being written; GetUpload says how it is",
        name=path.name,
    )
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise refused from error
    try:
        fcntl.flock(fd, lock | fcntl.LOCK_NB)
        # Between opening and locking it may have been moved to its place.
        if os.stat(path).st_ino != os.fstat(fd).st_ino:
            raise refused
        yield fd
    except (BlockingIOError, FileNotFoundError) as error:
        raise refused from error
    finally:
        os.close(fd)


def read_piece(fd: int, offset: int, count: int) -> Piece:
    """Reads a piece of a file.

    Raises:
        ChecksumError: the file is shorter than it was.
    """
    data = os.pread(fd, count, offset)
    if not data:
        raise ChecksumError("a file of the service is shorter than it was", offset=offset)
    return Piece(offset, data, google_crc32c.value(data))
