"""Bounds of the process of a job, and its claim on the folder."""

import fcntl
import json
import os
import resource
import threading
from dataclasses import dataclass
from pathlib import Path

from cluster.worker.task import LOCK_FILE, Bounds

TOO_LATE = 124
"""Exit code of a process that ended itself for time, as of timeout(1)."""


@dataclass(frozen=True)
class Holder:
    """The process that works on a job."""

    pid: int
    start_ticks: int
    """When the kernel started it: with the pid it names a process for ever."""


def start_ticks(pid: int) -> int | None:
    """Returns when the kernel started a process, clock ticks since boot; None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name of the program, in brackets, may hold blanks and brackets.
    return int(text.rpartition(")")[2].split()[19])


class Claim:
    """The claim of a process on a job: a lock that ends with the process, however it ends.

    Args:
        folder: Of the job.
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def take(self) -> bool:
        """Takes the claim; False where another process has it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        holder = {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(holder).encode(), 0)
        return True


def holder_of(folder: Path) -> Holder | None:
    """Returns the process that works on a job on this machine, or None."""
    try:
        fd = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(os.pread(fd, 4096, 0))
    finally:
        os.close(fd)
    return None


def _holder(text: bytes) -> Holder | None:
    try:
        said = json.loads(text)
        holder = Holder(int(said["pid"]), int(said["start_ticks"]))
    except (ValueError, KeyError, TypeError):
        # The lock is taken a moment before the text is written.
        return None
    return holder if start_ticks(holder.pid) == holder.start_ticks else None


def confine(bounds: Bounds) -> None:
    """Applies the bounds to this process; for memory, children have each the same.

    Data memory is what is bounded, not address space: numeric libraries reserve much of that and
    never use it.
    """
    if bounds.duration_s is not None:
        # A decoder that hangs in C hears no signal handler of Python. Its thread is started before
        # memory is bounded.
        timer = threading.Timer(bounds.duration_s, os._exit, (TOO_LATE,))
        timer.daemon = True
        timer.start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if bounds.memory_mib is not None:
        limit = bounds.memory_mib << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
