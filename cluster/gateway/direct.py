"""Files past the page cache: what is written once, and read again much later.

Through the cache a part is copied into pages that have to be found for it and put in order, and
pushes out what the jobs of the machine work with. Its disk takes the same bytes by itself.
"""

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Generator

import numpy as np

_BLOCK = 4096
"""What offsets, sizes and memory are multiples of, for the disks that there are."""
_STAGE_BYTES = 4 << 20
_O_DIRECT = getattr(os, "O_DIRECT", 0)
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP)


class _Stage(threading.local):
    """Memory of a thread whose pages a disk can take from or give to."""

    def __init__(self) -> None:
        self.pages = mmap.mmap(-1, _STAGE_BYTES)
        self.view = memoryview(self.pages)
        self.array = np.frombuffer(self.pages, np.uint8)


_stage = _Stage()


def write_at(fd: int, data: memoryview, offset: int) -> None:
    """Writes bytes into a file; whole blocks go to the disk past the cache, where it can do that.

    Args:
        fd: Open for writing.
        data: What is written.
        offset: Where in the file.

    Raises:
        OSError: the disk is full, or broken.
    """
    if not offset % _BLOCK and len(data) >= _BLOCK and _set_direct(fd, True):
        try:
            done = _write_blocks(fd, data, offset)
        finally:
            _set_direct(fd, False)
        data, offset = data[done:], offset + done
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def pieces(fd: int) -> Generator[memoryview]:
    """Yields a file from its begin to its end; each piece is valid until the next one is asked for.

    The pieces of a thread share one memory: it reads one file at a time. Another thread may go on
    where one has left off.

    Args:
        fd: Open for reading.

    Raises:
        OSError: it cannot be read.
    """
    is_direct, offset = _set_direct(fd, True), 0
    try:
        while True:
            try:
                count = os.preadv(fd, [_stage.view], offset)
            except OSError as error:
                if not (is_direct and error.errno in _REFUSED):
                    raise
                is_direct = _set_direct(fd, False)
                continue
            if not count:
                return
            yield _stage.view[:count]
            offset += count
            if is_direct and offset % _BLOCK:
                # A block that is not whole is the last; or else the cache goes on from there.
                is_direct = _set_direct(fd, False)
    finally:
        _set_direct(fd, False)


def _write_blocks(fd: int, data: memoryview, offset: int) -> int:
    """Writes whole blocks and returns how many bytes they had; less than all where refused."""
    whole, done = len(data) // _BLOCK * _BLOCK, 0
    source = np.frombuffer(data, np.uint8)
    while done < whole:
        count = min(whole - done, _STAGE_BYTES)
        # In numpy, which lets other threads run meanwhile.
        np.copyto(_stage.array[:count], source[done : done + count])
        try:
            written = os.pwrite(fd, _stage.view[:count], offset + done)
        except OSError as error:
            if error.errno in _REFUSED:
                return done
            raise
        done += written
        if written % _BLOCK:
            return done
    return done


def _set_direct(fd: int, wanted: bool) -> bool:
    """Sets whether a file is used past the cache, and returns whether it is."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    flags = flags | _O_DIRECT if wanted else flags & ~_O_DIRECT
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return wanted and _O_DIRECT != 0
