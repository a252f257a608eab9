"""A process that reads hostile files under a cap on its memory: a crash is only a result."""

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from worldloom.errors import WorldloomError

EXTRA_MEMORY_BYTES = 1 << 30
"""What reading a small file may take at most beside what the process has."""
PATIENCE_S = 20.0
"""A file that takes longer hangs; the machine may be busy."""

Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """What became of one reading."""

    error: str | None
    """Name of the exception; None where the file was read."""
    expected: bool
    """Read, or refused by a leaf of WorldloomError with ids and a message that names the file."""
    message: str = ""
    cpu_s: float = 0.0


class Victim:
    """Reads files in a process of its own, and gets a new one where that dies.

    Args:
        readers: Readers by name; functions of modules, so that the new process finds them.
    """

    def __init__(self, readers: dict[str, Reader]) -> None:
        self._readers = readers
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def read(self, reader: str, entry: str, files: dict[str, bytes]) -> Outcome:
        """Writes files into an empty folder and reads the one that `entry` names there.

        Returns:
            What became of it; `error` is `died` or `hangs` where the process did.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._pipe is not None
        assert self._process is not None
        self._pipe.send((reader, entry, files))
        try:
            if not self._pipe.poll(PATIENCE_S):
                self.close()
                return Outcome("hangs", expected=False)
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            self.close()
            return Outcome("died", expected=False, message=f"exit code {code}")

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._readers), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()


def _serve(pipe: Connection, readers: dict[str, Reader]) -> None:
    warnings.simplefilter("error")
    # Pillow warns of tags that it passes over; that is no defect of ours.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    # What OpenCV and FFmpeg print about damaged files is not looked at.
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    root = Path(tempfile.mkdtemp(prefix="victim-"))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        cap = pages * resource.getpagesize() + EXTRA_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
        pipe.send("ready")
        while True:
            try:
                reader, entry, files = pipe.recv()
            except EOFError:
                return
            pipe.send(_attempt(readers[reader], root, entry, files))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _attempt(reader: Reader, root: Path, entry: str, files: dict[str, bytes]) -> Outcome:
    folder = root / "input"
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    before = time.process_time()
    try:
        reader(folder / entry)
        error = None
    except Exception as caught:
        error = caught
    cpu_s = time.process_time() - before
    shutil.rmtree(folder)
    if error is None:
        return Outcome(None, expected=True, cpu_s=cpu_s)
    expected = (
        isinstance(error, WorldloomError) and type(error) is not WorldloomError and bool(error.ids)
    )
    return Outcome(type(error).__name__, expected, str(error)[:500], cpu_s)
