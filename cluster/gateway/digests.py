"""Digests of files, computed in processes of their own that let all others go first.

A thread that steps back would not do: when it asks for the interpreter's lock, the loop that serves
calls hands that over and waits until the thread has had its turn, which is late.
"""

import hashlib
import json
import queue
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from worldloom.errors import ServiceError

_RETRY_S = 1.0
_END_S = 5.0


class Digests:
    """Computes digests, some at a time; the processes are started when they are needed.

    A process ends with its stdin, hence with this one, whatever ends it.

    Args:
        processes: How many at most.
    """

    def __init__(self, processes: int) -> None:
        self._places: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        self._count = processes
        for _ in range(processes):
            self._places.put(None)

    def sha256(self, path: Path) -> bytes:
        """Returns the SHA-256 of a file; blocks, also until a process is free.

        Raises:
            ServiceError: the file cannot be read, or the process was ended.
        """
        child = self._places.get()
        try:
            if child is not None and child.poll() is not None:
                _close(child)
                child = None
            if child is None:
                child = _started()
            return _asked(child, path)
        except BaseException:
            if child is not None:
                child.kill()
                child.wait()
                _close(child)
            child = None
            raise
        finally:
            self._places.put(child)

    def close(self) -> None:
        """Ends the processes, after what they do."""
        for _ in range(self._count):
            child = self._places.get()
            if child is not None:
                _close(child)
                child.wait(_END_S)


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.gateway.checker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Signals of a terminal are for the gateway, which ends it. No session of its own: Linux
        # shares a machine out among sessions first, whatever they step back from inside.
        process_group=0,
    )


def _close(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            # One that was ended does not take what is left of a question.
            with suppress(BrokenPipeError):
                stream.close()


def _asked(child: subprocess.Popen[bytes], path: Path) -> bytes:
    if child.stdin is None or child.stdout is None:
        raise ValueError("a process of digests has pipes")
    try:
        child.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
        child.stdin.flush()
        answer = child.stdout.readline()
    except BrokenPipeError:
        answer = b""
    digest = bytes.fromhex(answer.decode()) if answer.endswith(b"\n") else b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ServiceError("a file could not be checked; try again", retry_s=_RETRY_S)
    return digest
