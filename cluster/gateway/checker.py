"""The process that computes digests: reads paths from stdin, writes digests, a line each.

    python -m cluster.gateway.checker

It takes the time of the processors that nobody else wants. Where that is next to none, as beside
jobs that fill the machine, it takes a share after all, for somebody waits for the digest.

It imports little, for it is started while somebody waits.
"""

import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from cluster.gateway.direct import pieces

_NICE = 10
_PATIENCE_S = 0.5
_LEAST_BYTES_PER_S = 64e6


class _Reading:
    """A file of which a part has been read."""

    def __init__(self, fd: int) -> None:
        self._pieces = pieces(fd)
        self.digest = hashlib.sha256()
        self.done_bytes = 0

    def go_on(self, until: threading.Event) -> None:
        """Reads on, to the end or until the event."""
        for piece in self._pieces:
            self.digest.update(piece)
            self.done_bytes += len(piece)
            if until.is_set():
                return


def sha256_of(path: Path, idle: ThreadPoolExecutor | None = None) -> bytes:
    """Returns the SHA-256 of a file as it is on the disk.

    Args:
        path: The file.
        idle: A thread that works while nobody else does; as long as it gets on, it is left to it.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        reading = _Reading(fd)
        if idle is not None:
            until = threading.Event()
            begun = idle.submit(reading.go_on, until)
            start_s = time.monotonic()
            while wait([begun], _PATIENCE_S).not_done:
                due_bytes = _LEAST_BYTES_PER_S * (time.monotonic() - start_s)
                if reading.done_bytes < due_bytes:
                    break
            until.set()
            if not begun.cancel():
                begun.result()
        reading.go_on(threading.Event())
        return reading.digest.digest()
    finally:
        os.close(fd)


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answers until there is no more question; a file that cannot be read has an empty answer."""
    with ThreadPoolExecutor(1, initializer=_step_back) as idle:
        for line in asked:
            try:
                digest = sha256_of(Path(json.loads(line)), idle).hex()
            except OSError as error:
                sys.stderr.write(f"digests: {error}\n")
                digest = ""
            answers.write(digest.encode() + b"\n")
            answers.flush()


def _step_back() -> None:
    """Lets everybody else go first, from one moment to the next."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, PermissionError):
        # Not of this system, or not allowed: then it is nice alone.
        sys.stderr.write("digests: no idle time on this system\n")


if __name__ == "__main__":
    os.nice(_NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)
